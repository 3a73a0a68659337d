# What programs that nobody here wrote believe of the machine, in a container with 256 MiB and one CPU, which are limits
# where limits can be had, and figures of [procfs] elsewhere: the table of docs/procfs.md is what this file prints either
# way, but for the column of the host, which is another machine's.
load helpers

setup_file() {
    e2e_setup_file
    local root=$E2E_FILE_DIR/root
    mkdir -p "$root"/{usr,etc/alternatives,etc/java-17-openjdk,tmp}
    ln -s usr/bin "$root/bin"
    ln -s usr/lib "$root/lib"
    ln -s usr/lib64 "$root/lib64"
    printf '%s\n' root:x:0:0::/: nobody:x:65534:65534::/: >"$root/etc/passwd"
    export PROGRAMS_ROOT=$root PROGRAMS_TABLE=$E2E_FILE_DIR/table
    : >"$PROGRAMS_TABLE"
}

# [resources], where a container with it starts; else [procfs].
figures() {
    if [ ! -e "$PROGRAMS_TABLE.figures" ]; then
        printf '[resources]\nmemory = "256M"\nswap = "0"\ncpus = 1\n' >"$PROGRAMS_TABLE.figures"
        if ! in_shell true "$(cat "$PROGRAMS_TABLE.figures")" 2>no-limits; then
            assert_contains "$(cat no-limits)" "[resources]"
            printf '# figures, for lack of limits: %s\n' "$(cat no-limits)" >&3
            printf '[procfs]\nmemory = "256M"\ncpus = 1\n' >"$PROGRAMS_TABLE.figures"
        fi
    fi
    cat "$PROGRAMS_TABLE.figures"
}
are_limits() { figures | grep -qxF '[resources]'; }

# The host's own programs, which see nothing else of it.
inside() { # COMMAND
    local java=''
    [ ! -d /etc/java-17-openjdk ] || java="java = { path = '/etc/java-17-openjdk', target = '/etc/java-17-openjdk' }"
    squishfile inside.toml <<END
[layers]
root = { path = "$PROGRAMS_ROOT", rootfs = true }
usr = { path = "/usr", target = "/usr" }
alternatives = { path = "/etc/alternatives", target = "/etc/alternatives" }
$java
$(figures)
[run]
command = "/usr/bin/sh"
args = ['-c', '''$1''']
[env]
PATH = "/usr/bin:/usr/sbin"
LC_ALL = "C.UTF-8"
HOME = "/tmp"
END
    squish run --rm inside.toml
}

# row PROGRAM WHAT SOURCE EXPECTED COMMAND: what COMMAND prints inside is EXPECTED, and on the host something else (or the
# host is such a machine).
row() {
    local host inside
    command -v "${1%% *}" >/dev/null || skip "${1%% *} is not installed"
    host=$(LC_ALL=C.UTF-8 sh -c "$5") || fail "$1 does not run here"
    inside=$(inside "$5") || fail "$1 does not run inside: $inside"
    assert_equal "$inside" "$4"
    printf '| %s | %s | %s | %s | %s |\n' "$1" "$2" "$3" "$host" "$inside" >>"$PROGRAMS_TABLE"
}

@test "procps: free, top, uptime, vmstat" {
    row free "total memory, kB" /proc/meminfo 262144 "free -k | awk '/^Mem/ { print \$2 }'"
    row top "total memory, MiB" /proc/meminfo 256.0 "TERM=dumb top -bn1 | awk '/^MiB Mem/ { print \$4 }'"
    row "vmstat -s" "total memory, kB" /proc/meminfo 262144 "vmstat -s | awk '/total memory/ { print \$1 }'"
    assert_equal "$(inside "vmstat | awk 'END { print NF }'")" 17
    assert_equal "$(inside "uptime | awk '{ print \$2, \$3, \$4 }'")" "up 0 min,"
}

@test "busybox: free, nproc, uptime" {
    row "busybox free" "total memory, kB" "sysinfo(2)" 262144 "busybox free | awk '/^Mem/ { print \$2 }'"
    row "busybox nproc" "processors" "sched_getaffinity(2)" 1 "busybox nproc"
    assert_equal "$(inside "busybox uptime | awk '{ print \$2, \$3, \$4 }'")" "up 0 min,"
}

