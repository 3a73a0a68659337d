# The network: published ports, what a container reaches, and what it must not.
load helpers

# A web server of the payload's, published on a free port: sets $id and $port. More squishfile lines on stdin.
start_web() { # [TEXT]
    port=$(free_port)
    testbin_file web.toml http 2000 "${1-hello}"
    id=$(squish create --publish "$port:2000" web.toml)
    wait_for 10 eval "squish logs $id | grep -q ready"
}

# A server on the host, on all its addresses: sets $host_port. Ended by teardown.
start_on_host() {
    host_port=$(free_port)
    "$E2E_TESTBIN" http "$host_port" "the host" >host.out 2>&1 3>&- &
    echo $! >"$E2E_FILE_DIR/host.pid"
    disown
    wait_for 5 grep -q ready host.out
}
teardown() {
    if [ -s "$E2E_FILE_DIR/host.pid" ]; then
        kill "$(cat "$E2E_FILE_DIR/host.pid")" 2>/dev/null || true
        rm "$E2E_FILE_DIR/host.pid"
    fi
    e2e_teardown
}

# An address of this machine that is not a loopback one; nothing where it has none.
host_address() { ip -4 -o addr show scope global up | awk '{ sub("/.*", "", $4); print $4; exit }'; }

# reaches ID ADDRESS PORT: whether a TCP connection can be made from inside.
reaches() { squish exec "$1" /app/testbin connect "$2" "$3" >/dev/null 2>&1; }
address_of() { squish inspect "$1" | json '[0]["address"]'; }

# --- published ports -------------------------------------------------------------------------------------------------

@test "a large download through a published port is complete" {
    start_web
    want=$("$E2E_TESTBIN" flood 200000000 | sha256sum)
    begin=$(now_ms)
    got=$(curl -fsS --max-time 60 "http://127.0.0.1:$port/bytes/200000000" | sha256sum)
    echo "# 200 MB in $(($(now_ms) - begin)) ms" >&3
    assert_equal "$got" "$want"
}

@test "a large upload, and its answer after the half-close" {
    port=$(free_port)
    testbin_file tally.toml tally 2000
    id=$(squish create --publish "$port:2000" tally.toml)
    wait_for 10 eval "squish logs $id | grep -q ready"
    head -c 30000001 /dev/urandom >upload
    run -0 /usr/bin/python3 - "$port" <<'PYTHON'
import socket, sys, zlib
data = open("upload", "rb").read()
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20) as s:
    s.sendall(data)
    s.shutdown(socket.SHUT_WR)
    answer = b""
    while part := s.recv(4096):
        answer += part
want = f"{len(data)} {zlib.adler32(data)}\n"
sys.exit(None if answer.decode() == want else f"got {answer!r}, not {want!r}")
PYTHON
}

@test "the payload may end its side first, and go on reading" {
    port=$(free_port)
    testbin_file tally.toml tally 2000 "welcome"
    id=$(squish create --publish "$port:2000" tally.toml)
    wait_for 10 eval "squish logs $id | grep -q ready"
    run -0 /usr/bin/python3 - "$port" <<'PYTHON'
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20) as s:
    greeting = b""
    while part := s.recv(4096):  # up to its end
        greeting += part
    assert greeting == b"welcome", greeting
    s.sendall(b"x" * 3000000)
PYTHON
    wait_for 10 eval "squish logs $id | grep -q '^3000000 '" || fail "$(squish logs "$id")"
}

@test "many connections at once" {
    start_web busy
    pids=()
    for i in $(seq 1 40); do
        curl -fsS --max-time 30 "http://127.0.0.1:$port/" "http://127.0.0.1:$port/bytes/300000" -o "$i.a" -o "$i.b" &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid"; done
    assert_equal "$(cat ./*.a | tr -d '\n' | sed 's/busy//g')" ""
    assert_equal "$(cat ./*.a | wc -c)" 160
    assert_equal "$(cat ./*.b | wc -c)" 12000000
}

@test "a published port that nobody listens on inside refuses at once" {
    port=$(free_port)
    testbin_file sleep.toml sleep 100
    squish create --publish "$port:2000" sleep.toml
    begin=$(now_ms)
    run curl -sS --max-time 10 "http://127.0.0.1:$port/"
    assert_not_equal "$status" 0
    [ $(($(now_ms) - begin)) -lt 5000 ]
}

@test "a port below 1024 can be listened on inside" {
    port=$(free_port)
    testbin_file web.toml http 80 "eighty"
    squish create --publish "$port:80" web.toml
    assert_equal "$(fetch "http://127.0.0.1:$port/")" eighty
}

