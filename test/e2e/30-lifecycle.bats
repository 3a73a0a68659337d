# From create to rm: listing, finding, stopping, waiting, looking inside, reading logs.
load helpers

setup_file() {
    e2e_setup_file
    mkdir -p "$XDG_CONFIG_HOME/squish"
    echo 'log_limit = "64K"' >"$XDG_CONFIG_HOME/squish/squishd.toml" # the least there can be; for the test of the cap
}

# A container that ends at once with this code, after it has ended.
create_ended() { # CODE [NAME]
    local id
    testbin_file ended.toml exit "$1"
    id=$(squish create ${2+--name "$2"} ended.toml) || return 1
    squish wait "$id" >/dev/null || true
    printf '%s\n' "$id"
}

# --- create and ps ---------------------------------------------------------------------------------------------------

@test "create starts several, and prints one full id per line in their order" {
    for name in one two three; do
        testbin_file "$name.toml" sleep 100
        sed -i "1i name = '$name'" "$name.toml"
    done
    run -0 --separate-stderr squish create one.toml two.toml three.toml
    assert_equal "${#lines[@]}" 3
    assert_equal "$stderr" ""
    for line in "${lines[@]}"; do assert_full_id "$line"; done
    assert_equal "$(squish inspect "${lines[@]}" | json '[0]["name"]')" one
    assert_equal "$(squish inspect "${lines[@]}" | json '[2]["name"]')" three
    assert_equal "$(squish ps -q)" "$output"
}

@test "where one of several cannot be started, none is left" {
    testbin_file good.toml sleep 100
    squishfile bad.toml <<<$'[run]\ncommand = "/no/such/program"'
    run -127 --separate-stderr squish create good.toml bad.toml
    assert_equal "$output" ""
    assert_message "/no/such/program"
    assert_no_container

    # The same where a squishfile is wrong: then nothing is even tried.
    echo 'nonsense = 1' >wrong.toml
    run --separate-stderr squish create good.toml wrong.toml
    assert_status 2
    assert_no_container
}

@test "create refuses what only run can do" {
    testbin_file sleep.toml sleep 100
    for option in -i -t; do
        run --separate-stderr squish create "$option" sleep.toml
        assert_status 2
        assert_message "squish run"
    done
    run --separate-stderr squish create --name x sleep.toml sleep.toml
    assert_status 2
    assert_no_container
}

@test "create --rm removes the container at its end" {
    testbin_file sleep.toml sleep 100
    id=$(squish create --rm sleep.toml)
    squish stop "$id"
    assert_no_container
    testbin_file true.toml true
    squish create --rm true.toml
    wait_for 5 eval '[ -z "$(squish ps -aq)" ]'
    assert_no_container
}

@test "ps: running by default, all with -a, ids with -q, JSON with --json" {
    running=$(create_testbin sleep 100)
    ended=$(create_ended 3 "ended-one")
    run -0 squish ps
    assert_equal "${#lines[@]}" 2
    assert_matches "${lines[0]}" '^ID +NAME +PID'
    run -0 squish ps -a
    assert_equal "${#lines[@]}" 3
    assert_contains "$output" ended-one
    assert_equal "$(squish ps -q)" "$running"
    assert_equal "$(squish ps -aq)" "$running"$'\n'"$ended"
    assert_equal "$(squish ps --json | json '[0]["id"]')" "$running"
    assert_equal "$(squish ps --json | json '[0]["state"]')" running
    assert_equal "$(squish ps -a --json | json '[1]["id"]')" "$ended"
    assert_equal "$(squish ps -a --json | json '[1]["exit"]["code"]')" 3
    assert_equal "$(squish ps -a --json | json '[1]["pid"]')" 0
    squish rm -f "$running" "$ended"
    assert_equal "$(squish ps -a --json | json '')" "[]"
    run -0 squish ps -a
    assert_equal "${#lines[@]}" 1 # the header
}

