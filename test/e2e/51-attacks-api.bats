# Hostile HTTP on squishd's socket: from another user, without end, without sense, from too many. squishd answers the
# next one as if nothing had been, and has not grown. hostile_http.py makes the attacks.
# shellcheck disable=SC2154 # $output, $stderr and $status come from bats
load helpers
load attacks

setup() {
    e2e_setup
    SOCKET=$XDG_RUNTIME_DIR/squish/squishd.sock
    squish daemon start
    DAEMON=$(helper_pid squishd)
    [ -n "$DAEMON" ]
    in_shell 'true' # from then on it has everything that it keeps
    wait_for 10 eval '[ "$(squish_processes | grep -c squish-in)" -eq 2 ]' # at rest, with its spare cells
    BEFORE=$(memory VmRSS)
    DESCRIPTORS=$(descriptors)
}

hostile() { timeout 110 /usr/bin/python3 "$BATS_TEST_DIRNAME/hostile_http.py" "$SOCKET" "$@"; }
memory() { awk -v what="$1:" '$1 == what { print $2 }' "/proc/$DAEMON/status"; } # in KiB
descriptors() { find "/proc/$DAEMON/fd" -mindepth 1 | wc -l; }
few_descriptors() { [ "$(descriptors)" -le $((DESCRIPTORS + 2)) ]; }

# squishd is the same process, it answers, and it keeps nothing of what it was sent.
unharmed() {
    assert_equal "$(helper_pid squishd)" "$DAEMON"
    assert_equal "$(in_shell 'echo served')" served
    wait_for 10 few_descriptors || fail "$(ls -l "/proc/$DAEMON/fd")"
    local grown=$(($(memory VmHWM) - BEFORE))
    [ "$grown" -lt 32768 ] || fail "squishd grew by $grown KiB"
}

@test "another user is kept off by the socket's mode, and behind it by who they are" {
    assert_equal "$(stat -c %a "$SOCKET") $(stat -c %a "$XDG_RUNTIME_DIR/squish")" "600 700"
    cat >ask.py <<'PYTHON'
import socket, sys
client = socket.socket(socket.AF_UNIX)
client.settimeout(10)
try:
    client.connect(sys.argv[1])
    client.sendall(b"GET /v1/version HTTP/1.1\r\nConnection: close\r\n\r\n")
    print("answered" if client.recv(100) else "closed")
except PermissionError:
    print("no permission")
except ConnectionError:
    print("closed")
PYTHON
    as_other() { unshare --map-root-user --map-auto setpriv --reuid 1000 --regid 1000 --clear-groups /usr/bin/python3 - "$1" <ask.py; }
    folders=("$E2E_FILE_DIR" "$XDG_RUNTIME_DIR" "$XDG_RUNTIME_DIR/squish")
    assert_equal "$(/usr/bin/python3 - "$SOCKET" <ask.py)" answered
    assert_equal "$(as_other "$SOCKET")" "no permission" # the folders
    modes=$(stat -c %a "${folders[@]}")
    chmod o+x "${folders[@]}"
    first=$(as_other "$SOCKET") # the socket
    chmod 0666 "$SOCKET"
    second=$(as_other "$SOCKET")
    # Whoever listens there and does not look is reached.
    /usr/bin/python3 -c '
import os, socket
listener = socket.socket(socket.AF_UNIX)
listener.bind(os.environ["XDG_RUNTIME_DIR"] + "/open.sock")
os.chmod(os.environ["XDG_RUNTIME_DIR"] + "/open.sock", 0o666)
listener.listen()
print("ready", flush=True)
client = listener.accept()[0]
client.recv(100)
client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")' >listener.log 3>&- &
    wait_for 5 grep -q ready listener.log
    open=$(as_other "$XDG_RUNTIME_DIR/open.sock")
    wait $!
    own=$(/usr/bin/python3 - "$SOCKET" <ask.py)
    chmod 0600 "$SOCKET"
    paste -d' ' <(printf '%s\n' "$modes") <(printf '%s\n' "${folders[@]}") | while read -r mode folder; do chmod "$mode" "$folder"; done
    assert_equal "$first" "no permission"
    assert_equal "$second" closed
    assert_equal "$open" answered
    assert_equal "$own" answered
    unharmed
}

@test "requests without an end, in any of their parts" {
    run hostile line header headers empty-lines body chunks chunk-header chunk-size trailers
    assert_status 0
    unharmed
}

@test "requests that are answered are not kept, and answers that nobody reads are not made" {
    run hostile many-requests pipeline descriptors
    assert_status 0
    unharmed
}

@test "a request hidden in another is not answered" {
    run hostile smuggled
    assert_status 0
    unharmed
}

@test "lists within lists" {
    run hostile depth
    assert_status 0
    unharmed
}

@test "names that lead elsewhere" {
    id=$(create_testbin sleep 100)
    run hostile paths
    assert_status 0
    assert_equal "$(state_of "$id")" running
    unharmed
}

@test "more clients than there is room for" {
    id=$(create_testbin sleep 100)
    for siege in siege-idle siege-slow; do
        mkfifo "$siege"
        hostile "$siege" <"$siege" >"$siege.log" 3>&- &
        besieger=$!
        exec {hold}>"$siege"
        wait_for 30 grep -q ready "$siege.log"
        [ "$(descriptors)" -lt $((DESCRIPTORS + 100)) ] || fail "$(descriptors) descriptors"
        # Whoever comes now is told so, and what runs goes on.
        run --separate-stderr squish ps
        if [ "$status" -ne 0 ]; then assert_contains "$stderr" "as many connections as it may"; fi
        exec {hold}>&-
        wait "$besieger"
        wait_for 15 squish ps
        assert_equal "$(state_of "$id")" running
    done
    unharmed
}
