# What a payload sees of a client on another machine, which a second network namespace stands for here. Root makes that,
# and a link to it; squish runs as an ordinary account.
load helpers

PEER=sqpeer-$$
HOST4=198.51.100.1 CLIENT4=198.51.100.2 # RFC 5737
HOST6=2001:db8:5351::1 CLIENT6=2001:db8:5351::2 # RFC 3849

setup_file() {
    root_setup_file
    ip netns add "$PEER"
    ip link add sqt0 type veth peer name sqt1 netns "$PEER"
    ip address add $HOST4/30 dev sqt0
    ip -6 address add $HOST6/64 dev sqt0 nodad
    ip link set sqt0 up
    ip -n "$PEER" link set lo up
    ip -n "$PEER" address add $CLIENT4/30 dev sqt1
    ip -n "$PEER" -6 address add $CLIENT6/64 dev sqt1 nodad
    ip -n "$PEER" link set sqt1 up
    echo "$PEER" >"$E2E_FILE_DIR/peer"
}
teardown_file() {
    local status=0
    ip link del sqt0 2>/dev/null || true
    ip netns del "$(cat "$E2E_FILE_DIR/peer")" || status=1
    root_teardown_file || status=1
    return "$status"
}

on_peer() { ip netns exec "$(cat "$E2E_FILE_DIR/peer")" "$@"; }
ask() { # tcp|udp ADDRESS PORT: on the other machine; what the payload says about us
    on_peer /usr/bin/python3 - "$@" <<'PYTHON'
import socket, sys
kind, address, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
family = socket.AF_INET6 if ":" in address else socket.AF_INET
with socket.socket(family, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM) as s:
    s.settimeout(5)
    s.connect((address, port))
    if kind == "udp":
        s.send(b"hello")
    text = s.recv(4096).decode().split("\n")[0]
    print(text.rsplit(" ", 1)[0])
    if text.rsplit(" ", 1)[1] != str(s.getsockname()[1]):
        print("from another port:", text, s.getsockname())
PYTHON
}
start_peers() { # OPTIONS of create, and of testbin peers after --
    testbin_file peers.toml peers 2000 ${PEERS_FAMILY-}
    id=$(as_account squish create "$@" peers.toml)
    wait_for 10 eval "as_account squish logs $id | grep -q ready"
}

@test "the payload sees the client's own address: TCP and UDP, IPv4 and IPv6" {
    port=$(free_port)
    start_peers --publish "0.0.0.0:$port:2000" --publish "0.0.0.0:$port:2000/udp" \
        --publish "[::]:$port:2000" --publish "[::]:$port:2000/udp"
    for i in 1 2 3; do
        assert_equal "$(ask tcp $HOST4 "$port")" "tcp $CLIENT4"
        assert_equal "$(ask udp $HOST4 "$port")" "udp $CLIENT4"
        assert_equal "$(ask tcp $HOST6 "$port")" "tcp $CLIENT6"
        assert_equal "$(ask udp $HOST6 "$port")" "udp $CLIENT6"
    done
    as_account squish logs "$id" >log
    assert_equal "$(grep -c " $CLIENT4 " log)" 6
    assert_equal "$(grep -c " $CLIENT6 " log)" 6
    # This machine's own, by its own address, too; but never its loopback, which would mean the container's.
    run -0 /usr/bin/python3 -c "import socket; print(socket.create_connection(('$HOST4', $port), 5).recv(99).decode())"
    assert_matches "$output" "^tcp $HOST4 "
    run -0 /usr/bin/python3 -c "import socket; print(socket.create_connection(('127.0.0.1', $port), 5).recv(99).decode())"
    assert_matches "$output" '^tcp 10\.89\.'
}

@test "a payload that speaks IPv4 only: clients of both families reach it" {
    port=$(free_port)
    PEERS_FAMILY=4 start_peers --publish "0.0.0.0:$port:2000" --publish "[::]:$port:2000"
    assert_equal "$(ask tcp $HOST4 "$port")" "tcp $CLIENT4"
    assert_matches "$(ask tcp $HOST6 "$port")" '^tcp 10\.89\.'
}

@test "bytes are whole both ways, and the address stays after a new forwarder" {
    port=$(free_port)
    testbin_file web.toml http 2000
    id=$(as_account squish create --publish "0.0.0.0:$port:2000" web.toml)
    wait_for 10 eval "as_account squish logs $id | grep -q ready"
    want=$("$E2E_TESTBIN" flood 100000000 | sha256sum)
    assert_equal "$(on_peer curl -fsS --max-time 60 "http://$HOST4:$port/bytes/100000000" | sha256sum)" "$want"
    port=$(free_port)
    start_peers --publish "0.0.0.0:$port:2000" --publish "0.0.0.0:$port:2000/udp"
    for pid in $(processes_of "$ACCOUNT"); do
        if [ "$(cat "/proc/$pid/comm")" = squish-forward ]; then kill -KILL "$pid"; fi
    done
    wait_for 10 ask tcp $HOST4 "$port"
    assert_equal "$(ask tcp $HOST4 "$port")" "tcp $CLIENT4"
    assert_equal "$(ask udp $HOST4 "$port")" "udp $CLIENT4"
}

@test "activation: the client's own address, with nothing in between" {
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
address = "0.0.0.0"
activation = true
END
    id=$(as_account squish create activated.toml)
    wait_for 10 eval "as_account squish logs $id | grep -q ready"
    assert_matches "$(on_peer curl -fsS --max-time 5 "http://$HOST4:$port/")" "^activated $CLIENT4 "
}

@test "what is published on loopback is not reached from another machine, nor is a container" {
    port=$(free_port)
    start_peers --publish "$port:2000" --publish "$port:2000/udp"
    run ! ask tcp $HOST4 "$port"
    run ! ask udp $HOST4 "$port"
    on_peer ip route add 10.89.0.0/16 via $HOST4
    address=$(as_account squish inspect "$id" | json '[0]["address"]')
    run ! ask tcp "$address" 2000
}