# --- finding ---------------------------------------------------------------------------------------------------------

@test "a container is found by id, name, and prefixes that fit it alone" {
    testbin_file sleep.toml sleep 100
    pear=$(squish create --name pear sleep.toml)
    peach=$(squish create --name peach sleep.toml)
    plum=$(squish create --name plum sleep.toml)
    for reference in "$plum" "${plum:0:20}" plum pl; do
        assert_equal "$(squish inspect "$reference" | json '[0]["id"]')" "$plum"
    done
    assert_equal "$(squish inspect pear | json '[0]["id"]')" "$pear"
    assert_equal "$(squish inspect pea | json '[0]["id"]' 2>/dev/null)" "" # neither

    run --separate-stderr squish inspect pea
    assert_status 1
    assert_message pear
    assert_contains "$stderr" peach
    assert_lacks "$stderr" plum
    run --separate-stderr squish stop pe
    assert_status 1
    assert_equal "$(squish ps -q | wc -l)" 3
    run --separate-stderr squish stop ""
    assert_not_equal "$status" 0
    assert_equal "$(squish ps -q | wc -l)" 3

    # A whole name wins over being the beginning of another.
    squish create --name pearl sleep.toml
    assert_equal "$(squish inspect pear | json '[0]["id"]')" "$pear"
    # A prefix of ids that fits several names them.
    common=$(squish ps -aq | cut -c1 | sort | uniq -d | head -n 1)
    if [ -n "$common" ]; then
        run --separate-stderr squish inspect "$common"
        assert_status 1
    fi
}

@test "what there is no container for is an error that names it" {
    for command in stop kill wait rm inspect logs "port ls"; do
        # shellcheck disable=SC2086
        run --separate-stderr squish $command nobody
        assert_status 1
        assert_message "nobody"
    done
    run --separate-stderr squish exec nobody true
    assert_status 125
    assert_message "nobody"
    # Those that exist are served all the same.
    id=$(create_testbin sleep 100)
    run --separate-stderr squish stop nobody "$id"
    assert_status 1
    assert_equal "$output" "$id"
    has_ended "$id"
}

# --- ending ----------------------------------------------------------------------------------------------------------

@test "stop takes no noticeable time where the payload obeys SIGTERM" {
    id=$(create_testbin sleep 100)
    begin=$(now_ms)
    run -0 squish stop "$id"
    took=$(($(now_ms) - begin))
    assert_equal "$output" "$id"
    [ "$took" -lt 5000 ] || fail "it took $took ms"
    assert_equal "$(squish inspect "$id" | json '[0]["exit"]["code"]')" 143
    run squish wait "$id"
    assert_status 143
    # Once more is no error.
    run -0 squish stop "$id"
}

@test "stop of a payload that ignores SIGTERM takes the time-out, then it is killed" {
    id=$(create_testbin ignore-term 100)
    wait_for 5 eval "squish logs $id | grep -q ready"
    begin=$(now_ms)
    run -0 squish stop -t 1 "$id"
    took=$(($(now_ms) - begin))
    [ "$took" -ge 1000 ] || fail "it took only $took ms"
    [ "$took" -lt 8000 ] || fail "it took $took ms"
    assert_equal "$(squish inspect "$id" | json '[0]["exit"]["code"]')" 137
    assert_equal "$(squish inspect "$id" | json '[0]["exit"]["reason"]')" killed

    # -t 0 does not ask first; one that it asked on another's behalf is not waited for twice.
    id=$(create_testbin ignore-term 100)
    wait_for 5 eval "squish logs $id | grep -q ready"
    begin=$(now_ms)
    run -0 squish stop -t 0 "$id"
    [ $(($(now_ms) - begin)) -lt 1000 ]
}

@test "a payload that handles SIGTERM ends with its own code" {
    id=$(create_shell 'trap "echo bye; exit 5" TERM; echo ready; while :; do sleep 0.05; done')
    wait_for 5 eval "squish logs $id | grep -q ready"
    squish stop "$id"
    assert_equal "$(squish inspect "$id" | json '[0]["exit"]["code"]')" 5
    assert_contains "$(squish logs "$id")" bye
}

