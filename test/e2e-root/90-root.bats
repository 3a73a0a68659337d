# Started as root, no part of squish does its work as root.
load helpers

# Root's squish: goes on as $ACCOUNT. Its state is then in /tmp/squish-UID, its data in the account's home.
root_squish() { SQUISH_USER=$ACCOUNT squish "$@"; }
teardown() {
    SQUISH_USER=$ACCOUNT squish daemon stop --containers >/dev/null 2>&1 || true
    root_teardown
}

# "UIDS NAME" of every process whose program is squish's, whoever it belongs to.
everything_of_squish() {
    local status pid
    for status in /proc/[0-9]*/status; do
        pid=${status#/proc/} pid=${pid%/status}
        case $(readlink "/proc/$pid/exe" 2>/dev/null) in
            "$E2E_PREFIX"/* | "$E2E_TESTBIN" | /memfd:squish* | */testbin) ;;
            */slirp4netns) ;;
            *) continue ;;
        esac
        awk -v pid="$pid" '/^Name:/ { name = $2 } /^Uid:/ { print $2 "," $3 "," $4 "," $5, name, pid }' "$status" 2>/dev/null || true
    done
}
ours() { everything_of_squish | awk -v uid="$ACCOUNT_UID" '$1 == uid "," uid "," uid "," uid'; }

@test "everything runs as the account that SQUISH_USER names, and one line says so" {
    testbin_file sleep.toml sleep 1000
    before=$(everything_of_squish | grep -c '\<0,\|,0\>' || true)
    SQUISH_USER=$ACCOUNT squish run --name watched sleep.toml >run.out 2>run.err 3>&- &
    runner=$!
    wait_for 10 root_squish exec watched /app/testbin true
    for name in squish squishd squish-keeper squish-stager slirp4netns testbin; do
        ours | grep -q " $name " || fail "no $name of '$ACCOUNT': $(everything_of_squish)"
    done
    # None with root among its four uids, whatever else runs on this machine.
    assert_equal "$(everything_of_squish | grep -c '\<0,\|,0\>' || true)" "$before"
    for pid in $(processes_of "$ACCOUNT"); do
        assert_equal "$(awk '/^Uid:/ { print ($2 == 0 || $3 == 0 || $4 == 0 || $5 == 0) }' "/proc/$pid/status")" 0
        assert_equal "$(awk '/^Gid:/ { print ($2 == 0 || $3 == 0 || $4 == 0 || $5 == 0) }' "/proc/$pid/status")" 0
        assert_lacks " $(awk '/^Groups:/ { $1 = ""; print }' "/proc/$pid/status") " " 0 "
    done
    assert_equal "$(awk '/^CapEff:/ { print $2 }' "/proc/$(pgrep -P "$runner" -x squish || echo "$runner")/status")" 0000000000000000
    assert_equal "$(awk '/^CapPrm:/ { print $2 }' "/proc/$runner/status")" 0000000000000000
    root_squish stop watched 2>/dev/null
    code=0
    wait "$runner" || code=$?
    assert_equal "$code" 143

    assert_equal "$(wc -l <run.err)" 1
    assert_contains "$(cat run.err)" "$ACCOUNT"
    assert_matches "$(cat run.err)" '^squish: .*root'
}

@test "the output is the payload's, the line is on stderr, the code comes through" {
    testbin_file ids.toml ids
    run --separate-stderr root_squish run --rm ids.toml
    assert_status 0
    assert_equal "$output" 0:0
    assert_equal "${#stderr_lines[@]}" 1
    testbin_file exit.toml exit 7
    run root_squish run --rm exit.toml
    assert_status 7
    testbin_file stdin.toml stdin
    assert_equal "$(echo hi | root_squish run --rm -i stdin.toml 2>/dev/null)" hi
}

@test "squishd started as root leaves it, too" {
    SQUISH_USER=$ACCOUNT squishd 2>squishd.err
    assert_equal "$(wc -l <squishd.err)" 1
    assert_matches "$(cat squishd.err)" '^squishd: .*root'
    ours | grep -q ' squishd ' || fail "$(everything_of_squish)"
    assert_equal "$(stat -c %U "/tmp/squish-$ACCOUNT_UID")" "$ACCOUNT"
    assert_equal "$(stat -c '%U %a' "/tmp/squish-$ACCOUNT_UID/squishd.sock")" "$ACCOUNT 600"
    run -0 root_squish ps -q
}

@test "what the account may not read is not read, and not mounted" {
    testbin_file mine.toml true
    chmod 0600 mine.toml
    run --separate-stderr root_squish run --rm mine.toml
    [ "$status" -eq 2 ] || [ "$status" -eq 125 ] || fail "status $status"
    assert_contains "$stderr" "mine.toml"
    echo secret >secret && chmod 0600 secret
    shell_file mount.toml 'cat /secret' $'[layers]\nsecret = { path = "./secret", target = "/secret" }'
    chmod 0644 mount.toml
    run --separate-stderr root_squish run --rm mount.toml
    assert_not_equal "$status" 0
    assert_lacks "$output" secret
    # Nor written: root inside is the account outside.
    mkdir -m 0755 folder
    shell_file write.toml 'echo x >/folder/new' $'[layers]\nfolder = { path = "./folder", target = "/folder", rw = true }'
    run root_squish run --rm write.toml
    assert_not_equal "$status" 0
    [ ! -e folder/new ]
}

@test "nothing of root's environment is followed" {
    testbin_file true.toml true
    export XDG_RUNTIME_DIR=$DIR/roots XDG_DATA_HOME=$DIR/roots XDG_CONFIG_HOME=$DIR/roots SQUISH_SOCKET=$DIR/roots/socket
    install -d -m 0700 "$DIR/roots"
    run -0 root_squish run --rm true.toml
    assert_equal "$(ls -A "$DIR/roots")" ""
}

@test "without an account to go on as: a refusal, with the remedy" {
    wait_for 20 has_no_process "$ACCOUNT" || fail "still there: $(ours)"
    testbin_file true.toml true
    for command in "run true.toml" "ps" "doctor" "daemon start"; do
        # shellcheck disable=SC2086
        run --separate-stderr env SQUISH_USER=no-such-account squish $command
        assert_status 125
        assert_message "no-such-account"
        assert_contains "$stderr" "SQUISH_USER"
        assert_contains "$stderr" "setup.sh"
    done
    run --separate-stderr env SQUISH_USER=root squish run true.toml
    assert_status 125
    assert_message "root"
    run --separate-stderr env SQUISH_USER=no-such-account squishd
    assert_not_equal "$status" 0
    assert_contains "$stderr" "no-such-account"
    # The same on a machine where setup was not run.
    grep -v '^squish:' /etc/passwd >passwd
    run --separate-stderr unshare --mount --propagation private sh -c 'mount --bind passwd /etc/passwd && exec squish run true.toml'
    assert_status 125
    assert_message "account 'squish'"
    assert_contains "$stderr" "setup.sh"
    assert_equal "$(ours)" ""
}

@test "validate and version need no account's state, and leave root as well" {
    testbin_file true.toml true
    run --separate-stderr root_squish validate true.toml
    assert_status 0
    assert_equal "$output" ok
    run --separate-stderr root_squish version
    assert_status 0
}
