# What every recipe ends with.

# AWS's layout, what maintainer scripts would have done, and what nobody needs removed.
layout() {
    step "laying out the image"
    local root=$ROOT
    mkdir -p "$root"/{dev,proc,sys,run,tmp,opt,var/task,var/runtime,var/lang/bin,var/lang/lib,var/tmp,root,home,mnt}
    chmod 1777 "$root/tmp" "$root/var/tmp"
    chmod 755 "$root/opt" "$root/var/task" "$root/var/runtime" "$root/var/lang"

    # Amazon Linux's sh is bash.
    ln -sf bash "$root/usr/bin/sh"
    ln -sf gawk "$root/usr/bin/awk"

    # Users: those of Amazon Linux that programs look for, and the one functions run as in AWS's images.
    cat >"$root/etc/passwd" <<'EOF'
root:x:0:0:root:/root:/bin/bash
bin:x:1:1:bin:/bin:/sbin/nologin
daemon:x:2:2:daemon:/sbin:/sbin/nologin
nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin
sbx_user1051:x:993:990::/home/sbx_user1051:/sbin/nologin
EOF
    cat >"$root/etc/group" <<'EOF'
root:x:0:
bin:x:1:
daemon:x:2:
sys:x:3:
tty:x:5:
mail:x:8:
nogroup:x:65534:
sbx_user1051:x:990:
EOF
    : >"$root/etc/shadow"
    chmod 600 "$root/etc/shadow"
    cat >"$root/etc/nsswitch.conf" <<'EOF'
passwd: files
group: files
shadow: files
hosts: files dns
networks: files
protocols: files
services: files
EOF
    printf '127.0.0.1\tlocalhost\n::1\tlocalhost\n' >"$root/etc/hosts"
    # Places where the sandbox puts its own.
    : >"$root/etc/resolv.conf"
    : >"$root/etc/hostname"
    : >"$root/etc/machine-id"
    ln -sf /usr/share/zoneinfo/UTC "$root/etc/localtime"

    # The certificate bundle, under Debian's names and Amazon Linux's.
    mkdir -p "$root/etc/ssl/certs" "$root/etc/pki/tls/certs"
    cat "$root"/usr/share/ca-certificates/mozilla/*.crt >"$root/etc/ssl/certs/ca-certificates.crt"
    ln -sf /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/cert.pem"
    ln -sf /etc/ssl/certs/ca-certificates.crt "$root/etc/pki/tls/cert.pem"
    ln -sf /etc/ssl/certs/ca-certificates.crt "$root/etc/pki/tls/certs/ca-bundle.crt"
    mkdir -p "$root/usr/lib/ssl"
    ln -sf /etc/ssl/certs/ca-certificates.crt "$root/usr/lib/ssl/cert.pem"

    # Lambda sets LANG=en_US.UTF-8: UTF-8 must work under that name. C.utf8 has the same letters, sorted by code point.
    if [ -d "$root/usr/lib/locale/C.utf8" ]; then ln -sfn C.utf8 "$root/usr/lib/locale/en_US.utf8"; fi

    install -m 755 "$FILES/lambda-entrypoint.sh" "$root/lambda-entrypoint.sh"

    # apt's and dpkg's state, documentation and translations: nothing a function reads.
    mkdir -p "$root/usr/share/bojagi"
    rm -rf "$root"/var/lib/{apt,dpkg} "$root"/var/cache/* "$root"/var/log/* "$root/etc/apt" "$root/etc/dpkg" \
        "$root"/usr/share/{man,info,doc-base,lintian,bug,locale,bash-completion,menu,applications,pixmaps,perl5} \
        "$root/usr/share/gcc" "$root/usr/share/gdb" "$root/boot" "$root/media" "$root/srv"
    # Licences stay.
    find "$root/usr/share/doc" -depth -type f ! -name copyright -delete
    find "$root/usr/share/doc" -depth -type d -empty -delete
    mkdir -p "$root/var/cache" "$root/var/log" "$root/var/lib"

    # ld.so's cache: libraries are found without walking directories. It needs to run the image's own ldconfig.
    if is_native; then inside ldconfig; rm -rf "$root/var/cache/ldconfig"; fi

}

# One time stamp for everything: the same content is the same image.
timestamps() { find "$ROOT" -xdev ! -path "$ROOT/proc" -exec touch -h -d @0 {} +; }

# rehearse HANDLER WANTED NAME=VALUE...: the image's runtime answers an event.
rehearse() {
    local handler=$1 wanted=$2
    shift 2
    { printf '%s\n' "${ENVIRONMENT:-}"; printf '%s\n' "$@"; } |
        python3 "$FILES/rehearse.py" "$ROOT" "$handler" "$wanted" $COMMAND
}

finish() {
    # Nobody but root owns anything, nothing is setuid, and there are no devices.
    chown -hR 0:0 "$ROOT"
    find "$ROOT" -xdev \( -perm -4000 -o -perm -2000 \) -type f -exec chmod ug-s {} +
    find "$ROOT" -xdev \( -type b -o -type c -o -type p -o -type s \) -delete
    find "$ROOT/var/task" "$ROOT/tmp" "$ROOT/dev" -mindepth 1 -delete
    timestamps
}