@test "several are stopped with one command" {
    a=$(create_testbin sleep 100)
    b=$(create_testbin sleep 100)
    c=$(create_testbin sleep 100)
    run -0 squish stop "$a" "$b" "$c"
    assert_equal "$output" "$a"$'\n'"$b"$'\n'"$c"
    assert_equal "$(squish ps -q)" ""
}

@test "kill sends the signal that is named, SIGKILL by default" {
    for signal in HUP SIGUSR1 10 term 9; do
        id=$(create_testbin sleep 100)
        run -0 squish kill -s "$signal" "$id"
        assert_equal "$output" "$id"
        case $signal in HUP) want=129 ;; SIGUSR1 | 10) want=138 ;; term) want=143 ;; 9) want=137 ;; esac
        run squish wait "$id"
        assert_equal "$output" "$want"
    done
    id=$(create_testbin sleep 100)
    squish kill "$id"
    run squish wait "$id"
    assert_status 137
    assert_equal "$(squish inspect "$id" | json '[0]["exit"]["signal"]')" 9

    id=$(create_testbin sleep 100)
    for signal in NOSUCH 0 65 -1 ''; do
        run --separate-stderr squish kill "--signal=$signal" "$id"
        assert_not_equal "$status" 0
        assert_matches "$stderr" 'squish: '
    done
    assert_equal "$(state_of "$id")" running
    run --separate-stderr squish kill "$(create_ended 0)"
    assert_status 1
    assert_message "does not run"
}

@test "a signal that does not end the payload leaves it running" {
    id=$(create_shell 'trap "echo got it" USR1; echo ready; while :; do sleep 0.05; done')
    wait_for 5 eval "squish logs $id | grep -q ready"
    squish kill -s USR1 "$id"
    wait_for 5 eval "squish logs $id | grep -q 'got it'"
    assert_equal "$(state_of "$id")" running
}

@test "wait prints the codes and exits with the last one" {
    a=$(create_ended 3)
    b=$(create_ended 7)
    run squish wait "$a" "$b"
    assert_status 7
    assert_equal "$output" $'3\n7'

    # It waits for one that runs, and several may wait at once.
    id=$(create_testbin sleep 100)
    squish wait "$id" >first &
    first=$!
    squish wait "$id" >second &
    second=$!
    wait_for 5 eval '[ "$(pgrep -c -P $$ squish)" -ge 2 ]' || true
    [ ! -s first ]
    squish kill -s INT "$id"
    wait "$first" && fail "code 0" || assert_equal $? 130
    wait "$second" && fail "code 0" || assert_equal $? 130
    assert_equal "$(cat first second)" $'130\n130'
}

@test "rm removes what has ended, and with -f what runs" {
    id=$(create_testbin sleep 100)
    run --separate-stderr squish rm "$id"
    assert_status 1
    assert_message "--force"
    assert_equal "$(state_of "$id")" running

    run -0 squish rm -f "$id"
    assert_equal "$output" "$id"
    run ! squish inspect "$id"
    id=$(create_ended 0)
    run -0 squish rm "$id"
    assert_no_container
}

# --- looking ---------------------------------------------------------------------------------------------------------

