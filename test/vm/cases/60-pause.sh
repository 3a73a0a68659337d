# shellcheck shell=bash disable=SC2154 # of lib.sh
# A paused container uses no CPU and takes no exec; it goes on where it was, and can be stopped as it is.
# timeout: 180
# drivers: systemd direct
id=$(start frozen '[resources]
cpus = 0.5' burn 1000)
leaf=$(leaf_of frozen)
assert_equal "$(squish pause frozen)" "$id"
assert_equal "$(state_of frozen)" paused
assert_contains "$(squish ps)" paused
assert_equal "$(keyed "$leaf/cgroup.events" frozen)" 1
before=$(keyed "$leaf/cpu.stat" usage_usec)
sleep 3
assert_equal "$(keyed "$leaf/cpu.stat" usage_usec)" "$before"
refused squish exec frozen /app/testbin true
assert_contains "$message" paused
refused squish pause frozen
assert_contains "$message" paused

# Another squishd finds it as it is.
squish daemon stop
assert_equal "$(state_of frozen)" paused
assert_equal "$(squish unpause frozen)" "$id"
assert_equal "$(state_of frozen)" running
more() { [ "$(keyed "$leaf/cpu.stat" usage_usec)" -gt $((before + 100000)) ]; }
must 20 more
squish exec frozen /app/testbin true
refused squish unpause frozen
assert_equal "$(events "select(.id == \"$id\") | .type" | tr '\n' ' ')" '"start" "pause" "unpause" '

squish pause frozen
began=$SECONDS
assert_equal "$(squish stop -t 5 frozen)" "$id"
assert_between $((SECONDS - began)) 0 20
assert_equal "$(state_of frozen)" exited
