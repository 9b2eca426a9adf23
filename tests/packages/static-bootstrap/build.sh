rustc --edition 2021 -O -C target-feature=+crt-static -C panic=abort -C strip=symbols -o "$STAGE/bootstrap" main.rs
