# SIGKILL of each process that has to do with a pull, at random moments: the next pull succeeds, the store is right, and
# nothing half-done stays. SQUISH_E2E_SEED repeats a run.
load helpers
load layers

setup_file() {
    e2e_setup_file
    export MIRROR=$E2E_FILE_DIR/mirror
    make_mirror "$MIRROR" 3.20.3
    DIGEST=$(cut -d' ' -f1 "$MIRROR"/v3.20/releases/x86_64/*.sha256)
    export DIGEST SEED=${SQUISH_E2E_SEED-$RANDOM}
}
setup() {
    layers_setup
    RANDOM=$((SEED + BATS_TEST_NUMBER))
    echo "seed $SEED"
    start_web "$MIRROR" --fault slow=3000000,only=.tar.gz # about half a second
    use_mirrors "$WEB"
    unset first_pull
}
teardown() { layers_teardown; }

# The pid of WHAT, where it is there now.
victim() {
    local parent
    case $1 in
    squish) echo "$first_pull" ;;
    unpacker) # the process of one operation: a child of squish-layers
        parent=$(helper_pid squish-layers)
        [ -z "$parent" ] || cat "/proc/$parent/task/$parent/children" 2>/dev/null | tr ' ' '\n' | head -1
        ;;
    *) helper_pid "$1" ;;
    esac
}

no_fetch_process() { ! has_helper squish-fetch; }

kill_at_random_moments() { # WHAT TIMES
    local pid hits=0 round delay begun took
    # The moments are of as long as it takes here.
    squish layer rm alpine@3.20.3 >/dev/null 2>&1 || true
    begun=$(date +%s%3N)
    squish layer pull alpine@3.20 >pull.out 2>pull.err 3>&- || fail "$(cat pull.err)"
    took=$(($(date +%s%3N) - begun))
    for ((round = 1; round <= $2; round++)); do
        squish layer rm alpine@3.20.3 >/dev/null 2>&1 || true
        assert_stored
        squish layer pull alpine@3.20 >pull.out 2>pull.err 3>&- &
        first_pull=$!
        delay=$((RANDOM % took))
        sleep "$((delay / 1000)).$(printf '%03d' $((delay % 1000)))"
        pid=$(victim "$1")
        if [ -n "$pid" ] && kill -KILL "$pid" 2>/dev/null; then hits=$((hits + 1)); fi
        wait "$first_pull" 2>/dev/null || true
        run --separate-stderr squish layer pull alpine@3.20
        [ "$status" -eq 0 ] || fail "round $round, $1 killed after $delay ms: the next pull failed: $stderr
the first said: $(cat pull.err)"
        assert_equal "$output" "alpine@3.20.3 $DIGEST"
        run --separate-stderr squish layer verify
        assert_equal "round $round, $1 after $delay ms: $output" "round $round, $1 after $delay ms: $DIGEST: ok"
        assert_stored "$DIGEST"
        wait_for 5 no_fetch_process || fail "round $round, $1 after $delay ms: squish-fetch is left: $(squish_processes)"
    done
    # The moments were not all too late or too early.
    [ "$hits" -ge $(($2 / 3)) ] || fail "only $hits of $2 processes were there to be killed"
    assert_equal "$(in_shell 'cat /etc/alpine-release' $'[layers]\nalpine = "3.20"')" 3.20.3
}

@test "squish, who asked" { kill_at_random_moments squish 9; }
@test "squishd, who manages" { kill_at_random_moments squishd 10; }
@test "squish-fetch, who downloads" { kill_at_random_moments squish-fetch 9; }
@test "squish-layers, who has it unpacked" { kill_at_random_moments squish-layers 8; }
@test "the process that unpacks" { kill_at_random_moments unpacker 8; }
@test "the keeper, and all that are in its namespaces" { kill_at_random_moments squish-keeper 8; }

@test "squishd again and again, without a pull in between that succeeds" {
    for _ in 1 2 3 4 5 6; do
        squish layer pull alpine@3.20 >/dev/null 2>&1 3>&- &
        pull=$!
        sleep "0.$((RANDOM % 4 + 1))"
        pid=$(helper_pid squishd)
        [ -z "$pid" ] || kill -KILL "$pid"
        wait "$pull" || true
    done
    run --separate-stderr squish layer pull alpine@3.20
    assert_status 0
    assert_equal "$(squish layer verify)" "$DIGEST: ok"
    assert_stored "$DIGEST"
}
