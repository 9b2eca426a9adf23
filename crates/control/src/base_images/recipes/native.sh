# Compiles the native part of the interface client, inside the builder's tree: curl and AWS's C++ client as the package's own
# script builds them, then the addon itself.
set -euo pipefail
exec 2>&1
cd /build/ric
jobs=$(nproc)
export MAKEFLAGS=-j$jobs
# Of curl only the library is needed: its command, tests and manuals take most of the time.
sed -i '0,/make -j/s//make -C lib -j/; 0,/make install/s//make -C lib install \&\& make -C include install/' scripts/preinstall.sh
sh scripts/preinstall.sh
artifacts=/build/ric/deps/artifacts
source=src/native/rapid-client.cc
[ -e "$source" ] || source=src/rapid-client.cc
library=$(find "$artifacts" -name libaws-lambda-runtime.a)
g++ -std=c++20 -O2 -fPIC -fexceptions -shared -fvisibility=hidden -DNODE_GYP_MODULE_NAME=rapid_client -DUSING_UV_SHARED=1 \
    -DUSING_V8_SHARED=1 -DBUILDING_NODE_EXTENSION -I/build/include -I/build/node-addon-api -I"$artifacts/include" "$source" \
    -o /build/rapid-client.node "$library" "$artifacts/lib/libcurl.a" -pthread -Wl,--gc-sections
strip --strip-unneeded /build/rapid-client.node
