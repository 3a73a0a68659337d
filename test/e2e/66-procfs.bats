# What a container is shown of the machine: /proc, /sys, sysinfo(2), its CPUs. With figures of [procfs], since limits
# need a machine with cgroups (test/vm/cases/86-procfs.sh).
load helpers

FIGURES='[procfs]
memory = "256M"
cpus = 1'
APP='[layers]
app = "@TESTBIN@"'

# The server's pid, once there is one (a new one, where PID is given): a child of the keeper, found without a walk
# through all of /proc.
server_pid() { # NAME [OTHER THAN]
    local pid name
    for pid in $(cat "/proc/$KEEPER/task/$KEEPER/children"); do
        read -r name <"/proc/$pid/comm" || continue
        if [ "$name" = "$1" ] && [ "$pid" != "${2-}" ]; then
            echo "$pid"
            return 0
        fi
    done 2>/dev/null
    return 1
}
meminfo_of() { # TEXT KEY → kB
    awk -v key="$2:" '$1 == key { print $2 }' <<<"$1"
}

@test "figures of the squishfile: meminfo, sysinfo and busybox's free agree, and add up" {
    run -0 in_shell 'cat /proc/meminfo; echo ---; free; echo ---; /app/testbin sysinfo' "$APP
$FIGURES"
    meminfo=${output%%---*}
    assert_equal "$(meminfo_of "$meminfo" MemTotal)" 262144
    free=$(meminfo_of "$meminfo" MemFree)
    [ "$free" -gt 200000 ] && [ "$free" -lt 262144 ]
    [ "$(meminfo_of "$meminfo" MemAvailable)" -le 262144 ]
    assert_matches "$output" 'Mem: +262144 '
    assert_contains "$output" "total 262144"
}

@test "as many CPUs as the figure says, rounded up, to every way of asking" {
    [ "$(nproc)" -ge 2 ] || skip "a machine with one CPU"
    for cpus in 1 0.5; do
        run -0 in_shell 'nproc; grep -c ^processor /proc/cpuinfo; grep -c "^cpu[0-9]" /proc/stat; /app/testbin cpus
            ls -d /sys/devices/system/cpu/cpu[0-9]* | wc -l; cat /sys/devices/system/cpu/online' "$APP
[procfs]
cpus = $cpus"
        assert_equal "$(head -n 3 <<<"$output" | tr '\n' ' ')" "1 1 1 "
        assert_contains "$output" "affinity 1
online 1
configured 1
1"
    done
    run -0 in_shell 'nproc; grep -c ^processor /proc/cpuinfo' '[procfs]
cpus = 1.5'
    assert_equal "$output" "2
2"
}

@test "containers are spread over the CPUs" {
    [ "$(nproc)" -ge 2 ] || skip "a machine with one CPU"
    for i in 1 2; do
        create_shell 'cat /sys/devices/system/cpu/online; sleep 1000' '[procfs]
cpus = 1' >"id$i"
    done
    for i in 1 2; do wait_for 10 grep -q . <(squish logs "$(cat "id$i")"); done
    assert_not_equal "$(squish inspect "$(cat id1)" | json '[0]["procfs"]["cpus"]')" "$(squish inspect "$(cat id2)" | json '[0]["procfs"]["cpus"]')"
}

@test "the clock begins with the container, in /proc/uptime, sysinfo and CLOCK_BOOTTIME alike" {
    run -0 in_shell 'sleep 2; /app/testbin uptimes; uptime' "$APP"
    for way in boottime sysinfo proc; do assert_matches "$output" "$way [2-9]
"; done
    assert_contains "$output" "up 0 min"
    run -0 in_shell 'echo $(($(date +%s) - $(awk "/^btime/ { print \$2 }" /proc/stat)))'
    [ "$output" -le 3 ]
}

@test "what it uses is its own processes', and tells of nobody else's" {
    run -0 in_shell '/app/testbin memory 67108864 5 & sleep 2; cat /proc/meminfo; cat /proc/loadavg; /app/testbin sysinfo; wait' "$APP
$FIGURES"
    free=$(meminfo_of "$output" MemFree)
    [ "$free" -lt $((262144 - 65536)) ] && [ "$free" -gt 100000 ] || fail "$output"
    running=$(grep -oE ' [0-9]+/[0-9]+ ' <<<"$output")
    [ "${running#*/}" -le 12 ] || fail "$output"
    assert_matches "$output" 'processes [0-9]$'
}

@test "nothing of the host: no interrupt, no disk, no swap file, no builder's name" {
    run -0 in_shell 'cat /proc/stat /proc/diskstats /proc/swaps /proc/version /proc/vmstat /proc/slabinfo; ls -R /sys/devices/system/cpu /sys/devices/system/node'
    assert_matches "$output" 'intr 0
'
    for disk in $(awk '{ print $3 }' /proc/diskstats); do assert_lacks "$output" " $disk "; done
    for swap in $(awk 'NR > 1 { print $1 }' /proc/swaps); do assert_lacks "$output" "$swap"; done
    builder=$(grep -oE '\([^()]*@[^()]*\)' /proc/version || true)
    [ -z "$builder" ] || assert_lacks "$output" "$builder"
    assert_lacks "$output" cpufreq
}