@test "inspect tells everything, as JSON" {
    port=$(free_port)
    mkdir folder
    squishfile <<END
name = "looked-at"
[layers]
app = "@TESTBIN@"
data = { path = "./folder", target = "/data", rw = true }
[run]
command = "/app/testbin"
args = ["sleep", "100"]
[env]
KEY = "value"
[[ports]]
container = 80
host = $port
END
    id=$(squish create squishfile.toml)
    squish inspect looked-at >inspect.json
    look() { json "$1" <inspect.json; }
    assert_equal "$(look '[0]["id"]')" "$id"
    assert_equal "$(look '[0]["name"]')" looked-at
    assert_equal "$(look '[0]["state"]')" running
    assert_equal "$(look '[0]["ports"][0]["host"]')" "$port"
    assert_equal "$(look '[0]["ports"][0]["address"]')" 127.0.0.1
    assert_equal "$(look '[0]["exit"]')" null
    assert_equal "$(look '[0]["network_mode"]')" bridge
    assert_equal "$(look '[0]["command"]')" "/app/testbin sleep 100"
    assert_equal "$(look '[0]["squishfile"]["env"]["KEY"]')" value
    assert_matches "$(look '[0]["address"]')" '^10\.'
    assert_matches "$(look '[0]["started_at"]')" '^20[0-9][0-9]-.*Z$'
    pid=$(look '[0]["pid"]')
    assert_equal "$(cat "/proc/$pid/comm")" squish-init
    assert_equal "$(look '[0]["mounts"]' | /usr/bin/python3 -c 'import json, sys
print(*sorted(m["target"] + ("" if m["read_only"] else "+") for m in json.load(sys.stdin) if m["layer"]))')" "/ /app/testbin /data+"
    squish stop looked-at
    squish inspect looked-at >inspect.json
    assert_equal "$(look '[0]["state"]')" exited
    assert_equal "$(look '[0]["exit"]["signal"]')" 15
    assert_equal "$(look '[0]["exit"]["reason"]')" signaled
}

@test "port ls lists what is published" {
    port=$(free_port)
    testbin_file http.toml http 2000
    id=$(squish create --publish "$port:2000" --publish "127.0.0.3:$port:2001" http.toml)
    run -0 squish port ls "$id"
    assert_matches "${lines[0]}" '^ADDRESS +HOST +CONTAINER +PROTOCOL'
    assert_matches "${lines[1]}" "^127\.0\.0\.1 +$port +2000 +tcp"
    assert_matches "${lines[2]}" "^127\.0\.0\.3 +$port +2001 +tcp"
    assert_equal "$(squish port ls --json "$id" | json '[0]["host"]')" "$port"
}

@test "exec runs a further program inside, with a code of its own" {
    id=$(create_shell 'echo marker >/tmp/marker; sleep 100' $'[env]\nINHERITED = "yes"')
    wait_for 5 squish exec "$id" test -e /tmp/marker
    assert_equal "$(squish exec "$id" cat /tmp/marker)" marker
    assert_equal "$(squish exec "$id" /bin/sh -c 'echo $INHERITED $EXTRA')" yes
    assert_equal "$(squish exec -e EXTRA=more "$id" /bin/sh -c 'echo $INHERITED $EXTRA')" "yes more"
    assert_equal "$(squish exec -w /etc "$id" pwd)" /etc
    assert_equal "$(squish exec -u 1000:999 "$id" /bin/sh -c 'id -u; id -g; grep ^Groups: /proc/self/status | tr -d "\t "')" $'1000\n999\nGroups:'
    assert_equal "$(echo hi | squish exec -i "$id" cat)" hi
    assert_equal "$(echo hi | squish exec "$id" cat)" ""
    assert_equal "$(squish exec "$id" -- echo --rm -t)" "--rm -t"
    run squish exec "$id" /bin/sh -c 'exit 9'
    assert_status 9
    run squish exec "$id" /bin/sh -c 'kill -9 $$'
    assert_status 137
    run -127 --separate-stderr squish exec "$id" /no/such/program
    assert_message "/no/such/program"
    run --separate-stderr squish exec "$id" /etc/passwd
    assert_status 126
    run --separate-stderr squish exec "$id"
    assert_status 2
    run --separate-stderr squish exec -w /no/such/folder "$id" true
    assert_status 125
    assert_message "/no/such/folder"
    squish stop "$id"
    run --separate-stderr squish exec "$id" true
    assert_status 125
    assert_message "does not run"
}

