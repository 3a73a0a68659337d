# IPv6 to the outside. A network namespace stands for the host, with a link to a second one, which stands for all others:
# squish's daemon is started there, and so its uplink's sockets are of there.
load helpers

HOST=sqhost-$$ OTHER=sqother-$$
HOST6=2001:db8:5352::1 OTHER6=2001:db8:5352::2 FAR6=2001:db8:5353::7 # RFC 3849

setup_file() {
    root_setup_file
    ip netns add "$HOST"
    ip netns add "$OTHER"
    ip -n "$HOST" link add up0 type veth peer name up1 netns "$OTHER"
    ip -n "$HOST" link set lo up
    ip -n "$HOST" link set up0 up
    ip -n "$HOST" address add $HOST6/64 dev up0 nodad
    ip -n "$OTHER" link set lo up
    ip -n "$OTHER" link set up1 up
    ip -n "$OTHER" address add $OTHER6/64 dev up1 nodad
    ip -n "$OTHER" address add $FAR6/128 dev lo nodad
    echo "$HOST $OTHER" >"$E2E_FILE_DIR/namespaces"
}
teardown_file() {
    local status=0
    read -r HOST OTHER <"$E2E_FILE_DIR/namespaces"
    ip netns del "$HOST" || status=1
    ip netns del "$OTHER" || status=1
    root_teardown_file || status=1
    return "$status"
}

# The servers of a test: on the other machine one that says who asked it, on the host's loopback the same and, as the
# name server of its own resolv.conf, one for which six.test has the IPv6 address $FAR6 alone.
setup() {
    root_setup
    read -r HOST OTHER <"$E2E_FILE_DIR/namespaces"
    ip -n "$HOST" -6 route replace default via $OTHER6 dev up0
    cat >hello.py <<'PYTHON'
import socket, sys
with socket.create_server((sys.argv[1], 80), family=socket.AF_INET6) as server:
    print("ready", flush=True)
    while True:
        connection, peer = server.accept()
        with connection:
            text = f"hello {peer[0]}\n"
            connection.recv(4096)
            connection.send(f"HTTP/1.0 200 OK\r\nContent-Length: {len(text)}\r\n\r\n{text}".encode())
PYTHON
    cat >names.py <<'PYTHON'
import socket, sys
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.53.1", 53))
print("ready", flush=True)
while True:
    query, client = server.recvfrom(4096)
    end = 12
    while query[end]:
        end += query[end] + 1
    question, kind = query[12:end + 5], query[end + 1:end + 3]
    answer = b"\xc0\x0c\0\x1c\0\1\0\0\0\0\0\x10" + socket.inet_pton(socket.AF_INET6, sys.argv[1]) if kind == b"\0\x1c" else b""
    server.sendto(query[:2] + b"\x81\x80\0\1\0" + bytes([bool(answer)]) + b"\0\0\0\0" + question + answer, client)
PYTHON
    : >pids
    serve "$OTHER" hello.py ::
    serve "$HOST" hello.py ::1
    serve "$HOST" names.py $FAR6
    cp -a /etc etc
    rm -f etc/resolv.conf
    echo "nameserver 127.0.53.1" >etc/resolv.conf
}
serve() { # NAMESPACE PROGRAM ARGUMENT
    ip netns exec "$1" /usr/bin/python3 "$2" "$3" >"$1-$2.out" 2>&1 3>&- &
    echo $! >>pids
    disown
    wait_for 5 grep -q ready "$1-$2.out"
}
teardown() {
    local pid
    while read -r pid; do kill "$pid" || true; done <"$DIR/pids"
    root_teardown
}

