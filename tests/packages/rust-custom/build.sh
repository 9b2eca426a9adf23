# Linked statically against glibc, so that it needs nothing of the image it runs in.
target=$(rustc -vV | sed -n 's/^host: //p')
CARGO_TARGET_DIR="$WORK/target" cargo build --locked --quiet --release --target "$target" \
    --config "target.$target.rustflags=[\"-C\",\"target-feature=+crt-static\"]"
cp "$WORK/target/$target/release/bootstrap" "$STAGE/bootstrap"
