#!/bin/bash
# boot.sh FOLDER PAYLOAD RESULTS: boots the system in FOLDER (image.sh), runs PAYLOAD/run.sh in it as `tester`, prints what
# that printed and exits with its status. RESULTS gets stdout, stderr, console.log, and out/, what was left in /out.
# PAYLOAD/root-setup.sh, if it is there, is run before, as root.
#   exit 124: the time was up ($VM_TIMEOUT, 600 s); 125: the system ended without a word
# $VM_CPUS (2), $VM_MEMORY (2048 MiB), $VM_APPEND (kernel parameters)
set -uo pipefail
export LC_ALL=C.UTF-8 PATH=$PATH:/usr/sbin:/sbin
[ $# -eq 3 ] || { echo "usage: boot.sh FOLDER PAYLOAD RESULTS" >&2; exit 2; }
folder=$1 payload=$2 results=$3
mkdir -p "$results" || exit 125
rm -rf "$results"/{console.log,stdout,stderr,status,out.tar,out}
kilobytes=$(($(du -sk --apparent-size "$payload" | cut -f1) * 5 / 4 + 8192))
trap 'rm -f "$results/payload.img"' EXIT
mke2fs -qF -t ext4 -O ^has_journal -m 0 -d "$payload" "$results/payload.img" "${kilobytes}k" >/dev/null || exit 125

parameters=(root=/dev/nvme0n1 rootfstype=ext4 rw console=ttyS0 quiet loglevel=4 panic=-1 systemd.show_status=0
    cgroup_no_v1=all systemd.unified_cgroup_hierarchy=1 psi=1 systemd.machine_id=5ac1e0f5b1a94d6c8f0e7b1c2d3a4e5f
    # What only costs time under emulation:
    mitigations=off tsc=reliable audit=0 init_on_alloc=0 nowatchdog rcupdate.rcu_expedited=1 random.trust_cpu=on)
port() { # NUMBER FILE
    ports+=(-chardev "file,id=port$1,path=$results/$2" -device "virtserialport,nr=$1,chardev=port$1")
}
ports=()
port 1 stdout
port 2 stderr
port 3 status
port 4 out.tar
timeout --kill-after=5 "${VM_TIMEOUT:-600}" qemu-system-x86_64 -nodefaults -no-user-config -display none -no-reboot \
    -machine pc,usb=off,vmport=off,smm=off -accel tcg,thread=multi,tb-size=512 -cpu Nehalem \
    -smp "${VM_CPUS:-2}" -m "${VM_MEMORY:-2048}" -kernel "$folder/vmlinuz" -append "${parameters[*]} ${VM_APPEND:-}" \
    -drive if=none,id=root,file="$folder/root.img",format=raw,snapshot=on,file.locking=off \
    -drive if=none,id=payload,file="$results/payload.img",format=raw,readonly=on \
    -device nvme,id=disks,serial=squish -device nvme-ns,bus=disks,drive=root,nsid=1 \
    -device nvme-ns,bus=disks,drive=payload,nsid=2 -chardev "file,id=console,path=$results/console.log" \
    -serial chardev:console -device virtio-rng-pci -device virtio-serial-pci "${ports[@]}" </dev/null
ended=$?
if [ -s "$results/out.tar" ]; then
    mkdir -p "$results/out"
    tar -C "$results/out" --no-same-owner -xf "$results/out.tar"
fi
[ ! -e "$results/stdout" ] || cat "$results/stdout"
[ ! -e "$results/stderr" ] || cat "$results/stderr" >&2
if [ -s "$results/status" ]; then
    exit "$(cat "$results/status")"
fi
[ $ended -ne 124 ] || exit 124
tail -n 30 "$results/console.log" >&2
exit 125
