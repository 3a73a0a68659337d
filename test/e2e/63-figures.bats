# Events, figures and limits, as they are without cgroups: what is told, and what is refused and why.
load helpers

@test "events: start, ports, exit and remove, as lines and as JSON, with backlog and number" {
    port=$(free_port)
    id=$(create_shell 'sleep 1000')
    name=$(squish inspect "$id" | json '[0]["name"]')
    squish port add "$id" "$port:80"
    squish port rm "$id" "$port"
    squish stop -t 0 "$id"
    squish rm "$id"
    run -0 squish events --no-follow
    for type in start port-add port-remove exit remove; do assert_contains "$output" " $type $name "; done
    assert_contains "$output" "reason=killed"
    last=$(squish events --json --no-follow --backlog 1)
    assert_equal "$(json '["type"]' <<<"$last")" remove
    assert_equal "$(json '["id"]' <<<"$last")" "$id"
    number=$(json '["number"]' <<<"$last")
    assert_equal "$(squish events --json --no-follow --since $((number - 1)) | wc -l)" 1
    assert_equal "$(squish events --no-follow --since "$number")" ""
}

@test "events are followed as they come, and kept over a squishd that is killed" {
    squish events --json >followed &
    follower=$!
    id=$(create_shell 'sleep 1000')
    wait_for 10 grep -q '"start"' followed
    kill "$follower"
    kill -KILL "$(helper_pid squishd)"
    squish events --json --no-follow | grep -q "\"start\".*$id"
    squish rm -f "$id"
    squish events --json --no-follow >all
    assert_equal "$(/usr/bin/python3 -c 'import json
numbers = [json.loads(line)["number"] for line in open("all")]
print(numbers == sorted(set(numbers)))')" True
}

@test "stats without cgroups adds up processes, and says so" {
    id=$(create_shell '/app/testbin memory 8388608 1000 & i=0; while :; do i=$((i + 1)); done' '[layers]
app = "@TESTBIN@"')
    wait_for 20 eval 'squish logs "$id" | grep -q touched'
    run -0 --separate-stderr squish stats --no-stream
    assert_contains "$output" NAME
    if [ "$(squish stats --json --no-stream | json '[0]["source"]')" = proc ]; then assert_contains "$stderr" "no cgroup"; fi
    squish stats --json --no-stream >figures
    assert_equal "$(json '[0]["id"]' <figures)" "$id"
    # The kernel counts in batches of 64 pages a thread (before Linux 6.2).
    [ "$(json '[0]["memory"]' <figures)" -gt $((7 << 20)) ]
    [ "$(json '[0]["pids"]' <figures)" -ge 2 ]
    /usr/bin/python3 -c 'import json; exit(json.load(open("figures"))[0]["cpu_percent"] < 10)'
    run -1 --separate-stderr squish stats --no-stream nobody
    assert_message "no container 'nobody'"
}

@test "top needs a terminal, and shows what runs on one" {
    id=$(create_shell 'sleep 1000')
    name=$(squish inspect "$id" | json '[0]["name"]')
    run --separate-stderr squish top
    assert_status 1
    assert_message "terminal"
    tmux -L "top$$" new-session -d -x 100 -y 20 "squish top"
    wait_for 20 eval 'tmux -L "top$$" capture-pane -p | grep -q "$name"' || fail "$(tmux -L "top$$" capture-pane -p)"
    tmux -L "top$$" resize-window -x 10 -y 3
    tmux -L "top$$" send-keys q
    wait_for 10 eval '! tmux -L "top$$" list-sessions'
}

# Where this machine has a driver, test/vm sees to it.
has_driver() { squish doctor --json | /usr/bin/python3 -c 'import json, sys
exit(not any(check["check"] == "cgroup memory" and check["state"] == "ok" for check in json.load(sys.stdin)))'; }

@test "limits that cannot be enforced here refuse the start, with reason and remedy; nothing is left" {
    shell_file limited.toml 'true' "[resources]
memory = '64M'"
    has_driver && run -0 squish run --rm limited.toml && return 0
    run -125 --separate-stderr squish run --rm limited.toml
    assert_message "resources cannot be limited here"
    assert_matches "$stderr" 'cgroup'
    assert_matches "$stderr" '\(.+\)'
    assert_no_container
    mkdir -p "$XDG_CONFIG_HOME/squish"
    printf '[limits]\ndriver = "none"\n' >"$XDG_CONFIG_HOME/squish/squishd.toml"
    squish daemon stop
    run -125 --separate-stderr squish run --rm limited.toml
    assert_message "driver"
    rm "$XDG_CONFIG_HOME/squish/squishd.toml"
    squish daemon stop
}

@test "without a cgroup there is no pause and no update, and the message says what to do" {
    id=$(create_shell 'sleep 1000')
    for command in pause "update --pids 5"; do
        # shellcheck disable=SC2086 # words
        run -1 --separate-stderr squish $command "$id"
        assert_message "no cgroup"
        assert_contains "$stderr" "[resources]"
    done
    run --separate-stderr squish update --memory lots "$id"
    assert_status 2
    run --separate-stderr squish update "$id"
    assert_status 2
}
