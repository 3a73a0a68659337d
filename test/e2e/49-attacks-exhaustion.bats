# Using up what is shared: processes, log space, inotify, connections. Neighbours and squish itself go on meanwhile, and
# everything is given back at the end.
# shellcheck disable=SC2154 # $output, $stderr and $status come from bats
load helpers
load attacks

setup_file() {
    e2e_setup_file
    mkdir -p "$XDG_CONFIG_HOME/squish"
    echo 'log_limit = "64K"' >"$XDG_CONFIG_HOME/squish/squishd.toml"
}

# said ID PATTERN: its log has a line like that.
said() { squish logs "$1" 2>/dev/null | grep -Eq "$2"; }

# Everything that one wants of squish and of a neighbour.
goes_on() { # NEIGHBOUR
    assert_equal "$(squish exec "$1" /app/testbin ids)" 0:0
    assert_equal "$(in_shell 'echo new')" new
    assert_contains "$(squish ps -q)" "${1:0:12}"
}
processes_of() { # PATTERN, in their command lines
    local file count=0
    for file in /proc/[0-9]*/cmdline; do
        if tr '\0' ' ' <"$file" 2>/dev/null | grep -q -- "$1"; then count=$((count + 1)); fi
    done 2>/dev/null
    echo "$count"
}

@test "processes: a payload that only forks comes to an end of its own" {
    neighbour=$(create_testbin sleep 1000)
    for user in 0 1000; do
        attack_file forks.toml "$user" 'seccomp = "unconfined"' forks 100000 hold
        bomb=$(squish create forks.toml)
        wait_for 60 said "$bomb" '^forks [0-9]+ EAGAIN'
        count=$(squish logs "$bomb" | awk '/^forks/ { print $2 }')
        [ "$count" -lt 4096 ] && [ "$count" -gt 3000 ] || fail "$count"
        goes_on "$neighbour"
        # A second one has its own.
        attack_file few.toml "$user" '' forks 500
        assert_equal "$(squish run --rm few.toml)" "forks 500 ok"
        squish kill "$bomb"
        squish wait "$bomb" || true
        assert_equal "$(processes_of "forks 100000 hold")" 0
    done
    # No limit of the payload's own making gets around it.
    run in_shell '(ulimit -u 100000) 2>&1; grep "Max processes" /proc/self/limits'
    assert_matches "$output" 'Operation not permitted.*4096 +4096 '
}

@test "log space: a flood keeps to the limit, and squishd does not grow" {
    squish daemon start
    daemon=$(helper_pid squishd)
    before=$(awk '/^VmRSS:/ { print $2 }' "/proc/$daemon/status")
    id=$(create_shell '/app/testbin flood 300000000; echo; echo the end; /app/testbin flood 300000000 >&2; echo >&2; echo the end >&2; sleep 100' \
        $'[layers]\napp = "@TESTBIN@"')
    wait_for 60 eval "squish logs -n 1 $id 2>&1 >/dev/null | grep -q 'the end'"
    for log in stdout_log stderr_log; do
        file=$(squish inspect "$id" | json "[0][\"$log\"]")
        wait_for 10 eval "[ \$(du -k '$file' | cut -f1) -le 192 ]" || fail "$(du -k "$file")"
        [ "$(stat -c %s "$file")" -ge 300000000 ] # so much was written
    done
    [ "$(squish logs "$id" 2>&1 | wc -c)" -le 400000 ]
    after=$(awk '/^VmHWM:/ { print $2 }' "/proc/$daemon/status")
    [ $((after - before)) -lt 32768 ] || fail "squishd grew by $((after - before)) KiB"
    # The same written to where nobody limits it.
    "$E2E_TESTBIN" flood 300000000 >unlimited
    [ "$(du -k unlimited | cut -f1)" -gt 250000 ]
    rm unlimited
}

