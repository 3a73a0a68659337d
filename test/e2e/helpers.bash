# shellcheck shell=bash disable=SC2034,SC2154 # used by the tests; $status and $output come from bats
# helpers.bash: what every .bats file here loads first.
#
#   load helpers
#   @test "sentence" { … }
#
# Each file gets a daemon of its own: private XDG folders, $E2E_PREFIX/bin first in PATH, and at its end no container,
# no process and no socket may be left. A file that needs more in setup_file defines it and calls e2e_setup_file first.
#
# From test/test-e2e.sh: E2E_PREFIX (the installation), E2E_TESTBIN (test/support/testbin.cpp), E2E_EXAMPLES, E2E_STAGE.
# For a test: $E2E_FILE_DIR (lives as long as the file's tests), $DIR (this test's own folder, empty at its start).
bats_require_minimum_version 1.5.0

# Host addresses that tests may publish on; ports come from free_port.
E2E_ADDRESS=127.0.0.1

e2e_setup_file() {
    : "${E2E_PREFIX:?run these through ./test/test-e2e.sh}"
    E2E_FILE_DIR=$(mktemp -d "${TMPDIR:-/tmp}/f.XXXXXX")
    export E2E_FILE_DIR
    export XDG_RUNTIME_DIR=$E2E_FILE_DIR/run XDG_DATA_HOME=$E2E_FILE_DIR/data XDG_CONFIG_HOME=$E2E_FILE_DIR/config
    export XDG_STATE_HOME=$E2E_FILE_DIR/state XDG_CACHE_HOME=$E2E_FILE_DIR/cache
    mkdir -m 0700 "$XDG_RUNTIME_DIR"
    mkdir -p "$XDG_DATA_HOME" "$XDG_CONFIG_HOME"
    export PATH=$E2E_PREFIX/bin:$PATH
    unset SQUISH_SOCKET SQUISH_USER
}

e2e_teardown_file() {
    local ids left status=0
    ids=$(squish ps -aq 2>/dev/null) || true
    # shellcheck disable=SC2086 # ids are words
    [ -z "$ids" ] || squish rm -f $ids >/dev/null || status=1
    squish daemon stop >/dev/null 2>&1 || true
    if ! wait_for 10 no_squish_process; then
        left=$(squish_processes)
        printf '# left running: %s\n' "$left" >&3
        status=1
    fi
    [ "$status" -ne 0 ] || rm -rf "$E2E_FILE_DIR" 2>/dev/null ||
        unshare --map-root-user --map-auto rm -rf "$E2E_FILE_DIR" || status=1
    return "$status"
}

setup_file() { e2e_setup_file; }
teardown_file() { e2e_teardown_file; }
setup() { e2e_setup; }
teardown() { e2e_teardown; }

e2e_setup() {
    DIR=$E2E_FILE_DIR/t$BATS_TEST_NUMBER
    mkdir "$DIR"
    cd "$DIR" || return 1
}

# No test inherits the containers of another. After a failure: what a reader of the report wants to see.
e2e_teardown() {
    local ids
    if [ -z "${BATS_TEST_COMPLETED-}" ]; then
        echo "--- squish ps -a"
        squish ps -a 2>&1 || true
    fi
    ids=$(squish ps -aq 2>/dev/null) || true
    # shellcheck disable=SC2086
    [ -z "$ids" ] || squish rm -f $ids >/dev/null 2>&1 || true
    cd / || true
}

# "PID NAME" of squish's own processes of this user that belong to this file's daemon, or to none that we know.
squish_processes() {
    local pid name first count
    # A container with ids of its own has them from the user's range.
    IFS=: read -r _ first count < <(grep -E "^($(id -un)|$(id -u)):" /etc/subuid || echo '-:-1:0')
    # All of /proc in one go: this is asked again and again. What ends meanwhile is passed over (-s).
    grep -sE '^(Name|State|Uid):' /proc/[0-9]*/status | awk -v me="$(id -u)" -v first="$first" -v after="$((first + count))" '
        { split($1, path, "/"); pid = path[3] }
        $1 ~ /:Name:$/ { name = $2; dead = 0 }
        $1 ~ /:State:$/ { dead = $2 == "Z" }
        $1 ~ /:Uid:$/ && ($2 == me || $2 >= first && $2 < after) && !dead && name ~ /^(squish|squishd|squish-.*|slirp4netns|memfd:squish.*)$/ { print pid, name }' |
        while read -r pid name; do
            # A plain user may have a squish of their own: ours runs from the prefix under test. squish-init runs from memory.
            case $(readlink "/proc/$pid/exe" 2>/dev/null) in
                "$E2E_PREFIX"/* | /memfd:* | '') printf '%s %s\n' "$pid" "$name" ;;
                */slirp4netns) if is_test_account; then printf '%s %s\n' "$pid" "$name"; fi ;;
            esac
        done
}
is_test_account() { [ -n "${E2E_ACCOUNT-}" ] && [ "$(id -un)" = "$E2E_ACCOUNT" ]; }
no_squish_process() { [ -z "$(squish_processes)" ]; }

# --- making things -----------------------------------------------------------------------------------------------

# squishfile [FILE] <<'END' …: writes FILE (default: squishfile.toml here); @TESTBIN@ and @DIR@ are filled in.
squishfile() {
    local file=${1-squishfile.toml}
    mkdir -p "$(dirname "$file")"
    sed -e "s|@TESTBIN@|$E2E_TESTBIN|g" -e "s|@DIR@|$DIR|g" >"$file"
}