@test "an address to publish at, and all addresses" {
    other=$(free_port)
    testbin_file web.toml http 2000 anywhere
    squish create --publish "0.0.0.0:$other:2000" web.toml
    assert_equal "$(fetch "http://127.0.0.1:$other/")" anywhere
    address=$(host_address)
    [ -z "$address" ] || assert_equal "$(fetch "http://$address:$other/")" anywhere

    # By default it is this machine only.
    start_web
    fetch "http://127.0.0.1:$port/"
    [ -z "$address" ] || run ! curl -fsS --max-time 2 "http://$address:$port/"
    run --separate-stderr squish create --publish "192.0.2.250:$(free_port):2000" web.toml
    [ "$status" -eq 125 ] || [ "$status" -eq 2 ] || fail "status $status"
    assert_message "192.0.2.250"
}

@test "a port that is taken is named, and nothing is left" {
    start_on_host
    testbin_file sleep.toml sleep 100
    run --separate-stderr squish run --publish "$host_port:2000" sleep.toml
    assert_status 125
    assert_message "$host_port"
    assert_no_container

    # By another container; of two, the free one is given back.
    start_web
    free=$(free_port)
    run --separate-stderr squish create --publish "$free:2000" --publish "$port:2001" sleep.toml
    assert_status 125
    assert_message "$port"
    assert_equal "$(squish ps -aq)" "$id"
    again=$(squish create --publish "$free:2000" sleep.toml)
    assert_full_id "$again"
    # And free once its holder has ended, at once, though there were connections.
    fetch "http://127.0.0.1:$port/"
    squish stop "$id"
    squish create --publish "$port:2000" web.toml
    assert_equal "$(fetch "http://127.0.0.1:$port/")" hello
}

@test "a port is free as soon as stop, kill and wait, or rm -f have returned" {
    port=$(free_port)
    testbin_file web.toml http 2000 again
    for i in 1 2 3 4 5 6 7 8; do
        id=$(squish create --publish "$port:2000" web.toml)
        [ $((i % 2)) -eq 0 ] || fetch "http://127.0.0.1:$port/" >/dev/null
        case $((i % 4)) in
            0) squish rm -f "$id" ;;
            1) squish stop "$id" ;;
            2) squish kill "$id" && squish wait "$id" >/dev/null || true ;;
            3) squish stop -t 0 "$id" ;;
        esac
    done
    # The same for an attached one.
    testbin_file true.toml true
    for i in 1 2 3 4 5; do squish run --rm --publish "$port:2000" true.toml; done
}

@test "a port below what users may bind names the sysctl" {
    first=$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start)
    [ "$first" -gt 81 ] || skip "users may bind every port here (net.ipv4.ip_unprivileged_port_start=$first)"
    testbin_file sleep.toml sleep 100
    run --separate-stderr squish run --publish 81:2000 sleep.toml
    assert_status 125
    assert_message "81"
    assert_contains "$stderr" "net.ipv4.ip_unprivileged_port_start=81"
    assert_no_container
}

@test "a connection does not outlive its container" {
    port=$(free_port)
    testbin_file tally.toml tally 2000
    id=$(squish create --publish "$port:2000" tally.toml)
    wait_for 10 eval "squish logs $id | grep -q ready"
    /usr/bin/python3 - "$port" >client.out 2>&1 3>&- <<'PYTHON' &
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1])), 20) as s:
    s.sendall(b"hello")
    print("connected", flush=True)
    s.settimeout(20)
    try:
        print("end" if not s.recv(1) else "data", flush=True)
    except ConnectionError:
        print("end", flush=True)
PYTHON
    client=$!
    wait_for 5 grep -q connected client.out
    squish kill "$id"
    wait_for 10 grep -q end client.out || fail "$(cat client.out)"
    wait "$client"
}

# --- what a container reaches ----------------------------------------------------------------------------------------

@test "containers reach each other by address" {
    testbin_file web.toml http 2000 "from a sibling"
    one=$(squish create web.toml)
    two=$(squish create web.toml)
    assert_not_equal "$(address_of "$one")" "$(address_of "$two")"
    wait_for 10 reaches "$one" "$(address_of "$two")" 2000
    wait_for 10 reaches "$two" "$(address_of "$one")" 2000
    assert_equal "$(squish exec "$one" wget -q -O - "http://$(address_of "$two"):2000/")" "from a sibling"
    # An address whose container has ended answers nobody.
    gone=$(address_of "$two")
    squish stop "$two"
    run ! reaches "$one" "$gone" 2000
}

@test "inside: an address, a default route, loopback, a name server" {
    run -0 in_shell 'ip -o -4 addr | tr -s " " | cut -d" " -f2,4; ip route; cat /etc/resolv.conf; cat /etc/hosts'
    assert_matches "$output" 'lo 127\.0\.0\.1/8'
    assert_matches "$output" 'eth0 10\.89\.[0-9]+\.[0-9]+/20'
    assert_matches "$output" 'default via 10\.89\.0\.1 dev eth0'
    assert_matches "$output" 'nameserver 10\.89\.0\.1'
    assert_matches "$output" '127\.0\.0\.1.*localhost'
    # Loopback is up.
    id=$(create_testbin http 2000)
    wait_for 10 reaches "$id" 127.0.0.1 2000
}

