# AWS's public image: fetched by its digest, unpacked, and without owners and devices. What it is told:
#   REFERENCE   what the image is called, for people
#   IMAGE       its repository and digest
#   TLS         no: the registry is this machine and speaks HTTP
#   OCI_ARCH    amd64, arm64
#   WORK        scratch; nothing outside of it is written
#   FILES       $WORK/files
# The tree is left in $WORK/root, the image's configuration in $WORK/config.json. Nothing in the image is run. No path below the root is ever
# written or followed here: the image's links may lead anywhere.
set -euo pipefail
umask 022
exec 2>&1
export TMPDIR=$WORK
cd "$WORK"
step() { printf '::step %s\n' "$*"; }

options=(--override-os linux --override-arch "$OCI_ARCH")
# The policy of this machine's owner about signatures holds, where there is one.
if [ ! -e /etc/containers/policy.json ]; then options+=(--policy "$FILES/policy.json"); fi
copy=(--quiet --retry-times 3)
if [ "$TLS" = no ]; then copy+=(--src-tls-verify=false); fi

step "pulling $REFERENCE"
skopeo "${options[@]}" --tmpdir "$WORK" --command-timeout 60m copy "${copy[@]}" "docker://$IMAGE" oci:layout:base
skopeo "${options[@]}" inspect --config --raw oci:layout:base >config.json

step "unpacking $REFERENCE"
umoci raw unpack --image layout:base root
rm -rf layout

# As in every base image: nobody but root owns anything, nothing is setuid, and there are no devices.
chown -hR 0:0 root
find root -xdev \( -perm -4000 -o -perm -2000 \) -type f -exec chmod ug-s {} +
find root -xdev \( -type b -o -type c -o -type p -o -type s \) -delete
