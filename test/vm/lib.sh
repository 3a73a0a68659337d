# shellcheck shell=bash disable=SC2034 # used by the cases
# lib.sh: what the cases of test/vm are written with. A case runs under `set -eE` in an empty folder $DIR, with $DRIVER
# (plain, systemd or direct) configured and a squishd of its own, which is ended with all containers behind it.

PREFIX=/payload/prefix
TESTBIN=/payload/testbin
PROBE=/payload/limits-probe
export PATH=$PREFIX/bin:$PATH

begin_case() { # DRIVER CASE
    DRIVER=$1
    DIR=$HOME/vm/work
    # The data are kept from case to case: to look at the base rootfs for the first time takes ten seconds here.
    export XDG_DATA_HOME=$HOME/data XDG_CONFIG_HOME=$HOME/vm/config XDG_STATE_HOME=$HOME/vm/state XDG_CACHE_HOME=$HOME/vm/cache
    mkdir -p "$DIR" "$XDG_CONFIG_HOME/squish"
    cd "$DIR" || exit 1
    case $DRIVER in
        plain) configure '' ;;
        systemd) configure '[limits]' 'driver = "systemd"' ;;
        direct) configure '[limits]' 'driver = "direct"' "cgroup = \"$SUITE_CGROUP\"" ;;
    esac
    trap 'exit 143' TERM
    trap 'echo "failed at ${BASH_SOURCE[0]##*/} line $LINENO: $BASH_COMMAND" >&2' ERR
    # shellcheck disable=SC2064 # the case's name, now
    trap "end_case '$1' '$2'" EXIT
}

configure() { printf '%s\n' "$@" >"$XDG_CONFIG_HOME/squish/squishd.toml"; } # LINE…: of the next squishd

end_case() { # DRIVER CASE
    local status=$? ids
    trap - EXIT ERR
    set +eE
    if [ "$status" -ne 0 ]; then
        echo "--- squish ps -a"
        squish ps -a
        echo "--- the end of squishd's log"
        tail -n 20 "$XDG_RUNTIME_DIR/squish/squishd.log"
        cp "$XDG_RUNTIME_DIR/squish/squishd.log" "/out/$2.$1.squishd"
    fi 2>&1
    command tmux -L vm kill-server 2>/dev/null
    ids=$(squish ps -aq)
    # shellcheck disable=SC2086 # ids are words
    [ -z "$ids" ] || squish rm -f $ids >/dev/null || [ "$status" -ne 0 ] || status=1
    squish daemon stop --containers || [ "$status" -ne 0 ] || status=1
    cd / || true
    exit "$status"
}

# "PID NAME" of squish's own processes; init's program is in memory, and its ids are the container's.
squish_processes() {
    grep -sE '^(Name|State):' /proc/[0-9]*/status | awk '
        { split($1, path, "/"); pid = path[3] }
        $1 ~ /:Name:$/ { name = $2 }
        $1 ~ /:State:$/ && $2 != "Z" && name ~ /^(squish|squishd|squish-.*|slirp4netns|memfd:squish.*)$/ { print pid, name }'
}
process_of() { squish_processes | awk -v name="$1" '$2 == name { print $1; exit }'; } # NAME

# --- making things -----------------------------------------------------------------------------------------------

# squishfile FILE TOML ARGS…: runs testbin with ARGS; without ARGS, [run] is TOML's. No network unless TOML says which.
# $LAYERS: more lines of [layers].
squishfile() {
    local file=$1 toml=$2 args='' arg
    shift 2
    {
        printf '[layers]\napp = "%s"\n%s\n' "$TESTBIN" "${LAYERS-}"
        for arg in "$@"; do args+="'$arg', "; done
        [ $# -eq 0 ] || printf '[run]\ncommand = "/app/testbin"\nargs = [%s]\n' "${args%, }"
        [[ $toml == *'[network]'* ]] || printf '[network]\nmode = "none"\n'
        printf '%s\n' "$toml"
    } >"$file"
}

# start NAME TOML ARGS…: in the background; prints the id.
start() {
    local name=$1
    shift
    squishfile "$DIR/$name.toml" "$@"
    squish create --name "$name" "$DIR/$name.toml"
}

# --- looking -----------------------------------------------------------------------------------------------------

inspect() { squish inspect "$1" | jq -r ".[0]$2"; } # ID FILTER
state_of() { inspect "$1" .state; }
is_in_state() { [ "$(state_of "$1")" = "$2" ]; } # ID STATE
outer_of() { # ID: the folder of its outer cgroup
    local path
    path=$(inspect "$1" .limits.cgroup)
    printf '/sys/fs/cgroup%s' "${path#/sys/fs/cgroup}"
}
# Of its outer cgroup: with systemd the process that keeps the scope open is counted there, too.
outer_pids() { echo $(($1 + $([ "$DRIVER" = direct ] && echo 0 || echo 1))); } # PIDS
leaf_of() { printf '%s/payload' "$(outer_of "$1")"; }
has_logged() { squish logs "$1" | grep -- "$2"; } # ID TEXT
keyed() { awk -v key="$2" '$1 == key { print $2 }' "$1"; } # FILE KEY: of "KEY VALUE" lines
# Events so far, as JSON, one in a line: events [JQ FILTER]
events() { squish events --json --no-follow | jq -c "${1-.}"; }
count_events() { events "select(.id == \"$1\" and .type == \"$2\")" | wc -l; } # ID TYPE
has_event() { [ "$(count_events "$1" "$2")" -gt 0 ]; }

# --- waiting -----------------------------------------------------------------------------------------------------

wait_for() { # SECONDS COMMAND…
    local deadline=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$deadline" ] || return 1
        sleep 0.2
    done
}
must() { wait_for "$@" || fail "not within $1 s: ${*:2}"; } # SECONDS COMMAND…

# --- judging -----------------------------------------------------------------------------------------------------

fail() {
    printf '%s\n' "$*" >&2
    exit 1
}
assert_equal() { [ "$1" = "$2" ] || fail "line ${BASH_LINENO[0]}: expected: $2
     got: $1"; }
assert_contains() { [[ $1 == *"$2"* ]] || fail "line ${BASH_LINENO[0]}: expected to contain: $2
     got: $1"; }
assert_matches() { [[ $1 =~ $2 ]] || fail "line ${BASH_LINENO[0]}: expected to match: $2
     got: $1"; }
assert_between() { # VALUE LEAST MOST
    awk -v v="$1" -v a="$2" -v b="$3" 'BEGIN { exit !(v != "" && v + 0 >= a + 0 && v + 0 <= b + 0) }' ||
        fail "line ${BASH_LINENO[0]}: expected $2 to $3, got $1"
}
assert_near() { # VALUE EXPECTED PERCENT
    awk -v v="$1" -v e="$2" -v p="$3" 'BEGIN { d = v > e ? v - e : e - v; exit !(v != "" && d <= e * p / 100) }' ||
        fail "line ${BASH_LINENO[0]}: expected $2 within $3 %, got $1"
}
# What is written in it now, read by the shell itself: value FILE. "max" and the like stay text.
value() { local text && read -r text <"$1" && printf '%s' "$text"; }
# What a command that must fail said: refused COMMAND…; in $message, its exit status in $code.
refused() {
    code=0
    message=$("$@" 2>&1 >/dev/null) || code=$?
    [ "$code" -ne 0 ] || fail "line ${BASH_LINENO[0]}: expected to fail: $*"
}
# What a reader of a good run wants to see too.
note() { printf 'note: %s\n' "$*"; }