@test "the way out works: the machine's own address is reached through the uplink" {
    address=$(host_address)
    [ -n "$address" ] || skip "this machine has no address besides its loopback"
    start_on_host
    id=$(create_testbin sleep 100)
    wait_for 10 reaches "$id" "$address" "$host_port" || fail "$(squish exec "$id" /app/testbin connect "$address" "$host_port" 2>&1)"
    assert_equal "$(squish exec "$id" wget -q -O - "http://$address:$host_port/")" "the host"
}

@test "the host's loopback is out of reach" {
    start_on_host
    id=$(create_testbin sleep 100)
    assert_equal "$(curl -fsS "http://127.0.0.1:$host_port/")" "the host" # it is there
    # What does not answer at all takes its time: all at once. Nor is anything of squish's own reached: gateway and
    # uplink serve nothing.
    cat >probe <<'SCRIPT'
try() { /app/testbin connect "$1" "$2" 2>/dev/null && echo "reached $1 port $2"; }
for address in 127.0.0.1 10.0.2.2 10.0.2.3 10.0.2.100 10.89.0.1; do
    for port in "$1" 22 53 80 111 2000; do
        [ "$address $port" = "10.89.0.1 53" ] || try $address $port & # names are asked for there
    done
done
wait
echo done
SCRIPT
    run -0 squish exec -i "$id" /bin/sh -s "$host_port" <probe
    assert_equal "$output" "done"
}

@test "no socket of squish's is within reach of a container" {
    find "$XDG_RUNTIME_DIR" -type s | grep -q squishd.sock # there are some
    run -0 in_shell 'find / -xdev -type s 2>/dev/null; for m in $(cut -d" " -f5 /proc/self/mountinfo); do find "$m" -xdev -type s 2>/dev/null; done; tail -n +2 /proc/net/unix'
    assert_equal "$output" ""
    # Abstract ones would be reachable with the host's network.
    id=$(create_shell 'cat /proc/net/unix; sleep 100' $'[network]\nmode = "host"')
    wait_for 5 eval "squish logs $id | grep -q RefCount"
    assert_equal "$(squish logs "$id" | grep -a '@.*squish')" ""
}

# --- the other modes -------------------------------------------------------------------------------------------------

@test "mode none: a loopback, and nothing else" {
    shell_file none.toml 'ls /sys/class/net | tr "\n" " "; ip -o -4 addr | tr -s " " | cut -d" " -f2,4; ip route; /app/testbin http 80 alone & i=0; until wget -q -O - http://127.0.0.1/ 2>/dev/null || [ $i -gt 100 ]; do i=$((i+1)); sleep 0.05; done; echo; /app/testbin connect 10.89.0.1 53 2>/dev/null || echo nowhere' $'[layers]\napp = "@TESTBIN@"\n[network]\nmode = "none"'
    run -0 squish run --rm none.toml
    assert_equal "$output" $'lo lo 127.0.0.1/8\nready\nalone\nnowhere'
    # Nothing can be published from there.
    run --separate-stderr squish run --rm --publish "$(free_port):80" none.toml
    assert_status 2
    assert_message "network.mode"
    assert_no_container
}

@test "mode host: the host's interfaces, its loopback, its name servers" {
    start_on_host
    shell_file host.toml "ls /sys/class/net | tr '\n' ' '; echo; wget -q -O - http://127.0.0.1:$host_port/; echo; readlink /proc/self/ns/net; grep -E '^Cap|^NoNew' /proc/self/status | cut -f2 | sort -u | tr '\n' ' '" $'[network]\nmode = "host"'
    run -0 --separate-stderr squish run --rm host.toml
    assert_contains "$stderr" "shares the host's network"
    # shellcheck disable=SC2012 # as the other side lists them
    assert_equal "${lines[0]}" "$(ls /sys/class/net | tr '\n' ' ')"
    assert_equal "${lines[1]}" "the host"
    assert_equal "${lines[2]}" "$(readlink /proc/self/ns/net)"
    assert_equal "${lines[3]}" "0000000000000000 1 "
    # What it listens on is the host's.
    port=$(free_port)
    squishfile own.toml <<<$'[layers]\napp = "@TESTBIN@"\n[run]\ncommand = "/app/testbin"\nargs = ["http", "'"$port"$'", "directly"]\n[network]\nmode = "host"'
    id=$(squish create own.toml)
    assert_equal "$(fetch "http://127.0.0.1:$port/")" directly
    squish stop "$id"
    run ! curl -fsS --max-time 2 "http://127.0.0.1:$port/"
}

@test "every mode has its other namespaces, too" {
    for mode in bridge none host; do
        script='for name in user mnt pid uts ipc cgroup time; do readlink /proc/self/ns/$name; done'
        in_shell "$script" "[network]
mode = \"$mode\"" >inside
        assert_equal "$(wc -l <inside)" 7
        for name in user mnt pid uts ipc cgroup time; do
            assert_not_equal "$(grep "^$name:" inside)" "$(readlink "/proc/self/ns/$name")"
        done
    done
}
