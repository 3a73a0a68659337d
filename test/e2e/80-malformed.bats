# Malformed squishfiles: each ends with exit code 2 or 125 and a message that names the place; never a crash, never a
# half-made container. malformed.py makes and judges them.
load helpers

# Those that stay. squish-layers comes when a file is looked into, and goes by itself.
lasting_processes() { squish_processes | awk '$2 != "squish-init" && $2 != "squish-layers"'; }

# judge GROUP…: runs them, and looks for what they may have left.
judge() {
    local before
    testbin_file port.toml http 2000
    TAKEN_PORT=$(free_port)
    export TAKEN_PORT
    holder=$(squish create --publish "$TAKEN_PORT:2000" port.toml)
    wait_for 10 eval '[ "$(squish_processes | grep -c " squish-init$")" -eq 3 ]' # its own, and two spare ones
    before=$(lasting_processes)
    run /usr/bin/python3 "$BATS_TEST_DIRNAME/malformed.py" "$@"
    [ "$status" -eq 0 ] || fail "$output"
    echo "# ${lines[-1]}" >&3
    assert_equal "$(squish ps -aq)" "$holder"
    wait_for 5 only_folder_of "$holder" || fail "$(ls "$XDG_RUNTIME_DIR/squish/containers")"
    wait_for 10 eval '[ "$(squish_processes | grep -c " squish-init$")" -eq 3 ]' || fail "$(squish_processes)"
    # No process of ours ended on the way, and none is new.
    assert_equal "$(lasting_processes)" "$before"
}
only_folder_of() { [ "$(ls "$XDG_RUNTIME_DIR/squish/containers")" = "$1" ]; }

@test "malformed TOML" { judge syntax; }
@test "values of the wrong type" { judge types; }
@test "unknown and missing keys" { judge keys; }
@test "names with slashes, and other bad text" { judge names; }
@test "layers: missing files, loops of links, folders where files are expected" { judge layers; }
@test "ports out of range or taken" { judge ports; }
@test "too much of it: 10 MB of junk, deep nesting" { judge size; }
@test "what is no squishfile at all" { judge things; }

@test "what the daemon is sent is judged by it, too" {
    squish daemon start
    api() { curl -sS --max-time 10 --unix-socket "$XDG_RUNTIME_DIR/squish/squishd.sock" -o answer -w '%{http_code}' "$@"; }
    head -c 1000000 /dev/urandom >junk
    head -c 3000000 /dev/zero >big
    printf '{"squishfile": %s}' "$(printf '[%.0s' $(seq 1 50000))" >deep
    for body in '' '{' '[]' 'null' '7' '"x"' '{"squishfile": 1}' '{"squishfile": {"layers": []}}' '{"squishfile": {"nam": "x"}}' \
        '{"squishfile": {"name": "a/b"}}' '{"squishfile": {"run": {"command": "/bin/true", "user": -1}}}' '{}' @junk @big @deep \
        '{"squishfile": {}, "nonsense": 1}' '{"squishfile": {"run": {"command": "/bin/true"}, "layers": {"x": {"path": "relative", "target": "/x"}}}}'; do
        code=$(api -X POST --data-binary "$body" http://squish/v1/containers)
        case $code in 4??) ;; *) fail "'${body:0:80}' got $code: $(cat answer)" ;; esac
        [ "$(json '["error"]["kind"]' <answer)" = invalid ] || fail "'${body:0:80}': $(cat answer)"
    done
    for request in 'GET / HTTP/9.9' 'NONSENSE' '' $'\0\0\0' "GET /$(head -c 100000 /dev/zero | tr '\0' a) HTTP/1.1" $'POST /v1/containers HTTP/1.1\r\nContent-Length: -1' \
        $'POST /v1/containers HTTP/1.1\r\nContent-Length: 99999999999999999999' $'GET /v1/status HTTP/1.1\r\nno colon here'; do
        run timeout 20 /usr/bin/python3 -c '
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
s.settimeout(15)
try:
    s.sendall(sys.argv[2].encode() + b"\r\n\r\n")
    print(s.recv(100).decode(errors="replace"))
except (ConnectionError, BrokenPipeError):
    pass' "$XDG_RUNTIME_DIR/squish/squishd.sock" "$request"
        assert_lacks "$output" " 200 "
        assert_lacks "$output" " 500 "
    done
    assert_equal "$(squish ps -aq)" ""
    assert_no_container
}
