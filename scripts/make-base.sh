#!/bin/bash
# make-base.sh OUTDIR: assembles `base`, the built-in rootfs, from the packages of this machine.
#
# How this works
#   The tree is put together beside OUTDIR and takes its place in one rename; OUTDIR.version gets one line that
#   changes whenever the content does, "1-<12 hex>", a digest over names, modes, link targets and contents.
#   The same packages give the same tree, whoever builds it and whenever: fixed times, fixed modes, no umask, no
#   locale. No privileges are needed, and nothing is downloaded.
#
#   Packages: busybox-static, musl, ca-certificates, tzdata.
#   FORMAT is the "1": raise it when the meaning of the tree changes and not only its content.
set -euo pipefail
export LC_ALL=C
umask 022
readonly FORMAT=1
readonly EPOCH='@1577836800' # 2020-01-01: old enough to be obviously made up, new enough for TLS libraries

fail() {
    printf 'make-base: %s\n' "$*" >&2
    exit 1
}

[ $# -eq 1 ] || fail "usage: make-base.sh OUTDIR"
mkdir -p "$(dirname "$1")"
out=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
root=$out.new.$$
trap 'rm -rf "$root"' EXIT

case $(uname -m) in
    x86_64) musl_arch=x86_64 ;;
    aarch64) musl_arch=aarch64 ;;
    *) fail "no rootfs for the architecture '$(uname -m)': only x86_64 and aarch64 are known" ;;
esac

busybox=/bin/busybox
musl=/lib/$musl_arch-linux-musl/libc.so
certificates=/etc/ssl/certs/ca-certificates.crt
zones=/usr/share/zoneinfo
for needed in "$busybox:busybox-static" "$musl:musl" "$certificates:ca-certificates" "$zones/tzdata.zi:tzdata"; do
    [ -r "${needed%%:*}" ] || fail "'${needed%%:*}' is missing: install the package ${needed##*:} (./setup.sh deps)"
done
# The package `busybox` puts a dynamic one at the same place; it could not run in the tree.
if head -c 4096 "$busybox" | grep -q ld-linux; then
    fail "'$busybox' is dynamically linked: install the package busybox-static (./setup.sh deps)"
fi

make_folders() {
    mkdir -p "$root"/{app,dev,etc,home,lib,media,mnt,opt,proc,root,run,sbin,sdk,srv,sys,tmp,bin} \
        "$root"/usr/{bin,lib,local/{bin,lib,sbin,share},sbin,share} \
        "$root"/var/{cache,empty,lib,log,spool,tmp} "$root"/etc/ssl/certs
    ln -s ../run "$root/var/run"
    ln -s ../run/lock "$root/var/lock"
    chmod 1777 "$root/tmp" "$root/var/tmp"
    # Not 0700: who copies the tree for an unprivileged user is not its owner.
}

# One file and a link for every applet, at the place where busybox expects it.
add_busybox() {
    install -m 0755 "$busybox" "$root/bin/busybox"
    local applet
    for applet in $("$busybox" --list-full); do
        case $applet in
            linuxrc | bin/busybox) continue ;;
            */*) ;;
            *) applet=bin/$applet ;;
        esac
        mkdir -p "$root/${applet%/*}"
        ln -sf /bin/busybox "$root/$applet"
    done
    [ -e "$root/usr/bin/env" ] || ln -s /bin/busybox "$root/usr/bin/env"
}

# The loader under the name that musl binaries carry, and the library under the name that Alpine's ask for. musl reads
# the search path from the .path file; these are the folders of its own default.
add_musl() {
    install -m 0755 "$musl" "$root/lib/ld-musl-$musl_arch.so.1"
    ln -s "ld-musl-$musl_arch.so.1" "$root/lib/libc.musl-$musl_arch.so.1"
    ln -s "../../lib/ld-musl-$musl_arch.so.1" "$root/usr/bin/ldd"
    printf '/lib\n/usr/local/lib\n/usr/lib\n' >"$root/etc/ld-musl-$musl_arch.path"
}

add_certificates() {
    install -m 0644 "$certificates" "$root/etc/ssl/certs/ca-certificates.crt"
    ln -s certs/ca-certificates.crt "$root/etc/ssl/cert.pem"
}

# Links become hard links to one copy: three quarters of the zones are aliases.
add_time_zones() {
    mkdir -p "$root/usr/share/zoneinfo"
    tar -C "$zones" --exclude=./localtime --exclude=./right --exclude=./posix --dereference --no-same-owner -cf - . |
        tar -C "$root/usr/share/zoneinfo" --no-same-owner -xf -
    find "$root/usr/share/zoneinfo" -type f -exec chmod 0644 {} +
    local digest name previous='' first=''
    while read -r digest name; do
        if [ "$digest" = "$previous" ]; then
            ln -f "$root/usr/share/zoneinfo/$first" "$root/usr/share/zoneinfo/$name"
        else
            previous=$digest
            first=$name
        fi
    done < <(cd "$root/usr/share/zoneinfo" && find . -type f -print0 | xargs -0 sha256sum | sort)
    ln -s /usr/share/zoneinfo/Etc/UTC "$root/etc/localtime"
}

add_etc() {
    local etc=$root/etc origin
    # shellcheck disable=SC1091
    origin=$(. /etc/os-release && printf '%s %s' "${ID-linux}" "${VERSION_ID-unknown}")
    cat >"$etc/os-release" <<-END
		NAME="squish base"
		ID=squish-base
		VERSION_ID=$FORMAT
		PRETTY_NAME="squish base $FORMAT"
		BUILD_ID="busybox and musl of $origin"
	END
    cat >"$etc/passwd" <<-'END'
		root:x:0:0:root:/root:/bin/sh
		nobody:x:65534:65534:nobody:/:/bin/false
	END
    cat >"$etc/group" <<-'END'
		root:x:0:
		tty:x:5:
		nogroup:x:65534:
	END
    printf '127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n' >"$etc/hosts"
    printf 'localhost\n' >"$etc/hostname"
    : >"$etc/resolv.conf"
    printf 'passwd: files\ngroup: files\nhosts: files dns\n' >"$etc/nsswitch.conf"
    printf '/bin/sh\n/bin/ash\n' >"$etc/shells"
    printf 'tcp\t6\tTCP\nudp\t17\tUDP\nicmp\t1\tICMP\n' >"$etc/protocols"
    cat >"$etc/profile" <<-'END'
		export PATH="${PATH:-/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin}"
		export PS1='\h:\w\$ '
	END
    ln -s /proc/self/mounts "$etc/mtab"
}

# Names, modes, sizes and link targets, then contents.
digest() {
    (
        cd "$root"
        find . -printf '%y %m %p %l\n' | sort
        find . -type f -print0 | sort -z | xargs -0 sha256sum
    ) | sha256sum | cut -c1-12
}

make_folders
add_busybox
add_musl
add_certificates
add_time_zones
add_etc
find "$root" -depth -exec touch -h -d "$EPOCH" {} +
version=$FORMAT-$(digest)

if [ -e "$out" ]; then
    mv "$out" "$out.old.$$"
    mv "$root" "$out"
    rm -rf "$out.old.$$"
else
    mv "$root" "$out"
fi
printf '%s\n' "$version" >"$out.version"
