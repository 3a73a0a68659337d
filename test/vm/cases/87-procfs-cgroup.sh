# shellcheck shell=bash disable=SC2154 # of lib.sh
# What is shown follows the cgroup in every respect: limits further up, cpusets, shares of a CPU, pressure, disks, odd reads,
# and another server in the middle of it. After the cases of lxcfs's own test suite.
# timeout: 300
# drivers: systemd direct
in_it() { squish exec shown /app/testbin cat "$@"; }
shown() { awk -v key="$2:" '$1 == key { print $2 }' <<<"$1"; } # TEXT KEY → kB
mkdir data
chmod 0777 data
LAYERS="data = { path = '$DIR/data', target = '/data', rw = true }" start shown '[resources]
memory = "256M"
swap = "0"
cpus = 2
pids = 200' sleep 100000 >id
leaf=$(leaf_of shown)
above=$(dirname "$(outer_of shown)")

# The least limit up to the root is the one that counts: those above are looked at once a second.
limit_above() { echo "$1" >"$above/memory.max"; }
total_is() { [ "$(shown "$(in_it /proc/meminfo)" MemTotal)" = "$1" ]; } # kB
total_is 262144 || fail "$(in_it /proc/meminfo)"
limit_above $((128 << 20))
must 10 total_is 131072
assert_between "$(shown "$(in_it /proc/meminfo)" MemFree)" 1 131072
assert_equal "$(squish exec shown /app/testbin sysinfo | awk '$1 == "total" { print $2 }')" 131072
limit_above $((512 << 20))
must 10 total_is 262144
limit_above max

# A cpuset: the processors it names, with their own numbers, however one asks.
cpus_are() { # LIST COUNT
    assert_equal "$(in_it /sys/devices/system/cpu/online)" "$1"
    assert_equal "$(in_it /proc/cpuinfo | awk '/^processor/ { print $3 }' | paste -sd, | sed 's/0,1/0-1/')" "$1"
    assert_equal "$(in_it /proc/stat | grep -c '^cpu[0-9]')" "$2"
    assert_contains "$(squish exec shown /app/testbin cpus)" "affinity $2
online $2
configured $2"
    assert_equal "$(squish exec shown /bin/sh -c 'ls -d /sys/devices/system/cpu/cpu[0-9]* | wc -l')" "$2"
}
cpus_are 0-1 2
squish update --cpuset 1 shown >/dev/null
cpus_are 1 1
assert_contains "$(in_it /proc/stat)" "
cpu1 "
squish update --cpuset 0-1 shown >/dev/null
cpus_are 0-1 2

# A share of a CPU is a whole one to look at; the times are its own, and so is the pressure.
squish update --cpus 0.5 shown >/dev/null
assert_equal "$(in_it /proc/stat | grep -c '^cpu[0-9]')" 1
squish exec shown /app/testbin burn 3
ticks=$(in_it /proc/stat | awk '$1 == "cpu" { print $2 + $3 + $4 }')
assert_near "$((ticks * 10000))" "$(keyed "$leaf/cpu.stat" usage_usec)" 15
total_of() { sed -n 's/^some .*total=//p' "$@"; }
for resource in cpu memory io; do
    before=$(total_of "$leaf/$resource.pressure")
    text=$(in_it "/proc/pressure/$resource")
    assert_between "$(total_of <<<"$text")" "$before" "$(total_of "$leaf/$resource.pressure")"
    assert_contains "$text" "
full avg10="
done
assert_between "$(total_of "$leaf/cpu.pressure")" 1000000 100000000
assert_between "$(in_it /proc/loadavg | cut -d' ' -f4 | cut -d/ -f2)" 1 8

# Disks are those that its cgroup counts, and nothing but these; faults as well.
squish exec shown /app/testbin direct-write /data/file $((4 << 20)) >/dev/null
number=$(lsblk -dno MAJ:MIN "$(findmnt -no SOURCE /)" | tr -d ' ')
written() { awk -v number="$number" '$1 ":" $2 == number { print $10 * 512 }' <<<"$1"; }
text=$(in_it /proc/diskstats)
assert_equal "$(awk '{ print $1 ":" $2 }' <<<"$text" | sort)" "$(awk 'NF > 1 { print $1 }' "$leaf/io.stat" | sort)"
assert_equal "$(written "$text")" "$(sed -n "s/^$number .* wbytes=\([0-9]*\) .*/\1/p" "$leaf/io.stat")"
assert_between "$(written "$text")" $((4 << 20)) $((8 << 20))
assert_near "$(in_it /proc/vmstat | awk '$1 == "pgfault" { print $2 }')" "$(keyed "$leaf/memory.stat" pgfault)" 10

# In pieces of every size, backwards and in threads; each text is that of one instant.
for file in meminfo cpuinfo stat uptime loadavg swaps vmstat diskstats version slabinfo pressure/cpu; do
    assert_equal "$(squish exec shown /app/testbin nibble "/proc/$file")" "all alike"
done

# The next squishd brings servers of its own version; who reads meanwhile sees whole texts.
LAYERS='' start readers '[resources]
memory = "64M"' readers /proc/meminfo 4 200 /tmp/end >id
must 30 is_in_state readers running
for _ in 1 2 3; do
    old=$(process_of squish-procfs)
    squish daemon stop >/dev/null
    total_is 262144 || fail "$(in_it /proc/meminfo)"
    assert_equal "$(process_of squish-procfs | grep -cx "$old" || true)" 0
done
squish exec readers /bin/sh -c ': >/tmp/end'
must 60 is_in_state readers exited
assert_equal "$(inspect readers .exit.code)" 0
assert_matches "$(squish logs readers)" '^reads [0-9]+ longest [0-9.]+ ms$'
