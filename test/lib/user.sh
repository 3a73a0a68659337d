# shellcheck shell=bash
# Who runs the tests: an unprivileged user with a range of ids. As root that is an account of its own; else it is us.
# Needs scripts/setup/{common,machine}.sh.

TEST_ACCOUNT=squish-test

if is_root; then TEST_USER=$TEST_ACCOUNT; else TEST_USER=$(id -un); fi

make_test_user() {
    if is_root; then make_account "$TEST_ACCOUNT" /var/lib/squish-test; fi
}

# A folder of the test user's own below /tmp, with a short name: socket addresses end at 108 bytes.
make_test_folder() { # NAME
    local folder
    folder=$(mktemp -d "/tmp/$1.XXXXXX")
    if is_root; then chown "$TEST_USER:" "$folder"; fi
    chmod 0755 "$folder"
    printf '%s' "$folder"
}

# Runs a command as the test user in an environment made from nothing. HOME and the XDG folders are in FOLDER, which
# is the test user's; its own user manager stays reachable where there is one (the systemd cgroup driver needs it).
as_test_user() { # FOLDER COMMAND…
    local folder=$1 uid variables name
    shift
    uid=$(id -u "$TEST_USER")
    variables=(HOME="$folder/home" TMPDIR="$folder" USER="$TEST_USER" LOGNAME="$TEST_USER" SHELL=/bin/sh LANG=C.UTF-8
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin XDG_RUNTIME_DIR="$folder/run"
        TERM="${TERM:-dumb}" SQUISH_TESTS_MUST_RUN="${SQUISH_TESTS_MUST_RUN-}")
    [ -z "${CI-}" ] || variables+=(CI="$CI")
    [ ! -S "/run/user/$uid/bus" ] || variables+=(DBUS_SESSION_BUS_ADDRESS="unix:path=/run/user/$uid/bus")
    for name in ${PASS_ON-}; do variables+=("$name=${!name-}"); done
    local become=()
    if is_root; then become=(setpriv --reuid "$TEST_USER" --regid "$(id -gn "$TEST_USER")" --init-groups --); fi
    # shellcheck disable=SC2016 # expanded by the inner shell
    (cd / && exec "${become[@]}" env -i "${variables[@]}" /bin/sh -c '
        umask 022 && mkdir -p "$HOME" "$XDG_RUNTIME_DIR" && chmod 0700 "$XDG_RUNTIME_DIR" && exec "$@"' sh "$@")
}

# "PID NAME" of what the tests have left running. As root: every process of the test user and of its subordinate ids.
# Else we may have processes of our own: those whose program is below FOLDER.
leftovers() { # FOLDER
    local status pid uid name first count
    read -r first count < <(awk -F: -v user="$TEST_USER" '$1 == user { print $2, $3; exit }' /etc/subuid) || true
    for status in /proc/[0-9]*/status; do
        pid=${status#/proc/} pid=${pid%/status}
        if is_root; then
            read -r uid name < <(awk '/^Name:/ { n = $2 } /^State:\tZ/ { exit } /^Uid:/ { print $2, n; exit }' "$status" 2>/dev/null) || continue
            if [ "$uid" = "$(id -u "$TEST_USER")" ] ||
                { [ -n "${first-}" ] && [ "$uid" -ge "$first" ] && [ "$uid" -lt $((first + count)) ]; }; then
                printf '%s %s\n' "$pid" "$name"
            fi
        elif [[ $(readlink "/proc/$pid/exe" 2>/dev/null) == "$1"/* ]]; then
            printf '%s %s\n' "$pid" "$(cat "/proc/$pid/comm" 2>/dev/null)"
        fi
    done
}

# Kills, one by one, what is left, and says so; true where nothing was.
kill_leftovers() { # FOLDER
    local pid name clean=0 round
    for round in 1 2 3; do # what is killed may leave children of its own
        while read -r pid name; do
            [ "$round" -gt 1 ] || printf 'left running: %s %s\n' "$pid" "$name" >&2
            kill -KILL "$pid" 2>/dev/null || true
            clean=1
        done < <(leftovers "$1")
        [ "$clean" -ne 0 ] || return 0
        sleep 0.1
    done
    return "$clean"
}
