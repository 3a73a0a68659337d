# Published ports that change while a container runs, of both protocols and families, and sockets that are passed on.
load helpers

# A server that tells each client who it is, on one port for TCP and UDP: sets $id. Options of create.
start_peers() { # [OPTION…]
    testbin_file peers.toml peers 2000
    id=$(squish create "$@" peers.toml)
    wait_for 10 eval "squish logs $id | grep -q ready"
}
# Asks at ADDRESS PORT; the answer without its line end.
ask_tcp() {
    /usr/bin/python3 - "$1" "$2" <<'PYTHON'
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 5) as s:
    s.settimeout(5)
    data = b""
    while part := s.recv(4096):
        data += part
sys.stdout.write(data.decode().strip())
PYTHON
}
ask_udp() { # ADDRESS PORT [BYTES]
    /usr/bin/python3 - "$1" "$2" "${3-5}" <<'PYTHON'
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
with socket.socket(family, socket.SOCK_DGRAM) as s:
    s.settimeout(5)
    s.connect((sys.argv[1], int(sys.argv[2])))
    sent = b"x" * int(sys.argv[3])
    s.send(sent)
    line, rest = s.recv(65536).split(b"\n", 1)
    if rest != sent:
        sys.exit(f"{len(rest)} bytes came back, not {len(sent)}")
    print(line.decode())
PYTHON
}
address_of() { squish inspect "$1" | json '[0]["address"]'; }
host_port_of() { squish port ls --json "$1" | json "[${2-0}][\"host\"]"; }
# What of the keeper's and the forwarder's descriptors are sockets that listen or are bound on the host.
sockets_of() { find "/proc/$(helper_pid "$1")/fd" -lname 'socket:*' 2>/dev/null | wc -l; }

# --- at run time -----------------------------------------------------------------------------------------------------

@test "a port is added, rebound and removed while the container runs" {
    start_peers
    assert_equal "$(squish port ls --json "$id")" "[]"
    one=$(free_port)
    run -0 squish port add "$id" "$one:2000"
    assert_equal "$output" "127.0.0.1:$one:2000/tcp"
    assert_matches "$(ask_tcp 127.0.0.1 "$one")" '^tcp 10\.89\.'
    assert_contains "$(squish ps)" "127.0.0.1:$one->2000/tcp"

    two=$(free_port)
    run -0 squish port rebind "$id" "$one" "$two"
    assert_equal "$output" "127.0.0.1:$two:2000/tcp"
    ask_tcp 127.0.0.1 "$two"
    run ! ask_tcp 127.0.0.1 "$one"
    assert_equal "$(host_port_of "$id")" "$two"

    run -0 squish port rm "$id" "$two"
    assert_equal "$output" "127.0.0.1:$two:2000/tcp"
    run ! ask_tcp 127.0.0.1 "$two"
    assert_equal "$(squish port ls --json "$id")" "[]"
    # It is free: for anybody.
    squish port add "$id" "$two:2000"
    ask_tcp 127.0.0.1 "$two"
}

