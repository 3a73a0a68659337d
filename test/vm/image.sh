#!/bin/bash
# image.sh FOLDER: makes FOLDER/{vmlinuz,root.img}, the system that the cases run in, unless it is there already.
#
# How this works
#   The kernel comes straight out of its package: no initramfs, no bootloader; only the modules that a container runtime
#   needs are kept. mmdebstrap makes the root file system as a tarball (as root, or in a user namespace of the caller's
#   subordinate ids), mke2fs the image. Nothing is started, mounted or installed on the host.
set -euo pipefail
export LC_ALL=C.UTF-8 PATH=$PATH:/usr/sbin:/sbin
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
[ $# -eq 1 ] || { echo "usage: image.sh FOLDER" >&2; exit 2; }
mkdir -p "$1"
OUT=$(cd "$1" && pwd)
readonly HERE OUT

PACKAGES=(systemd systemd-sysv dbus dbus-user-session libpam-systemd kmod uidmap slirp4netns fuse3 curl procps iproute2
    libseccomp2 libarchive13 libnl-route-3-200 libnftables1 libspdlog1.10 libfmt9 libcurl4 libyaml-cpp0.7 libsodium23
    libsystemd0 tzdata ca-certificates)
MODULES=(fs/fuse fs/overlayfs fs/nls fs/autofs lib crypto net drivers/net/tun.ko drivers/net/veth.ko drivers/net/dummy.ko
    drivers/virtio drivers/char/virtio_console.ko drivers/char/hw_random drivers/block)

# The recipe is what it is made from: these files and lists.
recipe() { { cat "${BASH_SOURCE[0]}"; find "$HERE/guest" -type f | LC_ALL=C sort | xargs cat; } | sha256sum | cut -d' ' -f1; }
wanted=$(recipe)
if [ -s "$OUT/root.img" ] && [ -s "$OUT/vmlinuz" ] && [ "$(cat "$OUT/recipe" 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi
rm -f "$OUT/recipe"

mode=unshare
[ "$(id -u)" -ne 0 ] || mode=root
work=$(mktemp -d)
chmod 755 "$work"
trap 'rm -rf "$work"' EXIT

# The machine's own package sources, whatever its administrator chose.
sources=()
for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list /etc/apt/sources.list.d/*.sources; do
    [ ! -s "$file" ] || sources+=("$file")
done

kernel=$(apt-cache depends linux-image-cloud-amd64 | awk '/Depends: linux-image-/ { print $2; exit }')
[ -n "$kernel" ] || { echo "image.sh: no package linux-image-cloud-amd64: apt-get update" >&2; exit 1; }
(cd "$work" && apt-get -q download "$kernel" >/dev/null && dpkg-deb -x ./linux-image-*.deb kernel)
cp "$work"/kernel/boot/vmlinuz-* "$OUT/vmlinuz"
version=$(basename "$work"/kernel/lib/modules/*)
from=$work/kernel/lib/modules/$version to=$work/modules/lib/modules/$version
for module in "${MODULES[@]}"; do
    [ -e "$from/kernel/$module" ] || continue # built in, or elsewhere in another version: the boot would say so
    mkdir -p "$to/kernel/$(dirname "$module")"
    cp -a "$from/kernel/$module" "$to/kernel/$module"
done
cp "$from"/modules.{builtin,builtin.modinfo,order} "$to/"
depmod -b "$work/modules" "$version"
tar -C "$work/modules" --owner=0 --group=0 -cf "$work/modules.tar" lib
tar -C "$HERE/guest" --owner=0 --group=0 --exclude=./prepare.sh -cf "$work/guest.tar" .
cp "$HERE/guest/prepare.sh" "$work/prepare.sh"
chmod 644 "$work"/*.tar
chmod 755 "$work/prepare.sh"

mmdebstrap --quiet --mode=$mode --variant=minbase --format=tar --include="$(IFS=,; echo "${PACKAGES[*]}")" \
    --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Languages "none"' --dpkgopt='force-unsafe-io' \
    --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' \
    --customize-hook="tar -C \"\$1\" --keep-directory-symlink -xf '$work/modules.tar'" \
    --customize-hook="tar -C \"\$1\" -xf '$work/guest.tar'" \
    --customize-hook="cp '$work/prepare.sh' \"\$1/prepare.sh\" && chroot \"\$1\" sh /prepare.sh && rm \"\$1/prepare.sh\"" \
    bookworm "$work/root.tar" "${sources[@]}"

# shellcheck disable=SC2016 # expanded by the inner shell
to_image='set -e; mkdir "$1/root"; tar -C "$1/root" --numeric-owner --exclude="./dev/*" -xf "$1/root.tar"
    mke2fs -q -t ext4 -O ^has_journal -m 0 -d "$1/root" "$1/root.img" 1536M; rm -rf "$1/root"'
if [ $mode = root ]; then
    sh -c "$to_image" sh "$work"
else
    chmod 777 "$work"
    unshare --map-root-user --map-auto sh -c "$to_image" sh "$work"
fi
cp --sparse=always "$work/root.img" "$OUT/root.img.new"
mv "$OUT/root.img.new" "$OUT/root.img"
echo "$wanted" >"$OUT/recipe"
