# Many containers, one after another and all at once: nothing of any of them may be left.
load helpers

# One line per thing that could be left behind, with its number.
take_stock() {
    local name pid helpers='squishd squish-keeper squish-stager squish-forward squish-dns slirp4netns' state=$XDG_RUNTIME_DIR/squish keeper
    squish_processes >stock.processes
    for name in $helpers squish-init; do echo "processes: $name $(grep -c " $name\$" stock.processes)"; done
    for name in $helpers; do
        pid=$(awk -v name="$name" '$2 == name { print $1; exit }' stock.processes)
        echo "descriptors: $name $(ls "/proc/$pid/fd" | wc -l)"
        case $name in squishd | slirp4netns) ;; *) echo "mounts: $name $(wc -l <"/proc/$pid/mountinfo")" ;; esac
    done
    echo "mounts: host $(grep -vc "never" /proc/self/mountinfo)"
    keeper=$(awk '$2 == "squish-keeper" { print $1 }' stock.processes)
    echo "network interfaces: $(nsenter -U -n -t "$keeper" --preserve-credentials ip -o link | wc -l)"
    for name in user mnt pid net uts ipc cgroup time; do
        echo "namespaces: $name $(cut -d' ' -f1 stock.processes | while read -r pid; do readlink "/proc/$pid/ns/$name"; done | sort -u | wc -l)"
    done
    echo "files: state $(find "$state" -mindepth 1 | wc -l)"
    echo "files: data $(find "$XDG_DATA_HOME" "$XDG_CONFIG_HOME" -mindepth 1 | wc -l)"
    echo "files: /tmp $(find /tmp -maxdepth 1 -user "$(id -u)" | wc -l)"
    echo "sockets of the forwarder: $(find "/proc/$(awk '$2 == "squish-forward" { print $1 }' stock.processes)/fd" -lname 'socket:*' | wc -l)"
}

# Squish at rest: started, every helper there, the squishfiles FILE… known, the spare cells built, and what a busy time
# had left given back. Takes stock into the file $1.
stock_at_rest() { # STOCK FILE…
    local port stock=$1 id
    shift
    port=$(free_port)
    testbin_file warm.toml http 2000 warm
    id=$(squish create --publish "$port:2000" warm.toml) # so that there is a forwarder
    fetch "http://127.0.0.1:$port/" >/dev/null
    squish rm -f "$id" >/dev/null
    for file in warm.toml "$@"; do
        id=$(squish create "$file" 2>/dev/null) && squish rm -f "$id" >/dev/null || true
    done
    for _ in 1 2 3; do squish run --rm warm.toml -- true; done
    wait_for 30 at_rest || fail "it does not come to rest: $(squish_processes)"
    take_stock >"$stock"
}
# Two spare cells (spare_cells = 2) and two more spare networks; with loopback, bridge and uplink seven links.
at_rest() {
    [ "$(squish_processes | grep -c 'squish-in')" -eq 2 ] && no_container_left && [ "$(interfaces)" -eq 7 ]
}
interfaces() { nsenter -U -n -t "$(helper_pid squish-keeper)" --preserve-credentials ip -o link | wc -l; }

same_stock() { take_stock >after && diff before after >difference; }

# What is left, compared with the file `before`; it may take a moment until the kernel has taken everything down.
assert_same_stock() {
    wait_for 30 same_stock || fail "before (<) and after (>):
$(cat difference)"
    sed 's/^/# /' after >&3
}

resident() { awk '/^VmRSS:/ { print $2 }' "/proc/$(helper_pid "$1")/status"; }

@test "1,000 starts one after another: every exit code is right, and nothing is left" {
    testbin_file exit.toml exit 0
    stock_at_rest before
    for name in squishd squish-keeper squish-stager; do resident "$name" >"rss.$name"; done
    begin=$(now_ms)
    wrong=0
    for ((i = 1; i <= 1000; i++)); do
        code=0
        squish run --rm exit.toml -- exit $((i % 125)) || code=$?
        [ "$code" -eq $((i % 125)) ] || { echo "start $i gave $code" >&2; wrong=$((wrong + 1)); }
    done
    echo "# 1000 starts in $(($(now_ms) - begin)) ms" >&3
    assert_equal "$wrong" 0
    assert_equal "$(squish ps -aq)" ""
    assert_same_stock
    for name in squishd squish-keeper squish-stager; do
        echo "# memory: $name $(cat "rss.$name") KiB, then $(resident "$name") KiB" >&3
        [ "$(resident "$name")" -lt $(($(cat "rss.$name") + 8192)) ] || fail "$name has grown from $(cat "rss.$name") to $(resident "$name") KiB"
    done
}