# As the account, on the host.
on_host() {
    # shellcheck disable=SC2016
    nsenter --net="/run/netns/$HOST" unshare --mount --propagation private bash -e -c 'mount --bind "$1/etc" /etc
        shift; exec "$@"' bash "$DIR" setpriv --reuid "$ACCOUNT" --regid "$ACCOUNT" --init-groups -- env -i \
        HOME="$E2E_FILE_DIR/home-$ACCOUNT" USER="$ACCOUNT" LANG=C.UTF-8 \
        PATH="$E2E_PREFIX/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin" XDG_RUNTIME_DIR="$DIR/run" \
        XDG_DATA_HOME="$DIR/data" XDG_CONFIG_HOME="$DIR/config" "$@"
}
configure() { # LINE of [uplink]
    mkdir -p "$DIR/config/squish"
    printf '[uplink]\n%s\n' "$1" >"$DIR/config/squish/squishd.toml"
}
start_sleeper() {
    testbin_file sleep.toml sleep 300
    id=$(on_host squish create "$@" sleep.toml)
}
inside() { as_account squish exec "$id" "$@"; }
get() { inside timeout 10 wget -q -O - "http://$1/"; }
gets_from_other() { [ "$(get "[$OTHER6]")" = "hello $HOST6" ]; }
connects() { inside timeout 3 /app/testbin connect "$1" "$2" >/dev/null 2>&1; }
end_one() { # NAME of a program of the account's
    local pid
    for pid in $(processes_of "$ACCOUNT"); do
        if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = "$1" ]; then
            kill -KILL "$pid"
            wait_for 5 is_gone "$pid"
            return 0
        fi
    done
    fail "no $1 runs"
}

@test "a container reaches another machine by IPv6, by address and by a name that has nothing else" {
    start_sleeper
    assert_equal "$(get "[$OTHER6]")" "hello $HOST6"
    assert_equal "$(get "[$FAR6]")" "hello $HOST6"
    assert_equal "$(get six.test)" "hello $HOST6"
    assert_contains "$(inside ip -6 route)" "default via fd73:7175:6973::1 dev eth0"
    # The host's loopback is not among what it reaches, by whatever name of it; that server is there.
    assert_equal "$(nsenter --net="/run/netns/$HOST" curl -fsS --max-time 5 'http://[::1]/')" "hello ::1"
    for address in ::1 fd00::2 fd00::3 fd00::100 fd73:7175:6973::1; do
        run ! connects "$address" 80
    done
    connects $OTHER6 80
}

@test "containers of named networks have it too, and do not reach each other by it" {
    as_account true # the account's folders
    on_host squish network create one
    on_host squish network create two
    start_sleeper --network one
    first=$id
    gets_from_other
    testbin_file web.toml peers 2000
    web=$(on_host squish create --network one web.toml)
    wait_for 10 eval "as_account squish logs $web | grep -q ready"
    id=$web
    address=$(inside ip -6 address show dev eth0 | sed -n 's|.*inet6 \(fd73[^/]*\)/.*|\1|p')
    assert_matches "$address" '^fd73:7175:6973:'
    id=$first
    connects "$address" 2000
    start_sleeper --network two
    gets_from_other
    run ! connects "$address" 2000
}

@test "it survives the end of the uplink, of the stager, and of squishd" {
    start_sleeper
    first=$id
    for program in slirp4netns squish-stager squishd; do
        end_one "$program"
        start_sleeper # makes squishd and the stager start again
        gets_from_other || wait_for 10 gets_from_other || fail "a new one, after the end of $program"
        id=$first
        gets_from_other || fail "one from before, after the end of $program"
    done
}

@test "where the host has no way out by IPv6 there is no default route for it, and ipv6 = true makes one" {
    ip -n "$HOST" -6 route del default
    start_sleeper
    assert_lacks "$(inside ip -6 route)" default
    run ! connects $OTHER6 80
    as_account squish daemon stop --containers
    configure 'ipv6 = true'
    start_sleeper
    gets_from_other
    # What the host has no route to is refused at once.
    run inside timeout 3 /app/testbin connect $FAR6 80
    assert_not_equal "$status" 0
    assert_not_equal "$status" 124
    assert_not_equal "$status" 143 # as BusyBox has it
    # The setting is of the keeper's whole life.
    configure 'ipv6 = false'
    end_one squishd
    start_sleeper
    gets_from_other
    as_account squish daemon stop --containers
    start_sleeper
    assert_lacks "$(inside ip -6 route)" default
}
