# Node.js: the interpreter from the npm package of its project's binaries, AWS's runtime interface client, the AWS SDK v3.
step "downloading Debian packages ($SUITE)"
debian "$ROOT" "$SUITE" $COMMON $PACKAGES

step "downloading Node.js $INTERPRETER"
case $LAMBDA_ARCH in arm64) node_arch=arm64 ;; *) node_arch=x64 ;; esac
npm_package "node-linux-$node_arch@$INTERPRETER" "$WORK/node"
mkdir -p "$ROOT/var/lang/bin" "$ROOT/var/runtime"
install -m 755 "$WORK/node/bin/node" "$ROOT/var/lang/bin/node"
install -m 644 -D "$WORK/node/LICENSE" "$ROOT/usr/share/doc/nodejs/copyright"

step "downloading $CLIENT and the AWS SDK"
# npm, run by the very Node.js that goes into the image, on this machine and with its settings; packages run no scripts.
npm_package "npm@10.9.9" "$WORK/npm"
mkdir -p "$WORK/modules"
echo '{"private": true}' >"$WORK/modules/package.json"
(cd "$WORK/modules" && PATH="$WORK/node/bin:$PATH" "$WORK/node/bin/node" "$WORK/npm/bin/npm-cli.js" install --ignore-scripts --no-audit --no-fund \
    --no-progress --loglevel=error --omit=dev --omit=optional --no-package-lock --cache "$WORK/npm-cache" "$CLIENT" \
    $(grep -v '^#' "$FILES/aws-sdk-js.txt"))
modules=$WORK/modules/node_modules

# The compiled part is the same for every Node.js that the client supports (it speaks N-API): it is compiled once.
native=$CACHE/$CLIENT-$SUITE-$DEB_ARCH-$(sha256sum <"$FILES/native.sh" | cut -c1-16).node
if [ ! -s "$native" ]; then
    step "downloading the compiler for the interface client's native part"
    builder=$WORK/builder
    debian "$builder" "$SUITE" bash coreutils findutils grep sed gawk tar gzip xz-utils gcc g++ make cmake libc6-dev autoconf automake \
        libtool pkg-config patch perl file
    ln -sf bash "$builder/usr/bin/sh"
    ln -sf gawk "$builder/usr/bin/awk"
    ln -sf gcc "$builder/usr/bin/cc"
    ln -sf g++ "$builder/usr/bin/c++"
    for tool in aclocal automake; do ln -sf "$(cd "$builder/usr/bin" && ls "$tool"-1.*)" "$builder/usr/bin/$tool"; done
    mkdir -p "$builder/build" "$builder/proc" "$builder/dev" "$builder/tmp"
    [ -e "$builder/dev/null" ] || mknod -m 666 "$builder/dev/null" c 1 3
    cp -a "$modules/aws-lambda-ric" "$builder/build/ric"
    cp -a "$modules/node-addon-api" "$builder/build/node-addon-api"
    cp -a "$WORK/node/include/node" "$builder/build/include"
    install -m 755 "$FILES/native.sh" "$builder/build/native.sh"

    step "compiling the interface client's native part"
    env -i PATH=/usr/bin:/usr/sbin HOME=/tmp LANG=C.UTF-8 chroot "$builder" /bin/bash /build/native.sh >"$WORK/native.log" ||
        { tail -n 30 "$WORK/native.log"; exit 1; }
    mkdir -p "$CACHE"
    install -m 644 "$builder/build/rapid-client.node" "$native.$$"
    mv "$native.$$" "$native"
    rm -rf "$builder"
fi
ric=$modules/aws-lambda-ric
if [ -d "$ric/dist" ]; then
    # Version 3: a library with a command; AWS's entry point calls it so.
    mkdir -p "$ROOT/var/runtime/aws-lambda-ric"
    cp -a "$ric"/{dist,package.json,LICENSE,NOTICE,THIRD-PARTY-LICENSES} "$ROOT/var/runtime/aws-lambda-ric/"
    install -m 755 "$native" "$ROOT/var/runtime/aws-lambda-ric/dist/rapid-client.node"
    install -m 644 "$FILES/index.mjs" "$ROOT/var/runtime/index.mjs"
else
    # Version 4: one file, started as it is.
    mkdir -p "$ROOT/usr/share/doc/aws-lambda-ric"
    cp -a "$ric"/index.mjs "$ROOT/var/runtime/index.mjs"
    cp -a "$ric"/{LICENSE,NOTICE,THIRD-PARTY-LICENSES} "$ROOT/usr/share/doc/aws-lambda-ric/"
    mv "$ROOT/usr/share/doc/aws-lambda-ric/LICENSE" "$ROOT/usr/share/doc/aws-lambda-ric/copyright"
    install -m 755 "$native" "$ROOT/var/runtime/rapid-client.node"
fi

step "laying out Node.js $INTERPRETER"
# What only building needed.
rm -rf "$modules"/{aws-lambda-ric,node-addon-api,node-gyp,.bin,.package-lock.json}
(cd "$WORK/modules" && "$WORK/node/bin/node" "$FILES/prune.cjs" "$modules")
find "$modules" -mindepth 1 -maxdepth 1 -type d -empty -delete
mkdir -p "$ROOT/var/runtime/node_modules"
cp -a "$modules/." "$ROOT/var/runtime/node_modules/"
# Types, sources and tests: nothing that runs.
find "$ROOT/var/runtime/node_modules" -type d \( -name dist-types -o -name dist-es -o -name test -o -name tests -o -name __tests__ \) -prune -exec rm -rf {} +
find "$ROOT/var/runtime/node_modules" -type f \( -name '*.d.ts' -o -name '*.map' -o -name '*.md' -o -name '*.ts' \) -delete
install -m 755 "$FILES/bootstrap-node" "$ROOT/var/runtime/bootstrap"
"$WORK/node/bin/node" "$FILES/prune.cjs" --list "$ROOT/var/runtime/node_modules" >"$WORK/libraries"
layout

step "trying the image"
echo 'require("@aws-sdk/client-s3"); exports.handler = async (event) => event;' >"$ROOT/var/task/app.js"
rehearse app.handler '{"key1": "value1"}'
finish
