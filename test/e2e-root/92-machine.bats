# A machine that lacks something: each case has its own message with the remedy, from `squish doctor` and from the
# command that fails. Only the mounts of the commands' own namespace are changed, never the machine.
load helpers

# assert_said CODE PART…: after `run --separate-stderr`, of the failing command.
assert_said() {
    assert_status "$1"
    shift
    assert_matches "$stderr" '(^|
)squish: '
    local part
    for part in "$@"; do assert_contains "$stderr" "$part"; done
}

# After `run … squish doctor --json`: a field of one check.
doctor_check() { # CHECK FIELD
    /usr/bin/python3 -c 'import json, sys
for check in json.loads(sys.argv[1]):
    if sys.argv[2] == check["check"]:
        print(check.get(sys.argv[3], ""))' "$output" "$1" "$2"
}

@test "a machine that lacks nothing: doctor is content" {
    run -0 as_account squish doctor
    assert_lacks "$output" "fail"
    run -0 as_account squish doctor --json
    assert_equal "$(doctor_check "subordinate ids" state)" ok
    assert_equal "$(doctor_check "/dev/net/tun" state)" ok
    assert_equal "$(doctor_check slirp4netns state)" ok
    assert_equal "$(doctor_check "user namespaces" state)" ok
    testbin_file true.toml true
    run -0 --separate-stderr as_account squish run --rm true.toml
    assert_equal "$stderr" ""
}

