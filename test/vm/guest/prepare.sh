# In the new system, as its root: the account of the tests, and nothing that a test does not need at boot.
set -eu
useradd --create-home --uid 1000 --shell /bin/bash tester
for file in /etc/subuid /etc/subgid; do
    grep -q '^tester:' "$file" || echo tester:100000:65536 >>"$file"
done
mkdir -p /payload /var/lib/systemd/linger
: >/var/lib/systemd/linger/tester
echo vm >/etc/hostname
printf '127.0.0.1 localhost vm\n::1 localhost\n' >/etc/hosts
: >/etc/fstab
systemctl set-default squish-test.target
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer e2scrub_reap.service \
    fstrim.timer systemd-timesyncd.service systemd-update-utmp.service systemd-pstore.service systemd-firstboot.service \
    systemd-journal-flush.service systemd-remount-fs.service getty.target remote-fs.target ldconfig.service; do
    ln -sf /dev/null "/etc/systemd/system/$unit"
done
rm -rf /var/cache/apt/* /var/lib/apt/lists/*
