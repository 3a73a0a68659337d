# Run once inside the new system.
set -e
useradd -m -u 1000 -s /bin/bash tester
grep -q ^tester: /etc/subuid || echo tester:100000:65536 >>/etc/subuid
grep -q ^tester: /etc/subgid || echo tester:100000:65536 >>/etc/subgid
mkdir -p /var/lib/systemd/linger /payload
: >/var/lib/systemd/linger/tester
echo vm >/etc/hostname
printf '127.0.0.1 localhost vm\n::1 localhost\n' >/etc/hosts
: >/etc/fstab
chmod 0755 /usr/local/sbin/vm-suite /usr/local/sbin/vm-session
systemctl set-default vm-suite.target
# Seconds each under emulation, and nothing here needs them.
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service fstrim.timer \
    systemd-random-seed.service systemd-update-utmp.service systemd-update-utmp-runlevel.service systemd-timesyncd.service \
    getty@.service serial-getty@.service getty.target ldconfig.service systemd-journal-catalog-update.service \
    systemd-remount-fs.service sys-kernel-debug.mount sys-kernel-tracing.mount dev-hugepages.mount dev-mqueue.mount \
    systemd-pstore.service modprobe@configfs.service modprobe@drm.service modprobe@efi_pstore.service \
    sys-fs-fuse-connections.mount sys-kernel-config.mount systemd-journal-flush.service remote-fs.target \
    proc-sys-fs-binfmt_misc.automount systemd-firstboot.service systemd-sysusers.service; do
    ln -sf /dev/null "/etc/systemd/system/$unit"
done
rm -rf /var/cache/apt/* /var/lib/apt/lists/* /var/log/*.log
