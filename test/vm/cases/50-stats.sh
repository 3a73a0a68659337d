# shellcheck shell=bash disable=SC2154 # of lib.sh
# The figures of `squish stats` are the kernel's, within 5 percent.
# timeout: 240
# drivers: systemd direct
mkdir data
chmod 0777 data
export LAYERS="data = { path = '$DIR/data', target = '/data', rw = true }"
id=$(start steady '[resources]
memory = "64M"
cpus = 0.5
pids = 20
[run]
command = "/bin/sh"
args = ["-c", "/app/testbin burn 1; /app/testbin direct-write /data/file 2097152; exec /app/testbin memory 33554432 1000"]
[network]
mode = "bridge"')
must 60 has_logged steady touched
leaf=$(leaf_of steady)

squish stats --json --no-stream steady >stats.json
figure() { jq -r ".[0]$1" stats.json; }
assert_equal "$(jq length stats.json)" 1
assert_equal "$(figure .id)" "$id"
assert_equal "$(figure .name)" steady
assert_equal "$(figure .source)" cgroup
assert_near "$(figure .memory)" "$(value "$leaf/memory.current")" 5
assert_between "$(figure .memory)" $((32 << 20)) $((64 << 20))
assert_equal "$(figure .memory_used)" $(($(figure .memory) - $(figure .memory_cache)))
assert_equal "$(figure .memory_limit)" $((64 << 20))
assert_near "$(figure .cpu_usage_us)" "$(keyed "$leaf/cpu.stat" usage_usec)" 5
assert_between "$(figure .cpu_usage_us)" 450000 60000000
assert_near "$(figure '.cpu_user_us + .[0].cpu_system_us')" "$(figure .cpu_usage_us)" 1
assert_equal "$(figure .pids)" "$(value "$leaf/pids.current")"
assert_equal "$(figure .pids_limit)" 20
assert_near "$(figure .io_written)" "$(grep -o 'wbytes=[0-9]*' "$leaf/io.stat" | awk -F= '{ sum += $2 } END { print sum }')" 5
assert_between "$(figure .io_written)" $((2 << 20)) $((8 << 20))
assert_equal "$(figure .oom_kills)" 0
assert_between "$(figure .network_received)" 0 1000000
assert_equal "$(figure '.pressure.cpu.some.total_us >= 0')" true
assert_between "$(figure .cpu_percent)" 0 10

start busy '[resources]
cpus = 0.5' burn 1000
squish stats --json --no-stream busy >stats.json
assert_between "$(figure .cpu_percent)" 30 70 # half a second of periods of 0.1 s
# A table for people, and all that run where nobody is named.
squish stats --no-stream >table
assert_equal "$(wc -l <table)" 3
assert_matches "$(head -n 1 table)" 'NAME.*ID.*CPU.*MEM.*PIDS'
assert_contains "$(cat table)" steady
# What has ended has no figures; what never was has none either.
squish kill busy
must 20 is_in_state busy exited
refused squish stats --no-stream busy
assert_contains "$message" busy
refused squish stats --no-stream nobody
assert_equal "$(squish stats --json --no-stream | jq -r '.[].name')" steady
