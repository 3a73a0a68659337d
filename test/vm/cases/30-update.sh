# shellcheck shell=bash disable=SC2154 # of lib.sh
# Limits change while a container runs, up and down: inside it is seen and enforced. What cannot be done changes nothing.
# timeout: 300
# drivers: systemd direct
inside() { squish exec changing /app/testbin cat "/sys/fs/cgroup/$1"; }
forks() { squish exec changing /app/testbin forks 100 | sed 's/^forked \([0-9]*\): EAGAIN$/\1/'; }

id=$(start changing '[resources]
memory = "64M"
swap = "0"
cpus = 0.5
pids = 20' sleep 1000)
leaf=$(leaf_of changing)
outer=$(outer_of changing)
at_first=$(forks)
assert_between "$at_first" 16 18
refused squish exec changing /app/testbin memory $((80 << 20))
assert_equal "$code" 137

assert_equal "$(squish update --memory 96M --cpus 0.75 --pids 30 changing)" "$id"
for folder in "$leaf" "$outer"; do
    assert_equal "$(value "$folder/memory.max")" $((96 << 20))
    assert_equal "$(value "$folder/cpu.max")" "75000 100000"
done
assert_equal "$(value "$leaf/pids.max")" 30
assert_equal "$(value "$outer/pids.max")" "$(outer_pids 30)"
assert_equal "$(inside memory.max)" $((96 << 20))
assert_equal "$(squish exec changing /app/testbin memory $((80 << 20)))" touched
assert_equal "$(forks)" $((at_first + 10))
assert_equal "$(inspect changing '.resources | [.memory, .cpus, .pids] | map(tostring) | join(" ")')" "100663296 0.75 30"

squish update --memory 48M --cpus 0.25 --pids 12 changing
assert_equal "$(inside cpu.max)" "25000 100000"
refused squish exec changing /app/testbin memory $((80 << 20))
assert_equal "$code" 137
assert_equal "$(forks)" $((at_first - 8))
has_event "$id" update || fail "no event update"

squish update --memory max --cpus max changing
assert_equal "$(value "$leaf/memory.max")" max
assert_equal "$(value "$outer/cpu.max")" "max 100000"
assert_equal "$(inspect changing '.resources | [.memory, .cpus, .pids] | map(tostring) | join(" ")')" "null null 12"
assert_equal "$(squish exec changing /app/testbin memory $((80 << 20)))" touched

# There is no CPU 7 here: nothing of such an update comes to be.
squish update --memory 64M --cpus 0.5 changing
before=$(inspect changing '.resources | tostring')
refused squish update --memory 48M --pids 25 --cpuset 7 changing
assert_contains "$message" cpuset
for folder in "$leaf" "$outer"; do
    assert_equal "$(value "$folder/memory.max")" $((64 << 20))
done
assert_equal "$(value "$leaf/pids.max")" 12
assert_equal "$(value "$outer/pids.max")" "$(outer_pids 12)"
assert_equal "$(inspect changing '.resources | tostring')" "$before"
refused squish update --pids none changing
assert_contains "$message" pids
assert_equal "$(state_of changing)" running

# Another squishd knows what is in effect.
squish daemon stop
assert_equal "$(inspect changing '.resources | tostring')" "$before"
squish update --pids 15 changing
assert_equal "$(value "$leaf/pids.max")" 15
