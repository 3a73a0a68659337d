# shellcheck shell=bash disable=SC2154 # of lib.sh
# What a container is shown of the machine is its limits and what its cgroup uses: /proc, /sys, sysinfo(2), CPUs.
# timeout: 300
# drivers: systemd direct
export LAYERS='usr = { path = "/usr", target = "/usr" }'
start shown '[resources]
memory = "256M"
swap = "0"
cpus = 1
[run]
command = "/bin/sh"
args = ["-c", "sleep 1; /app/testbin memory 67108864 100000"]' >id
must 60 has_logged shown touched
leaf=$(leaf_of shown)
in_it() { squish exec shown /bin/sh -c "$1"; }
meminfo() { awk -v key="$1:" '$1 == key { print $2 }' meminfo; } # KEY → kB

in_it 'cat /proc/meminfo' >meminfo
assert_equal "$(meminfo MemTotal)" 262144
assert_equal "$(meminfo SwapTotal)" 0
used=$((262144 - $(meminfo MemFree)))
assert_near "$used" "$(($(value "$leaf/memory.current") / 1024))" 5
assert_between "$used" 65536 131072
[ "$(meminfo MemAvailable)" -le 262144 ]
in_it '/app/testbin sysinfo' >sysinfo
assert_equal "$(awk '$1 == "total" { print $2 }' sysinfo)" 262144
assert_near "$((262144 - $(awk '$1 == "free" { print $2 }' sysinfo)))" "$used" 5

# Every way to ask for the number of CPUs, and the times of these.
in_it 'nproc; grep -c ^processor /proc/cpuinfo; grep -c "^cpu[0-9]" /proc/stat; ls -d /sys/devices/system/cpu/cpu[0-9]* | wc -l' >cpus
assert_equal "$(tr '\n' ' ' <cpus)" "1 1 1 1 "
in_it '/app/testbin burn 2; cat /proc/stat; cat /proc/uptime' >stat
ticks=$(awk '$1 == "cpu" { print $2 + $3 + $4 }' stat)
assert_near "$((ticks * 10000))" "$(keyed "$leaf/cpu.stat" usage_usec)" 15
read -r uptime idle < <(tail -n 1 stat)
assert_between "${idle%.*}" 0 "${uptime%.*}"
in_it 'cat /proc/loadavg /proc/diskstats /proc/swaps; cat /proc/pressure/memory' >rest
assert_contains "$(cat rest)" "some avg10="

# Debian's own programs, and what they read.
in_debian() { # COMMAND: with the machine's /usr
    in_it "PATH=/usr/bin:/usr/sbin LD_LIBRARY_PATH=/usr/lib/x86_64-linux-gnu /usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 $1"
}
assert_equal "$(in_debian '/usr/bin/free -k' | awk '/^Mem/ { print $2 }')" 262144
assert_equal "$(in_debian '/usr/bin/nproc')" 1
assert_equal "$(in_debian '/usr/bin/lscpu' | awk -F: '/^CPU\(s\)/ { gsub(/ /, "", $2); print $2 }')" 1
assert_equal "$(in_debian '/usr/bin/vmstat -s' | awk '/total memory/ { print $1 }')" 262144
assert_equal "$(in_it free | awk '/^Mem/ { print $2 }')" 262144
assert_contains "$(in_it uptime)" "up "

# Other limits are seen at once, and by processes that run: CPUs are bound anew.
squish update --memory 128M --cpus 2 shown >/dev/null
in_it 'cat /proc/meminfo' >meminfo
assert_equal "$(meminfo MemTotal)" 131072
assert_equal "$(in_it nproc)" 2
assert_equal "$(in_it 'grep -c ^processor /proc/cpuinfo')" 2
payload=$(awk '$0 > 0' "$leaf/cgroup.procs" | while read -r pid; do grep -q testbin "/proc/$pid/comm" && echo "$pid"; done | head -n 1)
assert_equal "$(awk '/^Cpus_allowed_list/ { print $2 }' "/proc/$payload/status")" 0-1
squish update --cpus 0.5 shown >/dev/null
assert_equal "$(in_it nproc)" 1
assert_matches "$(awk '/^Cpus_allowed_list/ { print $2 }' "/proc/$payload/status")" '^[01]$'

# The server is killed under readers.
start readers '[resources]
memory = "64M"' readers /proc/meminfo 4 20
must 30 is_in_state readers running
for _ in 1 2 3 4 5 6 7 8 9 10; do
    pid=$(process_of squish-procfs)
    [ -z "$pid" ] || kill -KILL "$pid"
    sleep 0.5
done
must 120 is_in_state readers exited
assert_equal "$(inspect readers .exit.code)" 0
squish logs readers
