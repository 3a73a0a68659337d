# shellcheck shell=bash disable=SC2154 # of lib.sh
# squishd in a scope or service that was delegated to it needs no more than that: its own cgroup is where containers go.
# timeout: 180
# drivers: direct
configure '[limits]' 'driver = "direct"'
systemd-run --user --scope --quiet --collect --unit=squish-alone -p Delegate=yes squish daemon start
start alone '[resources]
memory = "32M"
pids = 10' sleep 1000
leaf=$(leaf_of alone)
assert_contains "$leaf" /squish-alone.scope/
assert_equal "$(value "$leaf/memory.max")" 33554432
assert_equal "$(squish exec alone /app/testbin cat /sys/fs/cgroup/pids.max)" 10
[[ "$(cat "/proc/$(process_of squishd)/cgroup")" == */squish-alone.scope/squish-*-daemon ]] || fail "squishd is in the way of containers"
squish rm -f alone