@test "a user without subordinate ids: a warning that says what is lost, and containers run" {
    export WHO=sq-e2e-none-$$
    make_test_account "$WHO" without-range
    chown -R "$WHO:" run data
    shell_file ids.toml 'id -u; cat /proc/self/uid_map | wc -l; grep -c NoNewPrivs:.1 /proc/self/status; ls -ld /dev/pts >/dev/null && echo fine'
    failure=''
    run --separate-stderr as_account squish run --rm ids.toml
    {
        assert_status 0 && assert_equal "$output" $'0\n1\n1\nfine' &&
            assert_contains "$stderr" "subordinate ids" && assert_contains "$stderr" "usermod --add-subuids" && assert_matches "$stderr" "one user|single|one id" &&
            assert_equal "$(wc -l <<<"$stderr")" 1
    } || failure="run: $output $stderr"
    run as_account squish doctor
    { assert_status 0 && assert_contains "$output" "/etc/subuid" && assert_contains "$output" "usermod --add-subuids"; } || failure+=" doctor: $output"
    # Another user than 0 cannot be had there; that is said, not a riddle.
    sed 's|^\[run\]|&\nuser = "1000"|' ids.toml >user.toml
    run --separate-stderr as_account squish run --rm user.toml
    { assert_status 125 && assert_contains "$stderr" "[run] user" && assert_contains "$stderr" subuid; } || failure+=" user: $status $output $stderr"
    # Ports and the network work as ever.
    port=$(free_port)
    testbin_file web.toml http 80 "single"
    run as_account squish create --publish "$port:80" web.toml
    { assert_status 0 && assert_equal "$(fetch "http://127.0.0.1:$port/")" single; } || failure+=" web: $output"
    as_account squish daemon stop --containers || true
    remove_test_account "$WHO" || failure+=" something was left running"
    unset WHO
    [ -z "$failure" ] || fail "$failure"
}

@test "a user whose range newuidmap refuses, or without newuidmap" {
    echo 'no program' >plain && chmod 0644 plain
    testbin_file true.toml true
    broken='mount --bind plain /usr/bin/newuidmap;'
    run --separate-stderr on_machine "$broken" squish run --rm true.toml
    # It may go on with a single id, or refuse; it has to say why.
    [ "$status" -eq 0 ] || [ "$status" -eq 125 ] || fail "status $status"
    assert_contains "$stderr" newuidmap
    run on_machine "$broken" squish doctor
    assert_contains "$output" newuidmap
    assert_contains "$output" uidmap
}

@test "user namespaces switched off: named, with the sysctl, by doctor and by run" {
    testbin_file true.toml true
    # In a user namespace of our own, whose limit is nobody else's.
    off() { as_account unshare --user --map-root-user sh -c 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"' sh "$@"; }
    run --separate-stderr off squish run --rm true.toml
    assert_said 125 "user namespace" "user.max_user_namespaces"
    assert_contains "$stderr" sysctl
    run off squish doctor
    assert_status 1
    assert_contains "$output" "user.max_user_namespaces"
    run off squish doctor --json
    assert_status 1
    assert_equal "$(doctor_check "user namespaces" state)" fail
    assert_contains "$(doctor_check "user namespaces" remedy)" "sysctl -w user.max_user_namespaces"
    # Checks that cannot be made for that reason do not send anybody elsewhere.
    for check in "fresh /proc" overlayfs "other namespaces"; do
        [ -z "$(doctor_check "$check" remedy)" ] || assert_contains "$(doctor_check "$check" remedy)" user
    done
    # Nothing half-started is left.
    as_account squish daemon stop || true
    wait_for 5 has_no_process "$ACCOUNT"
}

@test "/dev/net/tun not accessible: named, with the chmod, by doctor and by run" {
    testbin_file true.toml true
    closed='mkdir -p dev && mount -t tmpfs none dev && mknod -m 0600 dev/tun c 10 200 && mount --bind dev/tun /dev/net/tun;'
    run --separate-stderr on_machine "$closed" squish run --rm true.toml
    assert_said 125 /dev/net/tun "chmod 0666 /dev/net/tun"
    run on_machine "$closed" squish doctor
    assert_status 1
    assert_contains "$output" "chmod 0666 /dev/net/tun"
    # A container without a network does not need it.
    sed '1i [network]\nmode = "none"' true.toml >none.toml
    run -0 --separate-stderr on_machine "$closed" squish run --rm none.toml
    run -0 as_account squish ps -aq
    assert_equal "$output" ""
}

@test "/dev/net/tun missing: the module is named" {
    testbin_file true.toml true
    missing='mount -t tmpfs none /dev/net;'
    run --separate-stderr on_machine "$missing" squish run --rm true.toml
    assert_said 125 /dev/net/tun "modprobe tun"
    run on_machine "$missing" squish doctor
    assert_status 1
    assert_contains "$output" "modprobe tun"
}

@test "/dev/fuse not accessible: who asked for a view of /proc is refused, others start with a warning" {
    testbin_file true.toml true
    sed '1i [procfs]\nmemory = "64M"' true.toml >figures.toml
    sed '1i [procfs]\nmode = "virtual"' true.toml >virtual.toml
    sed '1i [procfs]\nmode = "host"' true.toml >host.toml
    closed='mkdir -p dev && mount -t tmpfs none dev && mknod -m 0600 dev/fuse c 10 229 && mount --bind dev/fuse /dev/fuse;'
    run -0 --separate-stderr on_machine "$closed" squish run --rm true.toml
    assert_contains "$stderr" "/proc and /sys show the host's figures"
    assert_contains "$stderr" "chmod 0666 /dev/fuse"
    for file in figures.toml virtual.toml; do
        run --separate-stderr as_account squish run --rm $file
        assert_said 125 "[procfs]" /dev/fuse "chmod 0666 /dev/fuse"
    done
    run -0 --separate-stderr as_account squish run --rm host.toml
    assert_equal "$stderr" ""
    run -0 as_account squish ps -aq
    assert_equal "$output" ""
    run on_machine "$closed" squish doctor --json
    assert_equal "$(doctor_check /dev/fuse state)" warn
    as_account squish daemon stop --containers
    # With a device that can be opened, the next squishd shows what was asked for.
    run -0 --separate-stderr as_account squish run --rm figures.toml
    assert_equal "$stderr" ""
}

@test "slirp4netns missing: the package is named, by doctor and by run" {
    echo 'no program' >plain && chmod 0644 plain
    testbin_file true.toml true
    missing='for file in /usr/bin/slirp4netns /usr/local/bin/slirp4netns /bin/slirp4netns; do [ ! -e $file ] || mount --bind plain $file; done;'
    run --separate-stderr on_machine "$missing" squish run --rm true.toml
    assert_said 125 slirp4netns "apt"
    assert_contains "$stderr" "install slirp4netns"
    run on_machine "$missing" squish doctor
    assert_status 1
    assert_contains "$output" "install slirp4netns"
    sed '1i [network]\nmode = "none"' true.toml >none.toml
    run -0 --separate-stderr on_machine "$missing" squish run --rm none.toml
    # Once it is there, the same daemon goes on with it.
    run -0 --separate-stderr as_account squish run --rm none.toml
}

@test "slirp4netns that does not work: its own words are passed on" {
    printf '#!/bin/sh\necho "slirp4netns: the moon is in the way" >&2\nexit 1\n' >broken && chmod 0755 broken
    testbin_file true.toml true
    run --separate-stderr on_machine 'mount --bind broken /usr/bin/slirp4netns;' squish run --rm true.toml
    assert_said 125 slirp4netns "the moon is in the way"
}

@test "a state folder that somebody else has made is refused" {
    testbin_file true.toml true
    install -d -m 0777 run/squish
    run --separate-stderr as_account squish run --rm true.toml
    assert_said 125 "run/squish"
    rmdir run/squish
    install -d -m 0755 -o "$ACCOUNT" run/squish
    run --separate-stderr as_account squish run --rm true.toml
    assert_said 125 "run/squish"
    rmdir run/squish
    ln -s "$DIR/data" run/squish
    run --separate-stderr as_account squish run --rm true.toml
    assert_said 125 "run/squish"
    run as_account squish doctor
    assert_status 1
    assert_contains "$output" "run/squish"
}