# testbin_file FILE ARGS…: a squishfile that runs the test program with these arguments and nothing else.
testbin_file() {
    local file=$1 args='' arg
    shift
    for arg in "$@"; do args+="'$arg', "; done
    squishfile "$file" <<END
[layers]
app = "@TESTBIN@"
[run]
command = "/app/testbin"
args = [${args%, }]
END
}

# shell_file FILE SCRIPT [TOML]: a squishfile that runs SCRIPT with the /bin/sh of its rootfs; TOML is what else it says.
shell_file() {
    {
        printf '%s\n' "${3-}"
        printf "[run]\ncommand = '/bin/sh'\nargs = ['-c', '''\n%s\n''']\n" "$2"
    } | squishfile "$1"
}

# in_shell SCRIPT [TOML]: runs it in a container that is gone afterwards.
in_shell() {
    shell_file in-shell.toml "$@" && squish run --rm in-shell.toml
}

# create_shell SCRIPT [TOML]: starts it in the background, prints the id.
create_shell() {
    local file=$DIR/shell-$RANDOM$RANDOM.toml
    shell_file "$file" "$@" && squish create "$file"
}

# create_testbin ARGS…: starts it in the background, prints the id.
create_testbin() {
    local file=$DIR/testbin-$RANDOM$RANDOM.toml
    testbin_file "$file" "$@" && squish create "$file"
}

# A TCP port of the host that nobody listens on; below the range from which the kernel takes ports for connections.
free_port() {
    local port tries=0
    while [ $((tries++)) -lt 200 ]; do
        port=$((20000 + RANDOM % 12000))
        if ! awk -v want="$(printf '%04X' "$port")" 'FNR > 1 { split($2, a, ":"); if (a[length(a)] == want) found = 1 }
            END { exit !found }' /proc/net/tcp /proc/net/tcp6 /proc/net/udp 2>/dev/null; then
            echo "$port"
            return 0
        fi
    done
    fail "no free port found"
}

# --- waiting -----------------------------------------------------------------------------------------------------

# wait_for SECONDS COMMAND…: until it succeeds; false when the time is over. Its output is thrown away.
wait_for() {
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.02
    done
}

# fetch URL [curl arguments]: the body, as soon as somebody answers; fails after 10 s.
fetch() {
    wait_for 10 curl -fsS -o /dev/null --max-time 2 "$1" || fail "no answer from $1"
    curl -fsS --max-time 60 "$@"
}

# state_of ID: running, exited, or nothing where there is no such container.
state_of() {
    squish inspect "$1" 2>/dev/null | json '[0]["state"]'
}
has_ended() { [ "$(state_of "$1")" = exited ]; }

# The processes that hold squish together: "keeper" → its pid; nothing where there is none. Only this file's.
helper_pid() { # squishd | squish-keeper | squish-stager | squish-forward | slirp4netns
    squish_processes | awk -v name="$1" '$2 == name { print $1; exit }'
}
has_helper() { [ -n "$(helper_pid "$1")" ]; }
is_gone() { [ ! -e "/proc/$1" ] || grep -qs '^State:.Z' "/proc/$1/status"; }

# json EXPRESSION: of the JSON on stdin, as text: json '[0]["exit"]["code"]'
json() {
    /usr/bin/python3 -c 'import json, sys
value = eval("document" + sys.argv[1], {"document": json.load(sys.stdin)})
print(value if isinstance(value, str) else json.dumps(value))' "$1"
}

now_ms() { echo $(($(date +%s%N) / 1000000)); }

# --- judging -----------------------------------------------------------------------------------------------------

fail() {
    printf '%s\n' "$*" >&2
    return 1
}

assert_equal() { # ACTUAL EXPECTED
    [ "$1" = "$2" ] || fail "expected: $2
     got: $1"
}

assert_not_equal() { # ACTUAL UNWANTED
    [ "$1" != "$2" ] || fail "must not be: $2"
}

assert_contains() { # TEXT PART
    [[ $1 == *"$2"* ]] || fail "expected to contain: $2
                got: $1"
}

assert_lacks() { # TEXT PART
    [[ $1 != *"$2"* ]] || fail "expected not to contain: $2
                    got: $1"
}

assert_matches() { # TEXT REGEX
    [[ $1 =~ $2 ]] || fail "expected to match: $2
              got: $1"
}

# After `run`: its exit status.
assert_status() { # STATUS
    [ "${status?use run first}" -eq "$1" ] || fail "expected status $1, got $status
output: $output
stderr: ${stderr-}"
}

# Nothing of any container is left: no record, no file, no process of one.
assert_no_container() {
    assert_equal "$(squish ps -aq)" ""
    wait_for 5 no_container_left || fail "left behind: $(ls -A "$XDG_RUNTIME_DIR/squish/containers")"
}
no_container_left() { [ -z "$(ls -A "$XDG_RUNTIME_DIR/squish/containers" 2>/dev/null)" ]; }

# Used with `run --separate-stderr`: one message as squish writes them.
assert_message() { # PART
    assert_matches "${stderr-}" '(^|
)squish: '
    assert_contains "$stderr" "$1"
}

# A full id is 32 to 64 hexadecimal digits.
assert_full_id() { # TEXT
    assert_matches "$1" '^[0-9a-f]{32,64}$'
}
