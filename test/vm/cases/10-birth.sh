# shellcheck shell=bash disable=SC2154 # of lib.sh
# A container is born in its cgroup: its first instruction is there, it sees its own limits, and nothing was moved.
# timeout: 180
# drivers: plain systemd direct
limits='[resources]
memory = "64M"
cpus = 0.5
pids = 32'

squishfile first.toml "$limits" cat /proc/self/cgroup
assert_equal "$(squish run --rm first.toml)" "0::/"

id=$(start born "$limits" sleep 1000)
leaf=$(leaf_of born)
assert_equal "$(basename "$leaf")" payload
assert_contains "$leaf" "$id"
assert_equal "$(for pid in $(cat "$leaf/cgroup.procs"); do cat "/proc/$pid/comm"; done | sort | tr '\n' ' ')" "squish-init testbin "
for folder in "$leaf" "$(outer_of born)"; do
    assert_equal "$(value "$folder/memory.max")" 67108864
    assert_equal "$(value "$folder/cpu.max")" "50000 100000"
done
assert_equal "$(value "$leaf/pids.max")" 32
assert_equal "$(value "$(outer_of born)/pids.max")" "$(outer_pids 32)"
assert_equal "$(squish exec born /app/testbin cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max)" "67108864
32"
refused squish exec born /app/testbin write /sys/fs/cgroup/memory.max max
assert_contains "$message" "Read-only file system"
refused squish exec born /app/testbin write /sys/fs/cgroup/cgroup.procs 0
assert_equal "$(inspect born '.resources | [.memory, .cpus, .pids] | map(tostring) | join(" ")')" "67108864 0.5 32"

# The kernel notes every move (tracefs: cgroup_attach_task); a clone into a cgroup is none.
[ -r /sys/kernel/tracing/trace ] || fail "moves between cgroups are not noted here"
moves=$(grep -F "cgroup_attach_task" /sys/kernel/tracing/trace | grep -F "$id" | grep -F /payload || true)
assert_equal "$moves" ""
