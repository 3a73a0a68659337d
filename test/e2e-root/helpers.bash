# shellcheck shell=bash
# helpers.bash: for tests that run as root, to prepare a machine and to start squish as root or as an account of theirs.
#
#   $ACCOUNT, $ACCOUNT_UID   an ordinary account of this file's, with a range of ids, gone at its end
#   as_account COMMAND…      runs it as that, in an environment made from nothing; state and data are in $DIR
#   on_machine SCRIPT COMMAND…  the same, after SCRIPT has changed the mounts, which nobody else gets to see
#
# What is not here comes from test/e2e/helpers.bash.
load ../e2e/helpers

# make_test_account NAME [without-range]
make_test_account() {
    userdel "$1" 2>/dev/null || true # of a run that was cut short
    useradd --system --user-group --no-create-home --home-dir "$E2E_FILE_DIR/home-$1" --shell /bin/false "$1" 2>/dev/null
    install -d -m 0750 -o "$1" -g "$1" "$E2E_FILE_DIR/home-$1"
    [ "${2-}" != without-range ] || return 0
    local first
    first=$(cat /etc/subuid /etc/subgid | awk -F: 'BEGIN { top = 100000 } $2 + $3 > top { top = $2 + $3 } END { print top }')
    usermod --add-subuids "$first-$((first + 65535))" --add-subgids "$first-$((first + 65535))" "$1"
}

# PIDs of the account's processes and of those of its subordinate ids.
processes_of() { # ACCOUNT
    local uid first count
    uid=$(id -u "$1")
    IFS=: read -r _ first count < <(grep "^$1:" /etc/subuid || echo x:0:0)
    grep -sE '^(State|Uid):' /proc/[0-9]*/status | awk -v uid="$uid" -v first="$first" -v count="$count" '
        $1 ~ /:State:$/ { dead = $2 == "Z" }
        $1 ~ /:Uid:$/ && !dead && ($2 == uid || ($2 >= first && $2 < first + count)) { split($1, path, "/"); print path[3] }'
}
has_no_process() { [ -z "$(processes_of "$1")" ]; }

# Ends what the account has running, which should be nothing: false where there was something.
remove_test_account() {
    local pid clean=0
    if ! wait_for 10 has_no_process "$1"; then
        for pid in $(processes_of "$1"); do
            echo "# left running by $1: $pid $(cat "/proc/$pid/comm" 2>/dev/null)" >&3
            kill -KILL "$pid" 2>/dev/null || true
        done
        clean=1
        wait_for 5 has_no_process "$1" || true
    fi
    rm -rf "/tmp/squish-$(id -u "$1")"
    userdel "$1" || clean=1
    return "$clean"
}

root_setup_file() {
    : "${E2E_PREFIX:?run these through ./test/test-e2e.sh}"
    [ "$(id -u)" = 0 ] || fail "these tests are root's"
    E2E_FILE_DIR=$(mktemp -d "${TMPDIR:-/tmp}/f.XXXXXX")
    export E2E_FILE_DIR ACCOUNT=sq-e2e-$$
    chmod 0755 "$E2E_FILE_DIR"
    make_test_account "$ACCOUNT"
    ACCOUNT_UID=$(id -u "$ACCOUNT")
    export ACCOUNT_UID PATH=$E2E_PREFIX/bin:$PATH
    unset SQUISH_SOCKET SQUISH_USER XDG_RUNTIME_DIR XDG_DATA_HOME XDG_CONFIG_HOME XDG_STATE_HOME XDG_CACHE_HOME
}
root_teardown_file() {
    local status=0
    remove_test_account "$ACCOUNT" || status=1
    rm -rf "$E2E_FILE_DIR"
    return "$status"
}
root_setup() {
    DIR=$E2E_FILE_DIR/t$BATS_TEST_NUMBER
    install -d -m 0755 "$DIR"
    install -d -m 0700 -o "$ACCOUNT" -g "$ACCOUNT" "$DIR/run" "$DIR/data"
    cd "$DIR" || return 1
}
root_teardown() {
    # Where there never was a daemon, this would start one to ask it.
    [ ! -S "$DIR/run/squish/squishd.sock" ] || as_account squish daemon stop --containers >/dev/null 2>&1 || true
    wait_for 10 has_no_process "$ACCOUNT" || true
    cd / || true
}
setup_file() { root_setup_file; }
teardown_file() { root_teardown_file; }
setup() { root_setup; }
teardown() { root_teardown; }

# As WHO, defaulting to the file's account.
as_account() {
    local who=${WHO-$ACCOUNT}
    setpriv --reuid "$who" --regid "$who" --init-groups -- env -i HOME="$E2E_FILE_DIR/home-$who" USER="$who" LANG=C.UTF-8 \
        PATH="$E2E_PREFIX/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin" XDG_RUNTIME_DIR="$DIR/run" XDG_DATA_HOME="$DIR/data" \
        XDG_CONFIG_HOME="$DIR/config" "$@"
}

# In a mount namespace of its own, which SCRIPT changes first. Nothing of it is seen elsewhere, and it ends by itself.
on_machine() { # SCRIPT COMMAND…
    local script=$1
    shift
    # shellcheck disable=SC2016
    unshare --mount --propagation private bash -e -c "$script"'
        shift 0; exec "$@"' bash setpriv --reuid "${WHO-$ACCOUNT}" --regid "${WHO-$ACCOUNT}" --init-groups -- env -i \
        HOME="$E2E_FILE_DIR/home-${WHO-$ACCOUNT}" USER="${WHO-$ACCOUNT}" LANG=C.UTF-8 \
        PATH="$E2E_PREFIX/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin" XDG_RUNTIME_DIR="$DIR/run" XDG_DATA_HOME="$DIR/data" \
        XDG_CONFIG_HOME="$DIR/config" "$@"
}
