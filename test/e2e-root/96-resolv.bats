# The host's name servers change, as with a VPN or another Wi-Fi: containers that run ask the new ones, without a restart.
load helpers

# Two name servers on the host's loopback, which say who they are: 192.0.2.1 and 192.0.2.2 for every name.
setup() {
    root_setup
    cat >servers.py <<'PYTHON'
import selectors, socket
waiting = selectors.DefaultSelector()
for number in 1, 2:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.bind((f"127.0.53.{number}", 53))
    waiting.register(s, selectors.EVENT_READ, number)
print("ready", flush=True)
while True:
    for key, _ in waiting.select():
        query, client = key.fileobj.recvfrom(4096)
        end = 12
        while query[end]:
            end += query[end] + 1
        question, kind = query[12:end + 5], query[end + 1:end + 3]
        answer = b"\xc0\x0c\0\1\0\1\0\0\0\0\0\4" + bytes([192, 0, 2, key.data]) if kind == b"\0\1" else b""
        key.fileobj.sendto(query[:2] + b"\x81\x80\0\1\0" + bytes([bool(answer)]) + b"\0\0\0\0" + question + answer, client)
PYTHON
    /usr/bin/python3 servers.py >servers.out 2>&1 3>&- &
    echo $! >servers.pid
    disown
    wait_for 5 grep -q ready servers.out
}
teardown() {
    kill "$(cat "$DIR/servers.pid")" || true
    rm -rf "/run/squish-e2e-$$"
    root_teardown
}

# Which of the two a container asks.
asked() { as_account squish exec "$id" nslookup -type=a squish.test 2>/dev/null | sed -n 's/^Address.*192\.0\.2\.//p' | head -n 1; }
asks() { [ "$(asked)" = "$1" ]; }

@test "resolv.conf written anew, replaced, made a link, and what it points to replaced: each is followed" {
    cp -a /etc etc
    rm -f etc/resolv.conf
    echo "nameserver 127.0.53.1" >etc/resolv.conf
    testbin_file sleep.toml sleep 300
    run -0 --separate-stderr on_machine "mount --bind $DIR/etc /etc;" squish create sleep.toml
    id=$output
    wait_for 10 asks 1 || fail "at first: $(as_account squish exec "$id" nslookup -type=a squish.test 2>&1)"

    echo "nameserver 127.0.53.2" >etc/resolv.conf
    wait_for 10 asks 2 || fail "written anew"

    echo "nameserver 127.0.53.1" >etc/resolv.conf.new
    mv etc/resolv.conf.new etc/resolv.conf
    wait_for 10 asks 1 || fail "replaced"

    # As systemd-resolved and NetworkManager have it: the file is below /run.
    mkdir "/run/squish-e2e-$$"
    echo "nameserver 127.0.53.2" >"/run/squish-e2e-$$/resolv.conf"
    ln -s "../run/squish-e2e-$$/resolv.conf" etc/resolv.conf.new
    mv -T etc/resolv.conf.new etc/resolv.conf
    wait_for 10 asks 2 || fail "made a link"

    echo "nameserver 127.0.53.1" >"/run/squish-e2e-$$/new"
    mv "/run/squish-e2e-$$/new" "/run/squish-e2e-$$/resolv.conf"
    wait_for 10 asks 1 || fail "replaced where it points to"
}