@test "without figures the host's are shown; with mode = \"host\" it is the kernel's own files" {
    total=$(awk '$1 == "MemTotal:" { print $2 }' /proc/meminfo)
    run -0 in_shell 'grep MemTotal /proc/meminfo; grep -c " /proc/meminfo " /proc/mounts'
    assert_matches "$output" "MemTotal: +$total kB
1"
    run in_shell 'grep MemTotal /proc/meminfo; grep -c " /proc/meminfo " /proc/mounts' '[procfs]
mode = "host"'
    assert_matches "$output" "MemTotal: +$total kB
0"
    id=$(create_shell 'sleep 1000')
    assert_equal "$(squish inspect "$id" | json '[0]["procfs"]')" '{"mode": "virtual", "sysinfo": true, "reason": null, "cpus": null}'
    id=$(create_shell 'sleep 1000' '[procfs]
mode = "host"')
    assert_equal "$(squish inspect "$id" | json '[0]["procfs"]["mode"]')" host
    id=$(create_shell 'sleep 1000' '[security]
seccomp = "unconfined"')
    assert_equal "$(squish inspect "$id" | json '[0]["procfs"]["sysinfo"]')" false
    assert_contains "$(squish inspect "$id" | json '[0]["procfs"]["reason"]')" unconfined
}

@test "a process that joins is shown and bound as the container is" {
    id=$(create_shell 'sleep 1000' "$APP
$FIGURES")
    run -0 squish exec "$id" sh -c 'grep MemTotal /proc/meminfo; nproc; /app/testbin sysinfo'
    assert_matches "$output" 'MemTotal: +262144 kB
1
total 262144'
    squish exec "$id" /app/testbin memory 67108864 1000 >touched 3>&- &
    wait_for 10 in_use "$id" || fail "$(squish exec "$id" cat /proc/meminfo)"
}
in_use() { [ "$(squish exec "$1" awk '$1 == "MemFree:" { print $2 }' /proc/meminfo)" -lt $((262144 - 65536)) ]; }

@test "every odd way of reading, and a container that opens a file 10,000 times" {
    id=$(create_testbin hoard /proc/meminfo 10000 3)
    run -0 in_shell 'for f in meminfo cpuinfo stat uptime loadavg swaps vmstat version; do /app/testbin nibble /proc/$f || exit 1; done' "$APP
$FIGURES"
    assert_equal "$(sort -u <<<"$output")" "all alike"
    squish wait "$id"
    assert_equal "$(squish logs "$id")" "opened 10000
whole 10000"
}

@test "the server is killed 100 times under 20 readers: every text is whole" {
    id=$(create_testbin readers /proc/meminfo 20 900 /tmp/end)
    KEEPER=$(helper_pid squish-keeper)
    killed=0 last=''
    while [ "$killed" -lt 100 ] && [ "$(state_of "$id")" = running ]; do
        last=$(server_pid squish-procfs "$last") || continue
        kill -KILL "$last"
        killed=$((killed + 1))
        sleep 0.05
    done
    squish exec "$id" touch /tmp/end
    wait_for 60 has_ended "$id"
    run -0 squish logs "$id"
    printf '# killed %s times: %s\n' "$killed" "$output" >&3
    assert_matches "$output" '^reads [0-9]+ longest [0-9.]+ ms$'
    assert_equal "$(squish inspect "$id" | json '[0]["exit"]["code"]')" 0
    assert_equal "$killed" 100
}

@test "it is started again where no squishd is, and so is who answers sysinfo" {
    id=$(create_shell 'while [ ! -e /tmp/end ]; do sleep 0.1; done; cat /proc/meminfo; /app/testbin sysinfo' "$APP
$FIGURES")
    KEEPER=$(helper_pid squish-keeper)
    kill -KILL "$(helper_pid squishd)"
    for name in squish-procfs squish-sysinfo; do
        pid=$(server_pid "$name")
        kill -KILL "$pid"
        wait_for 10 server_pid "$name" "$pid" || fail "$name is not started again"
    done
    squish exec "$id" touch /tmp/end
    squish wait "$id"
    run -0 squish logs "$id"
    assert_equal "$(meminfo_of "$output" MemTotal)" 262144
    assert_contains "$output" "total 262144"
}

@test "a squishd that is started again goes on with the views that are there" {
    id=$(create_shell 'sleep 1000' "$FIGURES")
    kill -KILL "$(helper_pid squishd)"
    run -0 squish exec "$id" grep MemTotal /proc/meminfo
    assert_matches "$output" 'MemTotal: +262144 kB'
    run -0 in_shell 'grep MemTotal /proc/meminfo' '[procfs]
memory = "128M"'
    assert_matches "$output" 'MemTotal: +131072 kB'
}

@test "the container cannot write to its files, nor look behind them" {
    run in_shell 'echo 1 >/proc/meminfo; echo $?; mkdir /sys/devices/system/cpu/x; echo $?; cat /sys/devices/system/cpu/../../../../proc/1/environ | head -c 1; ls /sys/devices/system/cpu/cpu9999; umount /proc/meminfo; echo $?'
    assert_contains "$output" "1
"
    assert_lacks "$output" "0
0"
    run -0 in_shell 'grep " /proc/meminfo " /proc/mounts'
    assert_matches "$output" ' fuse[^ ]* ro,nosuid,nodev,noexec'
}
