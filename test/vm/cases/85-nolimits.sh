# shellcheck shell=bash disable=SC2154 # of lib.sh
# A container without limits has no cgroup and runs as ever; figures are sums over its processes, and that is said.
# timeout: 180
# drivers: plain systemd direct
id=$(start free '' memory $((16 << 20)) 1000)
must 30 has_logged free touched
assert_equal "$(inspect free .limits)" null
assert_equal "$(inspect free '.resources | length')" 0
assert_equal "$(find /sys/fs/cgroup/user.slice -type d -name "squish-*$id*")" ""
squish stats --json --no-stream free >stats.json 2>errors
figure() { jq -r ".[0]$1" stats.json; }
assert_equal "$(figure .source)" proc
assert_equal "$(figure .memory_limit)" null
assert_equal "$(figure .pids)" 2
assert_between "$(figure .memory)" $((16 << 20)) $((24 << 20))
assert_contains "$(cat errors)" "free has no cgroup"
assert_contains "$(cat errors)" /proc
assert_equal "$(wc -l <errors)" 1
for command in pause "update --memory 32M"; do
    # shellcheck disable=SC2086 # words
    refused squish $command free
    assert_contains "$message" "no cgroup"
done
assert_equal "$(squish stop free)" "$id"
