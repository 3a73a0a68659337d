#!/bin/bash
# run.sh IMAGE PAYLOAD RESULTS: boots IMAGE (of image.sh) under QEMU's emulation and runs PAYLOAD/run.sh in it, as the user
# `tester` in a login session of its own. What it prints is printed here as it comes; what it leaves in /out is in
# RESULTS/out afterwards, beside the console's log. The image is not changed.
#   exit status: the script's own; 124 after VM_TIMEOUT (900) seconds; 125 where the machine ended without a verdict
set -uo pipefail
export LC_ALL=C.UTF-8 PATH=$PATH:/usr/sbin:/sbin
[ $# -eq 3 ] || { echo "usage: run.sh IMAGE PAYLOAD RESULTS" >&2 && exit 2; }
image=$1 payload=$2 results=$3
mkdir -p "$results"
rm -rf "$results"/{console,stdout,status,out.tar,payload.img,out}
: >"$results/stdout"

qemu=''
# shellcheck disable=SC2317 # called by the traps
end_machine() {
    [ -z "$qemu" ] || kill "$qemu" 2>/dev/null
    rm -f "$results/payload.img"
}
trap end_machine EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

kilobytes=$(($(du -sk --apparent-size "$payload" | cut -f1) * 5 / 4 + 8192))
mke2fs -qF -t ext4 -O ^has_journal -m 0 -d "$payload" "$results/payload.img" "${kilobytes}k" >/dev/null || exit 125
# Nested KVM is not to be had where this is built. The clock is the machine's own (tsc=reliable), what costs time under
# emulation and is no matter here is off; the security modules are Debian's.
timeout -k 5 "${VM_TIMEOUT:-900}" nice -n "${VM_NICE:-10}" qemu-system-x86_64 \
    -nodefaults -no-user-config -display none -no-reboot \
    -machine pc,usb=off,vmport=off,smm=off -accel tcg,thread=multi,tb-size=512 -cpu Nehalem -smp 2 -m "${VM_MEMORY:-2048}" \
    -kernel "$image/vmlinuz" \
    -append "root=/dev/nvme0n1 rootfstype=ext4 rw console=ttyS0 quiet loglevel=4 panic=-1 mitigations=off tsc=reliable \
systemd.show_status=0 systemd.machine_id=0123456789abcdef0123456789abcdef psi=1 audit=0 nowatchdog \
rcupdate.rcu_expedited=1 random.trust_cpu=on no_timer_check hugepages=8 ${VM_APPEND-}" \
    -drive if=none,id=root,file="$image/root.img",format=raw,snapshot=on,file.locking=off \
    -drive if=none,id=payload,file="$results/payload.img",format=raw,readonly=on \
    -device nvme,id=disks,serial=vm -device nvme-ns,bus=disks,drive=root,nsid=1 -device nvme-ns,bus=disks,drive=payload,nsid=2 \
    -chardev file,id=console,path="$results/console" -serial chardev:console \
    -device virtio-serial-pci -device virtio-rng-pci \
    -chardev file,id=c1,path="$results/stdout" -device virtserialport,nr=1,chardev=c1,name=stdout \
    -chardev file,id=c2,path="$results/status" -device virtserialport,nr=2,chardev=c2,name=status \
    -chardev file,id=c3,path="$results/out.tar" -device virtserialport,nr=3,chardev=c3,name=out </dev/null &
qemu=$!
tail -c +1 -s 0.5 -f --pid="$qemu" "$results/stdout" &
printer=$!
wait "$qemu"
ended=$?
qemu=''
wait "$printer"
if [ -s "$results/out.tar" ]; then
    mkdir "$results/out"
    tar -C "$results/out" --no-same-owner -xf "$results/out.tar" && rm "$results/out.tar"
fi
[ ! -s "$results/status" ] || exit "$(cat "$results/status")"
if [ "$ended" -eq 124 ]; then
    echo "run.sh: the virtual machine was ended after ${VM_TIMEOUT:-900} s" >&2
    exit 124
fi
echo "run.sh: the virtual machine ended without a verdict; its console:" >&2
tail -n 40 "$results/console" >&2
exit 125
