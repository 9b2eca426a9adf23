# What every recipe begins with. Given in the environment:
#   RUNTIME FAMILY SUITE PACKAGES INTERPRETER CLIENT LIBRARIES   from the catalogue
#   DEB_ARCH (amd64, arm64)   LAMBDA_ARCH (x86_64, arm64)
#   COMMAND ENVIRONMENT       how the runtime is started: words; NAME=VALUE lines
#   WORK        scratch; nothing outside of it and CACHE is written
#   CACHE       what took long to make and several images need
#   ROOT        $WORK/root: the tree that becomes the image
#   FILES       $WORK/files: the files that belong to the recipes
#   MIRROR SECURITY_MIRROR    where Debian's packages come from; empty: Debian's own
# A line `::step TEXT` on standard output says what is being done.
set -euo pipefail
umask 022
exec 2>&1

step() { printf '::step %s\n' "$*"; }

# debian ROOT SUITE PACKAGE...: a tree with these packages and what they depend on. They are extracted, not configured: no
# maintainer script runs, nothing has to be executable here, and it takes seconds. What those scripts would have done and a
# function can notice is done in `finish`.
debian() {
    local root=$1 suite=$2 packages
    shift 2
    packages=$(printf ',%s' "$@")
    # Debian stopped shipping directories beside /usr: without these links bookworm's packages would make them.
    local merge='for d in bin sbin lib lib64; do mkdir -p "$1/usr/$d" && ln -s "usr/$d" "$1/$d"; done'
    # A mirror may be days behind; 60 days is the most an old, signed list of packages is accepted.
    local options=(--quiet --variant=extract --mode=root --architectures="$DEB_ARCH" --setup-hook="$merge"
        --aptopt='Acquire::Min-ValidTime "5184000"' --aptopt='Acquire::Retries "3"' --extract-hook='cd "$1/var/cache/apt/archives" && ls *.deb >"$1.packages"' --include="${packages#,}")
    local sources=()
    if [ -n "$MIRROR" ]; then
        sources=("deb [signed-by=$KEYRING] $MIRROR $suite main" "deb [signed-by=$KEYRING] $MIRROR $suite-updates main"
            "deb [signed-by=$KEYRING] $SECURITY_MIRROR $suite-security main")
    fi
    mmdebstrap "${options[@]}" "$suite" "$root" "${sources[@]}"
}

# Debian's packages that every base image has: about what Amazon Linux has in AWS's images.
COMMON="base-files bash ca-certificates coreutils dash findutils gawk grep gzip libc-bin libgcc-s1 libstdc++6 netbase sed tar tzdata zlib1g"

is_native() { [ "$DEB_ARCH" = "$(dpkg --print-architecture)" ]; }

# A command inside the tree, with nothing of this machine's environment.
inside() { env -i PATH=/var/lang/bin:/usr/sbin:/usr/bin HOME=/tmp LANG=C.UTF-8 chroot "$ROOT" "$@"; }

# npm_package NAME@VERSION DIRECTORY: unpacks a package of the npm registry there. npm itself does it where it is installed.
npm_package() {
    mkdir -p "$2" "$WORK/npm-pack"
    if command -v npm >/dev/null; then
        local file
        file=$(cd "$WORK/npm-pack" && npm pack --silent "$1")
        tar -xzf "$WORK/npm-pack/$(tail -n1 <<<"$file")" --no-same-owner --strip-components=1 -C "$2"
    else
        python3 "$FILES/fetch.py" npm "$1" "$WORK/npm-pack/package.tgz"
        tar -xzf "$WORK/npm-pack/package.tgz" --no-same-owner --strip-components=1 -C "$2"
    fi
    rm -rf "$WORK/npm-pack"
}