@test "nproc, lscpu" {
    row nproc "processors" "sched_getaffinity(2)" 1 nproc
    row lscpu "CPU(s)" "/sys/devices/system/cpu, /proc/cpuinfo" 1 "lscpu | awk -F: '/^CPU\\(s\\)/ { gsub(/ /, \"\", \$2); print \$2 }'"
    row "getconf _NPROCESSORS_ONLN" "processors" "/sys/devices/system/cpu/online (glibc)" 1 "getconf _NPROCESSORS_ONLN"
    row "getconf _PHYS_PAGES" "pages of memory" "sysinfo(2) (glibc)" 65536 "getconf _PHYS_PAGES"
}

@test "Node: os.totalmem(), os.cpus(), os.uptime()" {
    row node "os.totalmem(), bytes" /proc/meminfo 268435456 "node -p 'os.totalmem()'"
    row node "os.cpus().length" "/proc/cpuinfo, /proc/stat" 1 "node -p 'os.cpus().length'"
    assert_equal "$(inside "node -p 'os.uptime() < 60'")" true
}

@test "Python: os.cpu_count(), os.sched_getaffinity(), psutil" {
    row python3 "os.cpu_count()" "/sys/devices/system/cpu/online (glibc)" 1 "python3 -c 'import os; print(os.cpu_count())'"
    row python3 "len(os.sched_getaffinity(0))" "sched_getaffinity(2)" 1 "python3 -c 'import os; print(len(os.sched_getaffinity(0)))'"
    python3 -c 'import psutil' 2>/dev/null || skip "python3-psutil is not installed"
    row python3 "psutil.virtual_memory().total, bytes" /proc/meminfo 268435456 "python3 -c 'import psutil; print(psutil.virtual_memory().total)'"
    row python3 "psutil.cpu_count()" "/sys/devices/system/cpu/online (glibc)" 1 "python3 -c 'import psutil; print(psutil.cpu_count())'"
    assert_equal "$(inside "python3 -c 'import psutil, time; print(time.time() - psutil.boot_time() < 60)'")" True
}

@test "a JVM: its processors and its default heap, half of so little memory" {
    row java "-Xlog:os: processors" "sched_getaffinity(2)" 1 \
        "java -Xlog:os=trace -version 2>&1 | sed -n 's/.*sched_getaffinity processor count: //p' | head -n 1"
    row java "MaxHeapSize, bytes" "sysinfo(2) (glibc)" 132120576 "java -XX:+PrintFlagsFinal -version 2>/dev/null | awk '\$2 == \"MaxHeapSize\" { print \$4 }'"
}

@test "a JVM's own log of its container: the limits, or nothing" {
    command -v java >/dev/null || skip "java is not installed"
    run -0 inside "java -Xlog:os+container=trace -version 2>&1"
    if are_limits; then
        assert_contains "$output" "Memory Limit is: 268435456"
        assert_contains "$output" "CPU Quota is: 100000"
        assert_contains "$output" "total physical memory: 268435456"
        assert_contains "$output" "OSContainer::active_processor_count: 1"
    else
        assert_lacks "$output" "Limit is"
        assert_lacks "$output" "active_processor_count"
    fi
    printf '# %s: %s\n' "$(figures | head -n 1)" "$(grep -m 1 'Memory Limit is' <<<"$output" || grep -m 1 'not ' <<<"$output")" >&3
}

@test "docs/procfs.md has this table" {
    local without_host='s/^\(|[^|]*|[^|]*|[^|]*|\)[^|]*|/\1/'
    sed "$without_host" "$PROGRAMS_TABLE" >now
    [ -n "${E2E_DOCS-}" ] || skip "without the sources"
    sed -n '/^| [a-z]/p' "$E2E_DOCS/procfs.md" | sed "$without_host" >documented
    while IFS= read -r line; do
        grep -qxF "$line" documented || fail "docs/procfs.md lacks: $line
the table as it is now:
$(cat "$PROGRAMS_TABLE")"
    done <now
}
