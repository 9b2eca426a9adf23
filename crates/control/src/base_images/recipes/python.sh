# Python: Debian's interpreter, AWS's runtime interface client and boto3 from PyPI.
step "downloading Debian packages ($SUITE)"
debian "$ROOT" "$SUITE" $COMMON $PACKAGES

step "installing $CLIENT and $LIBRARIES"
# Nothing is compiled or run: wheels for the image's Python, unpacked by the pip of this machine.
if python3 -m pip --version >/dev/null 2>&1; then
    pip=(python3 -m pip)
else
    python3 -m venv "$WORK/pip"
    pip=("$WORK/pip/bin/python" -m pip)
fi
case $LAMBDA_ARCH in arm64) machine=aarch64 ;; *) machine=x86_64 ;; esac
mkdir -p "$ROOT/var/runtime"
"${pip[@]}" install --quiet --disable-pip-version-check --no-input --no-compile --no-warn-conflicts --target "$ROOT/var/runtime" \
    --only-binary=:all: --implementation cp --python-version "$INTERPRETER" --abi "cp${INTERPRETER/./}" --abi abi3 --abi none \
    --platform "manylinux_2_28_$machine" --platform "manylinux_2_17_$machine" --platform "manylinux2014_$machine" --platform any \
    --root-user-action ignore $CLIENT $LIBRARIES
rm -rf "$ROOT/var/runtime/bin" "$WORK/pip"
{ for info in "$ROOT"/var/runtime/*.dist-info; do basename "$info" .dist-info; done; } >"$WORK/libraries"

step "laying out Python $INTERPRETER"
mkdir -p "$ROOT/var/lang/bin" "$ROOT/var/lang/lib"
for name in "python$INTERPRETER" python3 python; do ln -sf "/usr/bin/python$INTERPRETER" "$ROOT/var/lang/bin/$name"; done
ln -sfn "/usr/lib/python$INTERPRETER" "$ROOT/var/lang/lib/python$INTERPRETER"
install -m 644 "$FILES/bootstrap.py" "$ROOT/var/runtime/bootstrap.py"
printf '#!/bin/sh\nexec /var/lang/bin/python%s /var/runtime/bootstrap.py\n' "$INTERPRETER" >"$ROOT/var/runtime/bootstrap"
chmod 755 "$ROOT/var/runtime/bootstrap"
# Tests and a turtle: nothing a function uses.
rm -rf "$ROOT/usr/lib/python$INTERPRETER"/{test,idlelib,turtledemo,__pycache__/turtle.*}
layout

step "compiling Python's modules"
# A compiled file without a time stamp: the image's files have none of their own, and a cold start compiles nothing.
compile() { inside "/usr/bin/python$INTERPRETER" -I -m compileall -q --invalidation-mode unchecked-hash -x '/tests?/' "$@"; }
compile "/usr/lib/python$INTERPRETER" & standard=$!
compile /var/runtime
wait "$standard"

step "trying the image"
printf 'import boto3, ssl\n\ndef handler(event, context):\n    return event\n' >"$ROOT/var/task/app.py"
rehearse app.handler '{"key1": "value1"}'
finish
