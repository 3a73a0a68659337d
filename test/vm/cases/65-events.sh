# shellcheck shell=bash disable=SC2154 # of lib.sh
# Whoever listens is told what happens, in order; whoever comes later finds it in the backlog, which outlives squishd.
# timeout: 300
# drivers: systemd direct
mkdir data
export LAYERS="data = { path = '$DIR/data', target = '/data' }"
squish events --json >followed &
listener=$!
id=$(start seen '[resources]
memory = "32M"
swap = "0"
[network]
mode = "bridge"
[health]
command = ["/app/testbin", "true"]
interval = "1s"
timeout = "30s"
[restart]
policy = "on-failure"
max_retries = 1
delay = "100ms"
[run]
command = "/bin/sh"
args = ["-c", "until [ -e /data/end ]; do sleep 0.2; done; exit 3"]')
must 60 has_event "$id" health
squish port add seen 9000:9000
squish port rm seen 9000:9000
squish update --pids 50 seen
squish pause seen
squish unpause seen
refused squish exec seen /app/testbin memory $((64 << 20))
must 20 has_event "$id" oom
touch data/end # it fails, is started again, and fails again
code=0
squish wait seen || code=$?
assert_equal "$code" 3
assert_equal "$(count_events "$id" start)" 2
squish rm seen
must 20 has_event "$id" remove

types=$(events "select(.id == \"$id\") | .type" | tr -d '"' | tr '\n' ' ')
note "$types"
for type in start health port-add port-remove update pause unpause oom exit restart remove; do
    [[ " $types" == *" $type "* ]] || fail "no event '$type' in: $types"
done
assert_matches "$types" '^start .*oom .*exit .*start .*exit .*remove $'
assert_equal "$(events "select(.id == \"$id\" and .type == \"health\") | .attributes.status" | head -n 1)" '"healthy"'
assert_equal "$(events "select(.id == \"$id\") | .name" | sort -u)" '"seen"'
# Their numbers have no gap, and their times go on.
events .number >numbers
assert_equal "$(cat numbers)" "$(seq "$(head -n 1 numbers)" "$(tail -n 1 numbers)")"
events ".time" >dates
assert_equal "$(cat dates)" "$(sort dates)"
assert_matches "$(head -n 1 dates)" '^"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}\.[0-9]{6}Z"$'
# Who followed was told the same.
followed_all() { [ "$(jq -c .number followed | tail -n 1)" = "$(tail -n 1 numbers)" ]; }
must 20 followed_all
assert_equal "$(jq -c .number followed)" "$(cat numbers)"
kill "$listener" # SIGINT is ignored by what a script starts in the background
wait "$listener" || true

events . >before
squish daemon stop
events . >after
assert_equal "$(cat after)" "$(cat before)"
squishfile late.toml '' true
squish run --rm late.toml
assert_equal "$(squish events --json --no-follow --since "$(tail -n 1 numbers)" | jq -r .type | head -n 1)" start
assert_equal "$(squish events --json --no-follow --since "$(tail -n 1 numbers)" | jq .number | head -n 1)" $(($(tail -n 1 numbers) + 1))
assert_equal "$(squish events --json --no-follow --backlog 2 | wc -l)" 2
assert_contains "$(squish events --no-follow)" oom
