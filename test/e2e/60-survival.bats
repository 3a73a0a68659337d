# Whatever of squish is killed: each process has an outcome that docs/architecture.md promises, and nothing is left behind.
load helpers

kill_helper() { # NAME: SIGKILL, and wait until it is gone
    local pid
    pid=$(helper_pid "$1")
    [ -n "$pid" ] || fail "there is no $1: $(squish_processes)"
    kill -KILL "$pid"
    wait_for 5 is_gone "$pid"
}

# A published web server: sets $web and $port.
start_web() { # [NAME]
    port=$(free_port)
    testbin_file web.toml http 2000 "still here"
    web=$(squish create --name "${1-web}" --publish "$port:2000" web.toml)
    assert_equal "$(fetch "http://127.0.0.1:$port/")" "still here"
}
answers() { [ "$(curl -fsS --max-time 2 "http://127.0.0.1:$port/" 2>/dev/null)" = "still here" ]; }

# The host's pid of the payload, and of the container's init.
init_of() { squish inspect "$1" | json '[0]["pid"]'; }
payload_of() { cut -d' ' -f1 "/proc/$(init_of "$1")/task/$(init_of "$1")/children"; }
exit_of() { squish inspect "$1" | json '[0]["exit"]'; }

# A container whose payload ends with code 7 as soon as the file `go` is in the folder $DIR/signal: sets $waiting.
start_waiting() { # [OPTION…]
    mkdir -p signal
    shell_file waiting.toml 'echo up; until [ -e /signal/go ]; do sleep 0.02; done; echo down; exit 7' '[layers]
signal = { path = "./signal", target = "/signal" }'
    waiting=$(squish create "$@" waiting.toml)
    wait_for 5 eval "squish logs $waiting | grep -q up"
}

# --- squishd ---------------------------------------------------------------------------------------------------------

@test "squishd killed in the middle of a download: it completes, and all is found again" {
    start_web
    start_waiting --name waiting
    want=$("$E2E_TESTBIN" flood 120000000 | sha256sum)
    # Who reads takes a part, and the rest when it is told to.
    curl -fsS --max-time 120 "http://127.0.0.1:$port/bytes/120000000" 3>&- |
        { head -c 5000000 && until [ -e goes-on ]; do sleep 0.1; done && cat; } >download 3>&- &
    download=$!
    wait_for 30 eval '[ "$(stat -c %s download 2>/dev/null || echo 0)" -eq 5000000 ]'
    kill_helper squishd
    touch goes-on
    touch signal/go # this one ends while nobody looks
    wait "$download"
    assert_equal "$(sha256sum <download)" "$want"
    rm download

    run -0 squish ps
    assert_contains "$output" web
    answers
    assert_equal "$(squish logs web | head -n 1)" ready
    wait_for 5 has_ended waiting
    assert_equal "$(squish inspect waiting | json '[0]["exit"]["code"]')" 7
    assert_equal "$(squish logs waiting)" $'up\ndown'
    assert_equal "$(squish exec web echo inside)" inside
    squish stop web
    run ! answers
}

@test "a container that ended while squishd was dead: its code is found, and --rm holds" {
    start_waiting
    kept=$waiting
    removed=$(squish create --rm waiting.toml)
    inits="$(init_of "$kept") $(init_of "$removed")"
    kill_helper squishd
    touch signal/go
    for pid in $inits; do wait_for 5 is_gone "$pid"; done
    ! has_helper squishd
    run squish wait "$kept"
    assert_status 7
    assert_equal "$(squish logs "$kept")" $'up\ndown'
    wait_for 5 eval '[ "$(squish ps -aq)" = "$kept" ]' || fail "$(squish ps -a)"
    [ ! -e "$XDG_RUNTIME_DIR/squish/containers/$removed" ]
}

@test "attached run, exec, wait and logs -f outlive squishd" {
    start_waiting --name background
    squish run --name attached waiting.toml >run.out 2>run.err 3>&- &
    run_pid=$!
    squish exec background /bin/sh -c 'until [ -e /signal/go ]; do sleep 0.02; done; exit 8' >exec.out 2>exec.err 3>&- &
    exec_pid=$!
    squish wait background >wait.out 2>wait.err 3>&- &
    wait_pid=$!
    squish logs -f background >logs.out 2>logs.err 3>&- &
    logs_pid=$!
    wait_for 5 grep -q up run.out
    wait_for 5 grep -q up logs.out
    wait_for 5 eval "squish exec background ps | grep -q 'exit 8'"
    kill_helper squishd
    # They have started another one between them, and wait on.
    wait_for 5 has_helper squishd
    touch signal/go
    for pid in $run_pid $exec_pid $wait_pid $logs_pid; do wait_for 10 is_gone "$pid" || fail "pid $pid goes on: $(cat ./*.err)"; done
    ended_with() { # PID CODE
        local code=0
        wait "$1" || code=$?
        [ "$code" -eq "$2" ] || fail "code $code, not $2: $(cat ./*.err)"
    }
    ended_with "$run_pid" 7
    ended_with "$wait_pid" 7
    ended_with "$logs_pid" 0
    assert_equal "$(cat wait.out)" 7
    assert_equal "$(cat run.out)" $'up\ndown'
    assert_equal "$(cat logs.out)" $'up\ndown'
    # The exec may have ended with its container, or just before.
    code=0 && { wait "$exec_pid" || code=$?; }
    [ "$code" -eq 8 ] || [ "$code" -eq 137 ] || fail "exec gave $code"
}

@test "squishd killed while many are being started leaves nothing half done" {
    testbin_file true.toml true
    testbin_file sleep.toml sleep 1000
    for round in 1 2 3; do
        pids=()
        for i in 1 2 3; do
            (for _ in 1 2 3 4; do squish run --rm true.toml; squish create sleep.toml; done) >>starts.out 2>>starts.err 3>&- &
            pids+=($!)
        done
        for _ in 1 2 3; do
            # Where there is none to kill, all have been started already.
            wait_for 1 has_helper squishd && kill -KILL "$(helper_pid squishd)" 2>/dev/null || true
        done
        for pid in "${pids[@]}"; do wait "$pid" || true; done
    done
    # Whatever is listed as running does run, and whatever runs is listed (or is one of the spare cells).
    squish ps -q | sort >listed
    for id in $(cat listed); do [ "$(squish exec "$id" echo yes)" = yes ] || fail "'$id' is listed, and does not work"; done
    # shellcheck disable=SC2046
    [ ! -s listed ] || squish rm -f $(cat listed) >/dev/null
    assert_equal "$(squish ps -q)" ""
    left=$(squish ps -aq)
    # shellcheck disable=SC2086
    [ -z "$left" ] || squish rm $left >/dev/null
    assert_no_container
    wait_for 10 eval '[ "$(squish_processes | grep -c "squish-in")" -le 2 ]' || fail "$(squish_processes)"
}

@test "squishd killed twenty times: the keeper and its helpers hold no more than before" {
    start_web
    count() {
        for name in squish-keeper squish-stager squish-forward squish-dns; do echo "$name $(ls "/proc/$(helper_pid "$name")/fd" | wc -l)"; done
        echo "init $(squish_processes | grep -c 'squish-in')"
    }
    settled() { [ "$(squish_processes | grep -c 'squish-in')" -eq 3 ]; } # the web server's, and two spare ones
    no_more() { settled && count >after && paste -d' ' before after | awk '$4 > $2 { exit 1 }'; }
    kill_and_run() {
        kill_helper squishd
        squish run --rm web.toml -- true
    }
    for _ in 1 2 3; do kill_and_run; done
    wait_for 10 settled || fail "$(squish_processes)"
    count >before
    keeper=$(helper_pid squish-keeper)
    for _ in $(seq 1 20); do kill_and_run; done
    assert_equal "$(helper_pid squish-keeper)" "$keeper"
    wait_for 10 no_more || fail "before: $(cat before)
after: $(count)"
    answers
}

# --- what belongs to one container -----------------------------------------------------------------------------------

@test "the payload killed: 137, and the others do not notice" {
    start_web
    id=$(create_testbin sleep 1000)
    kill -KILL "$(payload_of "$id")"
    wait_for 5 has_ended "$id"
    assert_equal "$(exit_of "$id" | json '["code"]')" 137
    assert_equal "$(exit_of "$id" | json '["signal"]')" 9
    answers
}

@test "a container's init killed: everything of it ends, and is recorded" {
    start_web
    id=$(create_shell 'sleep 1000 & sleep 1000 & echo up; wait')
    wait_for 5 eval "squish logs $id | grep -q up"
    init=$(init_of "$id")
    family=$(pgrep -g "$(payload_of "$id")" | tr '\n' ' ')
    [ "$(wc -w <<<"$family")" -eq 3 ] || fail "expected three processes, found: $family"
    kill -KILL "$init"
    wait_for 5 has_ended "$id"
    assert_equal "$(exit_of "$id" | json '["code"]')" 137
    assert_equal "$(exit_of "$id" | json '["signal"]')" 9
    for pid in $family; do wait_for 5 is_gone "$pid" || fail "$pid goes on"; done
    answers
    # Of one whose port is published, too: the port is free again.
    kill -KILL "$(init_of "$web")"
    wait_for 5 has_ended "$web"
    run ! answers
    squish rm "$web"
    squish create --publish "$port:2000" web.toml
    wait_for 5 answers
}

@test "a spare cell killed is made again" {
    testbin_file true.toml true
    squish run --rm true.toml
    spare() { squish_processes | awk '$2 == "squish-init" { print $1 }'; }
    wait_for 10 eval '[ "$(spare | wc -l)" -eq 2 ]'
    # shellcheck disable=SC2046
    kill -KILL $(spare)
    run -0 squish run --rm true.toml
    run -0 squish run --rm true.toml
    wait_for 10 eval '[ "$(spare | wc -l)" -eq 2 ]'
}

# --- the helpers -----------------------------------------------------------------------------------------------------

@test "slirp4netns killed: another one is started, and the way out works again" {
    address=$(ip -4 -o addr show scope global up | awk '{ sub("/.*", "", $4); print $4; exit }')
    start_web
    old=$(helper_pid slirp4netns)
    kill_helper slirp4netns
    wait_for 10 eval 'has_helper slirp4netns && [ "$(helper_pid slirp4netns)" != "$old" ]' || fail "$(squish_processes)"
    answers
    if [ -n "$address" ]; then
        host_port=$(free_port)
        "$E2E_TESTBIN" http "$host_port" "the host" >host.out 2>&1 3>&- &
        host=$!
        wait_for 5 grep -q ready host.out
        works=yes
        wait_for 10 squish exec "$web" /app/testbin connect "$address" "$host_port" || works=no
        kill "$host"
        assert_equal "$works" yes
    fi
    assert_equal "$(squish run --rm web.toml -- args fine)" "[fine]"
    assert_equal "$(squish_processes | grep -c slirp4netns)" 1
}

@test "slirp4netns killed while squishd is dead: the next command brings it back" {
    start_web
    kill_helper squishd
    kill_helper slirp4netns
    assert_equal "$(squish run --rm web.toml -- args fine)" "[fine]"
    wait_for 5 has_helper slirp4netns
    answers
}

@test "the forwarder killed: another one serves the same ports" {
    start_web
    old=$(helper_pid squish-forward)
    # A connection through it breaks, and says so; it does not hang.
    curl -sS --max-time 30 --limit-rate 1M -o /dev/null "http://127.0.0.1:$port/bytes/300000000" 2>/dev/null 3>&- &
    broken=$!
    kill_helper squish-forward
    wait_for 10 answers || fail "the port does not answer any more: $(squish_processes)"
    wait_for 10 is_gone "$broken" || fail "a broken connection hangs"
    run ! wait "$broken"
    assert_not_equal "$(helper_pid squish-forward)" "$old"
    squish stop "$web"
    run ! answers
    assert_equal "$(squish_processes | grep -c squish-forward)" 1
}

@test "the forwarder killed while squishd is dead: the next command brings the ports back" {
    start_web
    kill_helper squishd
    kill_helper squish-forward
    squish ps -q
    wait_for 10 answers || fail "$(squish_processes)"
}

@test "the stager killed: what runs goes on, and the next start works" {
    start_web
    id=$(create_testbin sleep 1000)
    kill_helper squish-stager
    answers
    assert_equal "$(squish exec "$id" echo inside)" inside
    assert_equal "$(squish run --rm web.toml -- args fine)" "[fine]"
    other=$(squish create web.toml)
    # The old and the new one are on one network still.
    address=$(squish inspect "$web" | json '[0]["address"]')
    assert_not_equal "$(squish inspect "$other" | json '[0]["address"]')" "$address"
    wait_for 5 squish exec "$other" /app/testbin connect "$address" 2000
    squish rm -f "$web" "$id" "$other"
    assert_no_container
}

@test "the stager and squishd killed at once: the same" {
    start_web
    kill -KILL "$(helper_pid squishd)" "$(helper_pid squish-stager)"
    wait_for 5 eval '! has_helper squishd'
    assert_equal "$(squish run --rm web.toml -- args fine)" "[fine]"
    answers
    other=$(squish create web.toml)
    assert_not_equal "$(squish inspect "$other" | json '[0]["address"]')" "$(squish inspect "$web" | json '[0]["address"]')"
}

@test "the keeper killed: its containers are recorded as lost, nothing is left, the next run works" {
    start_web
    sleeper=$(create_testbin sleep 1000)
    start_waiting --rm
    squish run --name attached waiting.toml >run.out 2>run.err 3>&- &
    attached=$!
    wait_for 5 grep -q up run.out
    old=$(squish_processes | grep -v ' squishd$' | grep -v ' squish$' | cut -d' ' -f1)
    kill_helper squish-keeper
    for pid in $old; do wait_for 10 is_gone "$pid" || fail "$pid goes on: $(squish_processes)"; done
    wait_for 10 is_gone "$attached" || fail "the attached run does not end: $(cat run.err)"
    code=0
    wait "$attached" || code=$?
    assert_equal "$code" 137
    run ! answers

    for id in "$web" "$sleeper"; do
        assert_equal "$(squish inspect "$id" | json '[0]["state"]')" exited
        assert_equal "$(squish inspect "$id" | json '[0]["exit"]["reason"]')" keeper-lost
        run squish wait "$id"
        assert_status 137
    done
    run ! squish inspect "$waiting" # it was to be removed
    assert_equal "$(squish logs "$web" | head -n 1)" ready

    assert_equal "$(squish run --rm web.toml -- args fine)" "[fine]"
    again=$(squish create --publish "$port:2000" web.toml) # the port is free, and everything is as new
    wait_for 5 answers
    squish rm -f "$again" "$web" "$sleeper" attached
    assert_no_container
}

@test "everything killed at once: the next run cleans up behind it" {
    start_web
    start_waiting --rm
    other=$(create_testbin sleep 1000)
    squish_processes | cut -d' ' -f1 >old
    # shellcheck disable=SC2046
    kill -KILL $(cat old) || true
    while read -r pid; do wait_for 5 is_gone "$pid" || fail "$pid goes on"; done <old
    run ! answers

    assert_equal "$(squish run --rm web.toml -- args fine)" "[fine]"
    assert_equal "$(squish ps -q)" ""
    for id in "$web" "$other"; do
        assert_equal "$(exit_of "$id" | json '["reason"]')" keeper-lost
    done
    run ! squish inspect "$waiting"
    squish create --publish "$port:2000" web.toml
    wait_for 5 answers
    squish rm "$web" "$other"
    # shellcheck disable=SC2046
    squish rm -f $(squish ps -aq)
    assert_no_container
    # Of each helper there is one.
    assert_equal "$(squish_processes | awk '$2 != "squish-init" { print $2 }' | sort | tr '\n' ' ')" \
        "slirp4netns squish-dns squish-forward squish-hostnet squish-keeper squish-procfs squish-stager squish-sysinfo squishd "
}

@test "a state folder that was emptied, as by a reboot, is no obstacle" {
    start_web
    # shellcheck disable=SC2046
    kill -KILL $(squish_processes | cut -d' ' -f1) || true
    wait_for 5 no_squish_process
    rm -rf "${XDG_RUNTIME_DIR:?}/squish"
    assert_equal "$(squish run --rm web.toml -- args fine)" "[fine]"
    assert_equal "$(squish ps -aq)" ""
}

@test "a state folder from before a reboot, with everything in it, is recognised" {
    start_web
    cp -a "$XDG_RUNTIME_DIR/squish" "$DIR/saved"
    squish daemon stop --containers
    wait_for 15 no_squish_process || fail "$(squish_processes)"
    rm -rf "${XDG_RUNTIME_DIR:?}/squish"
    mv "$DIR/saved" "$XDG_RUNTIME_DIR/squish"
    run -0 squish ps -q
    assert_equal "$output" ""
    wait_for 5 eval '[ "$(exit_of web | json "[\"reason\"]")" = keeper-lost ]' || fail "$(squish inspect web)"
    squish rm web
    start_web
}

@test "a damaged record is no obstacle, and no other container suffers" {
    start_web
    id=$(create_testbin sleep 1000)
    kill_helper squishd
    state=$XDG_RUNTIME_DIR/squish/containers/$id
    record=$(find "$state" -maxdepth 1 -name '*.json' | head -n 1)
    [ -n "$record" ] || fail "no record in $(ls "$state")"
    head -c 20 "$record" >half && cp half "$record"
    run -0 squish ps -q
    assert_equal "$output" "$web"
    answers
    # What nobody can name any more does not run on, either.
    wait_for 5 eval '[ "$(squish_processes | grep -c squish-in)" -le 3 ]' || fail "$(squish_processes)"
}

@test "a stopped payload is no obstacle to stop" {
    id=$(create_testbin sleep 1000)
    kill -STOP "$(payload_of "$id")"
    begin=$(now_ms)
    squish stop -t 1 "$id"
    [ $(($(now_ms) - begin)) -lt 5000 ]
    assert_equal "$(exit_of "$id" | json '["code"]')" 137
}