@test "exec ends when the container does" {
    id=$(create_testbin sleep 100)
    (code=0 && { squish exec "$id" sleep 100 || code=$?; } && echo "$code" >code) &
    wait_for 5 eval "squish exec $id ps | grep -q 'sleep 100'"
    squish kill "$id"
    wait_for 5 test -s code
    assert_equal "$(cat code)" 137
}

@test "orphans are reaped" {
    id=$(create_shell '/app/testbin orphans 50; echo done; sleep 100' $'[layers]\napp = "@TESTBIN@"')
    wait_for 5 eval "squish logs $id | grep -q done"
    wait_for 5 eval "[ \"\$(squish exec $id sh -c 'echo /proc/[0-9]*' | wc -w)\" -le 4 ]" ||
        fail "$(squish exec "$id" ps)"
}

# --- logs ------------------------------------------------------------------------------------------------------------

@test "logs: stdout on ours, stderr on ours, to the byte" {
    id=$(create_shell 'echo out; echo err >&2; printf "no newline"')
    squish wait "$id"
    run -0 --separate-stderr squish logs "$id"
    assert_equal "$output" $'out\nno newline'
    assert_equal "$stderr" err
}

@test "logs -n shows the last lines" {
    id=$(create_testbin lines 100)
    squish wait "$id"
    assert_equal "$(squish logs -n 2 "$id")" $'line 99\nline 100'
    assert_equal "$(squish logs -n 0 "$id")" ""
    assert_equal "$(squish logs -n 1000 "$id" | wc -l)" 100
    assert_equal "$(squish logs "$id" | wc -l)" 100
}

@test "logs -f shows what comes, and ends with the container" {
    id=$(create_testbin lines 30 0.02)
    squish logs -f "$id" >followed
    assert_equal "$(wc -l <followed)" 30
    assert_equal "$(tail -n 1 followed)" "line 30"
    # Of one that has ended it is an ordinary look; with -n it begins near the end.
    assert_equal "$(squish logs -f "$id" | wc -l)" 30
    assert_equal "$(squish logs -f -n 1 "$id")" "line 30"
}

@test "logs -f shows a line as soon as it is written" {
    id=$(create_shell 'echo first; trap "echo second" USR1; trap "exit 0" TERM; while :; do sleep 0.02; done')
    squish logs -f "$id" >followed &
    follower=$!
    wait_for 5 grep -q first followed
    squish kill -s USR1 "$id"
    wait_for 5 grep -q second followed
    squish stop "$id"
    wait_for 5 is_gone "$follower" || fail "logs -f goes on after the end"
    wait "$follower"
}

@test "logs -f can be interrupted without hurting the container" {
    id=$(create_testbin sleep 100)
    timeout -s INT 0.3 squish logs -f "$id" || true
    assert_equal "$(state_of "$id")" running
}

@test "a log is capped, and keeps the newest" {
    # 64 KiB are kept; 2 MB are written.
    id=$(create_shell 'i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo "line $i: 0000000000000000000000000000000000000000000000000000000000000000000000000000000"; done; echo the end; sleep 100')
    wait_for 30 eval "squish logs -n 1 $id | grep -q 'the end'"
    log=$(squish inspect "$id" | json '[0]["stdout_log"]')
    wait_for 10 eval "[ \$(du -k '$log' | cut -f1) -le 192 ]" || fail "$(du -k "$log") KiB on disk"
    [ "$(squish logs "$id" | wc -c)" -le 196608 ]
    assert_equal "$(squish logs -n 1 "$id")" "the end"
    # What is kept is whole, but for where it begins.
    assert_equal "$(squish logs "$id" | tail -n +2 | grep -avc '^line [0-9]*: 0*$')" 1
}

@test "a container of run has no logs, and says so" {
    testbin_file lines.toml lines 3
    squish run --name attached lines.toml >/dev/null
    run -0 --separate-stderr squish logs attached
    assert_equal "$output" ""
    assert_contains "$stderr" "attached"
}

