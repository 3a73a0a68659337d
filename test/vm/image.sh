#!/bin/bash
# image.sh OUTDIR [PACKAGE…]: the system that test/vm boots, as OUTDIR/vmlinuz and OUTDIR/root.img: Debian 12 with its
# own kernel, systemd, one user `tester`, and what test/vm/guest puts on top. Nothing is done where it was made by the
# same recipe before. As root, or as a user with subordinate ids.
#
# Why parts of it are as they are
#   The kernel's package is unpacked and not installed: there is no initramfs, since nvme and ext4 are built in. Only the
#   modules that a container runtime, slirp4netns or the VM's own devices can need are kept.
#   The machine's own package sources are used, so that its administrator's choice of mirror holds here too.
set -euo pipefail
umask 022
export LC_ALL=C.UTF-8 PATH=$PATH:/usr/sbin:/sbin
[ $# -gt 0 ] || { echo "usage: image.sh OUTDIR [PACKAGE…]" >&2 && exit 2; }
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
OUT=$(mkdir -p "$1" && cd "$1" && pwd)
shift

PACKAGES=(systemd systemd-sysv dbus dbus-user-session libpam-systemd kmod procps psmisc util-linux iproute2 ca-certificates
    uidmap slirp4netns fuse3 busybox curl tmux bats jq python3
    libsystemd0 libseccomp2 libspdlog1.10 libfmt9 libsodium23 libyaml-cpp0.7 libarchive13 libcurl4 libnl-3-200
    libnl-route-3-200 libnftables1 libncursesw6 libfuse3-3 "$@")
MODULES=(fs/fuse fs/overlayfs fs/autofs fs/nls lib crypto net drivers/net/tun.ko drivers/net/veth.ko drivers/net/dummy.ko
    drivers/net/tap.ko drivers/virtio drivers/char/virtio_console.ko drivers/char/hw_random drivers/block)

exec 9>"$OUT/lock"
flock 9
recipe=$({ cat "$HERE/image.sh" && printf '%s\n' "${PACKAGES[@]}" && find "$HERE/guest" -type f -print0 | sort -z | xargs -0 cat; } |
    sha256sum | cut -c1-64)
if [ "$recipe" = "$(cat "$OUT/recipe" 2>/dev/null)" ] && [ -s "$OUT/vmlinuz" ] && [ -s "$OUT/root.img" ]; then exit 0; fi
rm -f "$OUT/recipe"

sources=()
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    if grep -qs bookworm "$file"; then sources+=("$file"); fi
done
mode=unshare
if [ "$(id -u)" -eq 0 ]; then mode=root; fi
W=$(mktemp -d "${TMPDIR:-/tmp}/squish-image.XXXXXX")
trap 'rm -rf "$W" || true' EXIT
chmod 0755 "$W"
tar -C "$HERE/guest" --owner=0 --group=0 --mode=u=rwX,go=rX -cf "$W/guest.tar" .

# Runs as (perhaps only namespaced) root with the new system's folder as $1 and the modules behind it.
cat >"$W/kernel.sh" <<'KERNEL'
set -eu
root=$1
shift
export APT_CONFIG=$MMDEBSTRAP_APT_CONFIG
mkdir "$root/k"
cd "$root/k"
apt-get -qq -o APT::Sandbox::User=root download "$(apt-cache depends linux-image-cloud-amd64 | sed -n 's/.*Depends: \(linux-image-6.*\)/\1/p')"
dpkg-deb -x ./linux-image-*.deb .
version=$(ls lib/modules)
mv boot/vmlinuz-* "$root/boot/vmlinuz"
to=$root/usr/lib/modules/$version
for part in "$@"; do
    mkdir -p "$(dirname "$to/kernel/$part")"
    mv "lib/modules/$version/kernel/$part" "$to/kernel/$part"
done
mv "lib/modules/$version"/modules.builtin* "lib/modules/$version/modules.order" "$to/"
cd /
rm -rf "$root/k"
chroot "$root" depmod "$version"
KERNEL

echo "making the virtual machine's system in '$OUT'"
include=$(IFS=, && echo "${PACKAGES[*]}")
mmdebstrap --quiet --mode="$mode" --variant=minbase --format=tar --include="$include" \
    --aptopt='Acquire::Languages "none"' --aptopt='APT::Install-Recommends "false"' --dpkgopt=force-unsafe-io \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    --customize-hook="sh $W/kernel.sh \"\$1\" ${MODULES[*]}" \
    --customize-hook="tar -C \"\$1\" -xf $W/guest.tar" \
    --customize-hook='chroot "$1" sh /setup.sh && rm "$1/setup.sh"' \
    bookworm "$W/root.tar" "${sources[@]}"
tar -xOf "$W/root.tar" ./boot/vmlinuz >"$OUT/vmlinuz"
# mke2fs keeps owners, so who unpacks must be root to the files.
make_image=(sh -ec 'mkdir "$1/root"
    tar -C "$1/root" --numeric-owner --exclude="./dev/*" --exclude=./boot/vmlinuz -xf "$1/root.tar"
    mke2fs -q -t ext4 -O ^has_journal -m 0 -L root -d "$1/root" "$1/root.img" 2G
    rm -rf "$1/root"' sh "$W")
if [ $mode = unshare ]; then
    chmod 0777 "$W"
    make_image=(unshare --map-root-user --map-auto "${make_image[@]}")
fi
"${make_image[@]}"
cp --sparse=always "$W/root.img" "$OUT/root.img"
chmod 0644 "$OUT/root.img" "$OUT/vmlinuz"
printf '%s\n' "$recipe" >"$OUT/recipe"