@test "log space: who follows a flood and reads nothing holds nobody up" {
    daemon=$(helper_pid squishd)
    id=$(create_shell 'while :; do /app/testbin flood 1000000; done' $'[layers]\napp = "@TESTBIN@"')
    wait_for 10 eval "[ \"\$(squish logs $id | wc -c)\" -gt 1000 ]"
    before=$(awk '/^VmRSS:/ { print $2 }' "/proc/$daemon/status")
    followers=()
    for _ in 1 2 3 4 5; do
        /usr/bin/python3 - "$XDG_RUNTIME_DIR/squish/squishd.sock" "$id" 3>&- <<'PYTHON' &
import socket, sys, time
client = socket.socket(socket.AF_UNIX)
client.connect(sys.argv[1])
client.sendall(f"GET /v1/containers/{sys.argv[2]}/logs?follow=true HTTP/1.1\r\n\r\n".encode())
time.sleep(60)
PYTHON
        followers+=($!)
    done
    for _ in 1 2 3 4 5 6 7 8 9 10; do squish exec "$id" true; done
    after=$(awk '/^VmRSS:/ { print $2 }' "/proc/$daemon/status")
    [ $((after - before)) -lt 32768 ] || fail "squishd grew by $((after - before)) KiB"
    kill "${followers[@]}"
    assert_equal "$(helper_pid squishd)" "$daemon"
}

@test "inotify: one container has half of what the user has" {
    neighbour=$(create_testbin sleep 1000)
    most=$(cat /proc/sys/user/max_inotify_instances)
    attack_file inotify.toml 0 'seccomp = "unconfined"' inotify 1000000 hold
    greedy=$(squish create inotify.toml)
    wait_for 10 said "$greedy" '^instances'
    assert_equal "$(squish logs "$greedy")" "instances $((most / 2)) EMFILE"
    # Its neighbours, squish and the user have theirs.
    goes_on "$neighbour"
    run -0 squish exec "$neighbour" /app/testbin attack inotify 3
    assert_equal "$output" "instances 3 ok"
    run -0 "$E2E_TESTBIN" attack inotify 3
    assert_equal "$output" "instances 3 ok"
    logged=$(create_shell 'echo line; sleep 100')
    wait_for 5 said "$logged" line
    # Without a limit of its own a process takes all that there are: so does one on the host.
    run -0 "$E2E_TESTBIN" attack inotify 1000000
    assert_matches "$output" '^instances [0-9]+ EMFILE$'
    squish kill "$greedy"
    squish wait "$greedy" || true
    run -0 "$E2E_TESTBIN" attack inotify $((most / 2 + 1))
    assert_equal "$output" "instances $((most / 2 + 1)) ok" # given back
}

@test "inotify: watches likewise" {
    most=$(cat /proc/sys/user/max_inotify_watches)
    assert_equal "$(in_shell 'cat /proc/sys/user/max_inotify_watches')" "$((most / 2))"
    assert_equal "$(in_shell '(echo 1000000 >/proc/sys/user/max_inotify_watches) 2>/dev/null; cat /proc/sys/user/max_inotify_watches')" "$((most / 2))"
}

@test "connections: those of one container's port do not keep another's from being reached" {
    port=$(free_port)
    testbin_file web.toml tally 80
    printf '[[ports]]\ncontainer = 80\nhost = %d\n' "$port" >>web.toml
    victim=$(squish create web.toml)
    other=$(free_port)
    while [ "$other" = "$port" ]; do other=$(free_port); done
    testbin_file other.toml http 80 there
    printf '[[ports]]\ncontainer = 80\nhost = %d\n' "$other" >>other.toml
    neighbour=$(squish create other.toml)
    assert_equal "$(fetch "http://127.0.0.1:$other/")" there
    "$E2E_TESTBIN" attack connections 127.0.0.1 "$port" 3000 hold >connections.log 3>&- &
    holder=$!
    wait_for 60 grep -q connections connections.log
    assert_equal "$(cat connections.log)" "connections 3000 ok"
    assert_equal "$(fetch "http://127.0.0.1:$other/")" there
    goes_on "$neighbour"
    kill "$holder"
    squish rm -f "$victim"
    assert_equal "$(fetch "http://127.0.0.1:$other/")" there
}
