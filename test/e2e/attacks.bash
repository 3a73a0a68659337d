# shellcheck shell=bash disable=SC2034,SC2154 # used by the tests; $status and $output come from bats
# attacks.bash: for the files that attack. After helpers.

EVERY_CAPABILITY='"CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "NET_BIND_SERVICE", "SYS_CHROOT"'

# attack_file FILE USER SECURITY ARGS…: a squishfile that runs the attack as USER; SECURITY is what [security] says.
attack_file() {
    local file=$1 user=$2 security=$3
    shift 3
    testbin_file "$file" attack "$@"
    sed -i "s|^\[run\]|&\nuser = \"$user\"|" "$file"
    printf '[security]\n%s\n' "$security" >>"$file"
}

# Whoever a payload can be: "USER<TAB>SECURITY".
every_payload() {
    printf '%s\t%s\n' 0 '' 1000 '' 0 'seccomp = "unconfined"' 0 "capabilities = [$EVERY_CAPABILITY]" \
        1000 "capabilities = [$EVERY_CAPABILITY]" \
        0 "seccomp = \"unconfined\""$'\t'"capabilities = [$EVERY_CAPABILITY]"
}

# shut LINES N: N lines, none of which says ok
shut() {
    local text=$1 count=$2
    assert_equal "$(grep -c . <<<"$text")" "$count"
    if grep -q ' ok$' <<<"$text"; then fail "it is open: $text"; fi
}

# attack_as_all N ARGS…: the attack as each payload; it must print N lines, and succeed in none of them. $EXTRA_LAYER,
# if set, is a line for [layers], $EXTRA_RUN one for [run].
attack_as_all() {
    local count=$1 user security more
    shift
    while IFS=$'\t' read -r user security more; do
        attack_file attack.toml "$user" "$security"$'\n'"$more" "$@"
        [ -z "${EXTRA_LAYER-}" ] || sed -i "s|^\[layers\]|&\n$EXTRA_LAYER|" attack.toml
        [ -z "${EXTRA_RUN-}" ] || sed -i "s|^\[run\]|&\n$EXTRA_RUN|" attack.toml
        run --separate-stderr squish run --rm attack.toml
        assert_status 0
        echo "# as $user with $security $more: $output"
        shut "$output" "$count"
    done < <(every_payload)
}

# in_namespaces COMMAND…: on the host, as root of namespaces like a container's, but with everything allowed that there
# is: what an open door looks like.
in_namespaces() { unshare --map-root-user --map-auto --net --mount --cgroup "$@"; }

on_terminal() { /usr/bin/python3 "$BATS_TEST_DIRNAME/on_terminal.py" "$@"; }

# A rootfs of our own in the folder $1, with busybox and its links.
make_rootfs() {
    local name
    mkdir -p "$1/bin" "$1/etc"
    cp "$E2E_PREFIX/share/squish/base/bin/busybox" "$1/bin/busybox"
    for name in sh cat ls stat echo readlink mkdir touch find wc grep head id sleep test; do ln -s busybox "$1/bin/$name"; done
}

# swapping A B: exchanges the two for as long as the test lasts, in the background; swapping_ends ends it.
swapping() {
    "$E2E_TESTBIN" attack swap "$1" "$2" >swapping.log 3>&- &
    SWAPPER=$!
    wait_for 5 grep -q ready swapping.log
}
swapping_ends() {
    kill "$SWAPPER" 2>/dev/null || fail "the race ended early"
    wait "$SWAPPER" 2>/dev/null || true
}