# --- the daemon ------------------------------------------------------------------------------------------------------

@test "the daemon can be ended and started again; everything is still there" {
    port=$(free_port)
    testbin_file http.toml http 2000 "still here"
    web=$(squish create --publish "$port:2000" http.toml)
    ended=$(create_ended 7)
    fetch "http://127.0.0.1:$port/"
    before=$(squish inspect "$web" "$ended" | json '')
    squish daemon stop
    run -1 squish daemon status
    assert_equal "$(curl -fsS --max-time 5 "http://127.0.0.1:$port/")" "still here"
    squish daemon start
    run -0 squish daemon status
    after=$(squish inspect "$web" "$ended" | json '')
    assert_equal "$after" "$before"
    assert_equal "$(curl -fsS --max-time 5 "http://127.0.0.1:$port/")" "still here"
    assert_equal "$(squish logs "$web")" ready
    assert_equal "$(squish exec "$web" echo inside)" inside
    squish stop "$web"
    run ! curl -fsS --max-time 2 "http://127.0.0.1:$port/"
    # The next command starts it where nobody did.
    squish daemon stop
    assert_equal "$(squish ps -aq | wc -l)" 2
}

@test "daemon stop --containers ends everything" {
    create_testbin sleep 100
    create_testbin http 80
    squish daemon stop --containers
    wait_for 15 no_squish_process || fail "$(squish_processes)"
    run -0 squish ps -q
    assert_equal "$output" ""
}

@test "several commands at once start one daemon" {
    squish daemon stop
    wait_for 5 eval '! has_helper squishd'
    pids=()
    for i in 1 2 3 4 5 6; do
        squish ps -q >"$i.out" 2>"$i.err" &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid"; done # a bare `wait` would wait for bats' own time-out, too
    assert_equal "$(cat ./*.err)" ""
    assert_equal "$(squish_processes | grep -c ' squishd$')" 1
}

@test "a second daemon refuses to serve" {
    squish daemon start
    run --separate-stderr squishd --foreground
    assert_status 1
    assert_matches "$stderr" 'squishd?: '
    squish ps -q
}

@test "a socket that is left over is no obstacle" {
    squish daemon start
    kill -KILL "$(helper_pid squishd)"
    wait_for 5 eval '! has_helper squishd'
    [ -S "$XDG_RUNTIME_DIR/squish/squishd.sock" ]
    run -0 squish ps -q
}

@test "the API is the user's alone, and the old routes answer" {
    socket=$XDG_RUNTIME_DIR/squish/squishd.sock
    squish daemon start
    assert_equal "$(stat -c %a "$socket")" 600
    assert_equal "$(stat -c %a "$XDG_RUNTIME_DIR/squish")" 700
    api() { curl -fsS --max-time 10 --unix-socket "$socket" "$@"; }
    api http://squish/status | grep -q version
    id=$(api -X POST --data '{"name": "old", "layers": {"app": "'"$E2E_TESTBIN"'"}, "run": {"command": "/app/testbin", "args": ["sleep", "100"]}}' http://squish/containers/create | json '[0]')
    assert_full_id "$id"
    assert_equal "$(api http://squish/containers/list | json '[0]["name"]')" old
    assert_equal "$(api http://squish/containers/list | json '[0]["id"]')" "$id"
    assert_equal "$(api -X POST "http://squish/containers/stop/${id:0:12}" | json '[0]')" "$id"
    assert_equal "$(api http://squish/containers/list)" "[]"
}

@test "a wrong configuration is told, with its line" {
    mkdir -p other/squish
    printf '\nspare_cell = 3\n' >other/squish/squishd.toml
    squish daemon stop
    run --separate-stderr env XDG_CONFIG_HOME="$DIR/other" squish ps
    assert_not_equal "$status" 0
    assert_contains "$stderr" "squishd.toml:2"
    assert_contains "$stderr" spare_cells
}
