# shellcheck shell=bash disable=SC2154 # of lib.sh
# What `squish exec` starts is in the container's cgroup from its first instruction, and is counted.
# timeout: 120
# drivers: systemd direct
start host '[resources]
memory = "32M"
swap = "0"
pids = 10' sleep 1000
leaf=$(leaf_of host)
assert_equal "$(squish exec host /app/testbin cat /proc/self/cgroup)" "0::/"
before=$(value "$leaf/pids.current")
squish exec host /app/testbin sleep 1000 &
more() { [ "$(value "$leaf/pids.current")" -gt "$before" ]; }
must 20 more
names=$(for pid in $(cat "$leaf/cgroup.procs"); do tr '\0' ' ' <"/proc/$pid/cmdline"; done)
assert_equal "$(grep -o 'testbin sleep 1000' <<<"$names" | wc -l)" 2
refused squish exec host /app/testbin memory $((64 << 20))
assert_equal "$code" 137
assert_equal "$(state_of host)" running
squish stop -t 1 host
wait || true
