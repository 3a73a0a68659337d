# shellcheck shell=bash disable=SC2154 # of lib.sh
# Who takes more memory than it may is killed by the kernel; squish says so, and nobody else is touched.
# timeout: 240
# drivers: systemd direct
limits='[resources]
memory = "32M"
swap = "0"'
start neighbour "$limits" memory $((16 << 20)) 1000 >id
must 30 has_logged neighbour touched

squishfile greedy.toml "$limits" memory $((64 << 20))
code=0
squish run --name greedy greedy.toml || code=$?
assert_equal "$code" 137
assert_equal "$(inspect greedy '.exit | [.code, .signal, .reason] | map(tostring) | join(" ")')" "137 9 oom"
assert_equal "$(inspect greedy .oom_kills)" 1
id=$(inspect greedy .id)
has_event "$id" oom || fail "no event oom: $(events)"
assert_equal "$(events "select(.id == \"$id\" and .type == \"exit\") | .attributes.reason")" '"oom"'

# What takes no more than it may is not killed, and a container outlives a child of its own that was.
squishfile modest.toml "$limits" memory $((24 << 20))
assert_equal "$(squish run --rm modest.toml)" touched
id=$(start parent "$limits
[run]
command = '/bin/sh'
args = ['-c', '/app/testbin memory $((64 << 20)); echo \"it ended with \$?\"; sleep 1000']")
must 60 has_logged parent 'it ended with 137'
must 10 has_event "$id" oom
assert_equal "$(inspect parent .oom_kills)" 1
assert_equal "$(state_of parent)" running
assert_equal "$(state_of neighbour)" running
assert_equal "$(count_events "$(cat id)" oom)" 0
assert_equal "$(keyed "$(leaf_of neighbour)/memory.events" oom_kill)" 0