@test "200 containers with ports alive at once: all are reached, and nothing is left" {
    testbin_file http.toml http 2000 "one of many"
    printf '[[ports]]\nhost = 0\ncontainer = 2000\n' >>http.toml
    stock_at_rest before
    files=()
    for i in $(seq 1 25); do files+=(http.toml); done
    begin=$(now_ms)
    pids=()
    for batch in 1 2 3 4 5 6 7 8; do
        squish create "${files[@]}" >"ids.$batch" 2>"errors.$batch" 3>&- &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid" || fail "$(cat errors.*)"; done
    echo "# 200 containers created in $(($(now_ms) - begin)) ms" >&3
    cat ids.* | sort >ids
    assert_equal "$(sort -u ids | wc -l)" 200
    assert_equal "$(squish ps -q | sort)" "$(cat ids)"

    # Each is alive, with an address and a name of its own.
    squish ps --json >list.json
    # shellcheck disable=SC2046
    squish inspect $(cat ids) >inspect.json
    run -0 /usr/bin/python3 - <<'PYTHON'
import json, os
containers = json.load(open("inspect.json"))
assert len(containers) == 200, len(containers)
for what in ("id", "name", "address", "pid"):
    assert len({c[what] for c in containers}) == 200, what
for c in containers:
    assert c["state"] == "running", c
    assert open(f"/proc/{c['pid']}/comm").read() == "squish-init\n"
PYTHON
    # Each through its port, and a few of them reach a few others.
    json '.__iter__() and "\n".join("url = http://127.0.0.1:%d/" % c["ports"][0]["host"] for c in document)' <inspect.json >urls
    assert_equal "$(sort -u urls | wc -l)" 200
    wait_for 20 eval 'curl -fsS --max-time 30 -K urls >answers' || fail "$(curl -sS --max-time 30 -K urls 2>&1 | tail -3)"
    assert_equal "$(grep -o "one of many" answers | wc -l)" 200
    addresses=$(json '[0]["address"]' <inspect.json)
    for i in 50 100 150; do addresses+=" $(json "[$i][\"address\"]" <inspect.json)"; done
    for id in $(sed -n '1p;67p;133p;200p' ids); do
        for address in $addresses; do
            wait_for 10 squish exec "$id" /app/testbin connect "$address" 2000 || fail "$id does not reach $address"
        done
    done
    assert_equal "$(squish_processes | grep -c ' squish-init$')" 202

    begin=$(now_ms)
    pids=()
    for batch in 1 2 3 4; do
        sed -n "$((batch * 50 - 49)),$((batch * 50))p" ids | xargs squish stop >"stopped.$batch" 3>&- &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid"; done
    echo "# 200 containers stopped in $(($(now_ms) - begin)) ms" >&3
    assert_equal "$(cat stopped.* | sort)" "$(cat ids)"
    assert_equal "$(squish ps -q)" ""
    xargs squish wait <ids >codes || true
    assert_equal "$(sort codes | uniq -c | tr -s ' ')" " 200 143"
    xargs squish rm <ids >/dev/null
    assert_same_stock
}

@test "100 containers with published ports: every port answers, and all are free afterwards" {
    stock_at_rest before
    port=$(free_port)
    files=()
    for i in $(seq 0 99); do
        squishfile "web$i.toml" <<END
[layers]
app = "@TESTBIN@"
[run]
command = "/app/testbin"
args = ["http", "2000", "number $i"]
[[ports]]
container = 2000
host = $((port + i))
address = "127.1.2.3"
END
        files+=("web$i.toml")
    done
    squish create --rm "${files[@]}" >ids
    for i in 0 17 50 99; do assert_equal "$(fetch "http://127.1.2.3:$((port + i))/")" "number $i"; done
    for i in $(seq 0 99); do echo "url = http://127.1.2.3:$((port + i))/"; done | curl -fsS --max-time 30 -K - >answers
    assert_equal "$(grep -o 'number' answers | wc -l)" 100
    xargs squish stop <ids >/dev/null
    wait_for 5 eval '[ -z "$(ss -Htln src 127.1.2.3)" ]' || fail "$(ss -Htln src 127.1.2.3)"
    assert_same_stock
}

@test "300 failed starts leave nothing, either" {
    printf '[run]\ncommand = "/no/such/program"\n' >none.toml
    squishfile folder.toml <<<$'[run]\ncommand = "/bin/true"\nworkdir = "/nowhere"'
    testbin_file port.toml http 2000
    stock_at_rest before none.toml folder.toml port.toml
    holder=$(free_port)
    keep=$(squish create --publish "$holder:2000" port.toml)
    for ((i = 1; i <= 100; i++)); do
        code=0 && { squish run none.toml 2>/dev/null || code=$?; } && assert_equal "$code" 127
        code=0 && { squish run folder.toml 2>/dev/null || code=$?; } && assert_equal "$code" 125
        code=0 && { squish run --publish "$holder:2000" port.toml 2>/dev/null || code=$?; } && assert_equal "$code" 125
    done
    squish rm -f "$keep"
    assert_no_container
    assert_same_stock
}