@test "host port 0: the kernel chooses, and squish tells" {
    start_peers --publish 0:2000 --publish 0:2000/udp
    port=$(host_port_of "$id" 0)
    [ "$port" -gt 0 ]
    ask_tcp 127.0.0.1 "$port"
    ask_udp 127.0.0.1 "$(host_port_of "$id" 1)"
    assert_equal "$(squish inspect "$id" | json '[0]["ports"][0]["host"]')" "$port"
    run -0 squish port add "$id" 0:2000
    added=${output#127.0.0.1:}
    ask_tcp 127.0.0.1 "${added%%:*}"
}

@test "a range of ports, all or none" {
    start_peers
    first=$(free_port)
    # Room for three in a row.
    until squish port add "$id" "$first-$((first + 2)):2000-2002" >added; do first=$(free_port); done
    assert_equal "$(wc -l <added)" 3
    ask_tcp 127.0.0.1 "$first"
    # One of them is taken: nothing of it stays.
    run --separate-stderr squish port add "$id" "$((first - 1))-$((first + 1)):1-3"
    assert_status 1
    assert_message "$first is taken by container"
    run ! ask_tcp 127.0.0.1 $((first - 1))
    assert_equal "$(squish port ls --json "$id" | json '.__len__()')" 3
    run -0 squish port rm "$id" "$first-$((first + 2)):2000-2002"
    assert_equal "$(squish port ls --json "$id")" "[]"
    # In a squishfile.
    testbin_file range.toml peers 2000
    printf '[[ports]]\nhost = "%s-%s"\ncontainer = "2000-2001"\n' "$first" "$((first + 1))" >>range.toml
    other=$(squish create range.toml)
    assert_equal "$(squish port ls --json "$other" | json '.__len__()')" 2
}

@test "a rebind that cannot be leaves everything as it was, and names who holds the port" {
    port=$(free_port)
    start_peers --name first --publish "$port:2000"
    other=$(free_port)
    testbin_file sleep.toml sleep 100
    squish create --name second --publish "$other:1" sleep.toml
    run --separate-stderr squish port rebind first "$port" "$other"
    assert_status 1
    assert_message "taken by container 'second'"
    ask_tcp 127.0.0.1 "$port"
    assert_equal "$(host_port_of first)" "$port"
    # A process that is none of ours.
    taken=$(free_port)
    "$E2E_TESTBIN" http "$taken" >host.out 2>&1 3>&- &
    holder=$!
    wait_for 5 grep -q ready host.out
    run --separate-stderr squish port rebind first "$port" "$taken"
    kill "$holder"
    assert_status 1
    assert_message "'testbin' (pid $holder)"
    ask_tcp 127.0.0.1 "$port"
    # Nonsense.
    run --separate-stderr squish port rebind first 1 2
    assert_status 1
    assert_message "publishes no port '1'"
    run --separate-stderr squish port add first nonsense
    assert_status 2
    run --separate-stderr squish port add first 81:2000
    if [ "$(cat /proc/sys/net/ipv4/ip_unprivileged_port_start)" -gt 81 ]; then
        assert_message "sysctl net.ipv4.ip_unprivileged_port_start=81"
    fi
}

@test "a rebind to all addresses, or to another container port, on the same host port" {
    port=$(free_port)
    start_peers --publish "$port:2000"
    run -0 squish port rebind "$id" "$port" "0.0.0.0:$port"
    assert_equal "$output" "0.0.0.0:$port:2000/tcp"
    ask_tcp 127.0.0.1 "$port"
    run -0 squish port rebind "$id" "$port" "127.0.0.1:$port"
    ask_tcp 127.0.0.1 "$port"
    squish exec "$id" /app/testbin http 3000 other >http.out 2>&1 3>&- &
    wait_for 5 grep -q ready http.out
    run -0 squish port rebind "$id" "$port" "$port:3000"
    assert_equal "$(fetch "http://127.0.0.1:$port/")" other
    # Nobody else can share the port meanwhile or afterwards.
    run ! "$E2E_TESTBIN" http "$port"
}

@test "what is established goes on over a rebind and a removal" {
    port=$(free_port)
    testbin_file web.toml http 2000
    id=$(squish create --publish "$port:2000" web.toml)
    wait_for 10 eval "squish logs $id | grep -q ready"
    want=$("$E2E_TESTBIN" flood 60000000 | sha256sum)
    curl -fsS --max-time 60 --limit-rate 30M -o download "http://127.0.0.1:$port/bytes/60000000" 3>&- &
    download=$!
    wait_for 10 eval '[ "$(stat -c %s download 2>/dev/null || echo 0)" -gt 1000000 ]'
    other=$(free_port)
    squish port rebind "$id" "$port" "$other"
    squish port rm "$id" "$other"
    [ "$(stat -c %s download)" -lt 60000000 ] || fail "the download was too quick to be in the middle of"
    wait "$download"
    assert_equal "$(sha256sum <download)" "$want"
}

@test "ports that were changed survive squishd, the forwarder, and both" {
    start_peers
    one=$(free_port)
    squish port add "$id" "$one:2000"
    kill -KILL "$(helper_pid squishd)"
    ask_tcp 127.0.0.1 "$one"
    two=$(free_port)
    squish port rebind "$id" "$one" "$two"
    run ! ask_tcp 127.0.0.1 "$one"
    kill -KILL "$(helper_pid squish-forward)"
    wait_for 10 ask_tcp 127.0.0.1 "$two"
    squishd=$(helper_pid squishd)
    kill -KILL "$squishd"
    kill -KILL "$(helper_pid squish-forward)"
    wait_for 5 is_gone "$squishd"
    squish ps >ps.out
    assert_contains "$(cat ps.out)" "127.0.0.1:$two->2000/tcp"
    wait_for 10 ask_tcp 127.0.0.1 "$two"
    squish port rm "$id" "$two"
    run ! ask_tcp 127.0.0.1 "$two"
    squish stop "$id"
}

@test "squishd killed in the middle of changes: every port is there or not, as the list says" {
    start_peers --publish "$(free_port):2000"
    for i in $(seq 1 8); do
        squish port rebind "$id" "$(host_port_of "$id")" "$(free_port)" >/dev/null 2>&1 3>&- &
        change=$!
        sleep "0.0$((RANDOM % 6))" # at any moment
        kill -KILL "$(helper_pid squishd)" || true
        wait "$change" || true
        assert_equal "$(squish port ls --json "$id" | json '.__len__()')" 1
        wait_for 10 ask_tcp 127.0.0.1 "$(host_port_of "$id")"
    done
    port=$(host_port_of "$id")
    squish rm -f "$id"
    run ! ask_tcp 127.0.0.1 "$port"
}

@test "a thousand rebinds under fifty clients: nobody is cut, and nothing is left" {
    testbin_file web.toml http 2000
    id=$(squish create --publish 0:2000 web.toml)
    wait_for 10 eval "squish logs $id | grep -q ready"
    squish port rebind "$id" "$(host_port_of "$id")" 0 # warm
    keeper=$(sockets_of squish-keeper) forwarder=$(sockets_of squish-forward) daemon=$(sockets_of squishd)
    run -0 /usr/bin/python3 "$BATS_TEST_DIRNAME/rebind.py" "$XDG_RUNTIME_DIR/squish/squishd.sock" "$id" 1000 50
    echo "# $output" >&3
    same() { [ "$(sockets_of squish-keeper)" -le "$keeper" ] && [ "$(sockets_of squish-forward)" -le "$forwarder" ] && [ "$(sockets_of squishd)" -le "$daemon" ]; }
    wait_for 5 same || fail "keeper $keeper→$(sockets_of squish-keeper), forwarder $forwarder→$(sockets_of squish-forward), squishd $daemon→$(sockets_of squishd)"
}

@test "ports of a container without a network of its own are refused" {
    shell_file none.toml 'sleep 100' $'[network]\nmode = "none"'
    id=$(squish create none.toml)
    run --separate-stderr squish port add "$id" "$(free_port):80"
    assert_status 1
    assert_message 'network mode "none"'
    squish stop "$id"
    run --separate-stderr squish port add "$id" "$(free_port):80"
    assert_message "does not run"
}

# --- protocols and families ------------------------------------------------------------------------------------------

@test "UDP: small and large datagrams, and many clients" {
    port=$(free_port)
    start_peers --publish "$port:2000/udp"
    assert_matches "$(ask_udp 127.0.0.1 "$port")" '^udp 10\.89\.'
    ask_udp 127.0.0.1 "$port" 0
    ask_udp 127.0.0.1 "$port" 59000
    run -0 /usr/bin/python3 - "$port" <<'PYTHON'
import socket, sys
clients = []
for i in range(300):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.settimeout(5)
    s.connect(("127.0.0.1", int(sys.argv[1])))
    clients.append(s)
seen = set()
for round in range(3):
    for i, s in enumerate(clients):
        s.send(b"%d" % i)
        line, rest = s.recv(65536).split(b"\n", 1)
        assert rest == b"%d" % i, (rest, i)
        seen.add(line)
assert len(seen) == 300, len(seen)  # each client is one flow
PYTHON
    # Rebound and gone.
    other=$(free_port)
    squish port rebind "$id" "$port/udp" "$other"
    ask_udp 127.0.0.1 "$other"
    run ! ask_udp 127.0.0.1 "$port"
    squish stop "$id"
    again=$(squish create --publish "$other:2000/udp" peers.toml) # free at once
    wait_for 10 ask_udp 127.0.0.1 "$other"
}

@test "IPv6: at [::1], to a payload that speaks both, or IPv4 alone" {
    [ -e /proc/net/if_inet6 ] || skip "this machine has no IPv6"
    port=$(free_port)
    start_peers --publish "[::1]:$port:2000" --publish "[::1]:$port:2000/udp"
    assert_matches "$(ask_tcp ::1 "$port")" '^tcp fd73:7175:6973::'
    assert_matches "$(ask_udp ::1 "$port")" '^udp fd73:7175:6973::'
    run ! ask_tcp 127.0.0.1 "$port"
    testbin_file four.toml peers 2000 4
    four=$(squish create --publish "[::1]:0:2000" --publish "[::1]:0:2000/udp" four.toml)
    wait_for 10 eval "squish logs $four | grep -q ready"
    assert_matches "$(ask_tcp ::1 "$(host_port_of "$four" 0)")" '^tcp 10\.89\.'
    wait_for 5 ask_udp ::1 "$(host_port_of "$four" 1)"
}

# --- the fast lane ---------------------------------------------------------------------------------------------------

@test "activation: the payload gets the listening socket, and sees its clients as they are" {
    port=$(free_port)
    squishfile activated.toml <<END
[layers]
app = "@TESTBIN@"
[run]
command = "/app/testbin"
args = ["activated"]
[[ports]]
container = 80
host = $port
activation = true
name = "web"
[[ports]]
container = 53
host = 0
protocol = "udp"
activation = true
END
    id=$(squish create activated.toml)
    wait_for 10 eval "squish logs $id | grep -q ready"
    assert_equal "$(squish logs "$id")" "LISTEN_PID=2
LISTEN_FDS=2
LISTEN_FDNAMES=web:53
pid 2, O_NONBLOCK 0, close-on-exec 0
ready"
    assert_matches "$(fetch "http://127.0.0.1:$port/")" '^activated 127\.0\.0\.1 '
    # It has those two and nothing else; a further process has none of it.
    assert_equal "$(squish exec "$id" /app/testbin fds | cut -d' ' -f1 | sort -n | tr '\n' ' ')" "0 1 2 "
    run ! squish exec "$id" /app/testbin env LISTEN_FDS
    run --separate-stderr squish port rm "$id" "$port"
    assert_status 1
    assert_message "activation"
    kill -KILL "$(helper_pid squishd)"
    fetch "http://127.0.0.1:$port/"
    squish stop "$id"
    run ! curl -fsS --max-time 2 "http://127.0.0.1:$port/"
    squish create activated.toml # free again
    fetch "http://127.0.0.1:$port/"
}

@test "activation without any network" {
    port=$(free_port)
    squishfile alone.toml <<END
[layers]
app = "@TESTBIN@"
[run]
command = "/app/testbin"
args = ["activated"]
[[ports]]
container = 80
host = $port
activation = true
[network]
mode = "none"
END
    id=$(squish create alone.toml)
    assert_matches "$(fetch "http://127.0.0.1:$port/")" '^activated 127\.0\.0\.1 '
}
