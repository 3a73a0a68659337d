# [restart]: what is started again, when, how often, and what ends that.
load helpers

create_restarting() { # NAME SCRIPT LINES
    local delay="delay = '20ms'"
    [[ ${3-} != *'
delay ='* ]] || delay=
    shell_file "$1.toml" "$2" "name = '$1'
[layers]
data = { path = '$DIR', target = '/data', rw = true }
[restart]
$delay
$3"
    squish create "$1.toml"
}
restarts_of() { squish inspect "$1" | json "[0]['restarts']"; }
has_restarted() { [ "$(restarts_of "$1")" -ge "$2" ]; }

@test "on-failure starts again what fails, under the same id, until it does not" {
    id=$(create_restarting flaky 'echo x >>/data/runs; test "$(wc -l </data/runs)" -ge 3 || exit 7' 'policy = "on-failure"')
    run squish wait flaky # the end that is not followed by a start
    assert_status 0
    assert_equal "$(wc -l <runs)" 3
    assert_equal "$(restarts_of flaky)" 2
    assert_equal "$(squish ps -aq)" "$id"
    run -0 squish events --no-follow
    assert_equal "$(grep -c ' exit flaky ' <<<"$output")" 3
    assert_equal "$(grep -c ' start flaky ' <<<"$output")" 3
    assert_contains "$output" "code=7"
}

@test "max_retries ends it, with the last exit code" {
    create_restarting broken 'echo x >>/data/runs; exit 5' 'policy = "on-failure"
max_retries = 2'
    run squish wait broken
    assert_status 5
    assert_equal "$(wc -l <runs)" 3
    assert_equal "$(squish inspect broken | json '[0]["exit"]["code"]')" 5
}

@test "the pause doubles up to max_delay" {
    create_restarting slower 'echo x >>/data/runs; exit 1' 'policy = "always"
max_retries = 5
delay = "100ms"
max_delay = "1600ms"'
    run squish wait slower
    assert_status 1
    assert_equal "$(wc -l <runs)" 6
    # And a start each: never less.
    squish events --json --no-follow | /usr/bin/python3 -c 'import datetime, json, sys
events = [json.loads(line) for line in sys.stdin]
moments = [(event["type"], datetime.datetime.strptime(event["time"], "%Y-%m-%dT%H:%M:%S.%fZ")) for event in events if event["name"] == "slower" and event["type"] in ("start", "exit")]
for (kind, ended), (_, started) in zip(moments, moments[1:]):
    if kind == "exit":
        print(round((started - ended).total_seconds() * 1000))' >pauses
    assert_equal "$(wc -l <pauses)" 5
    least=(100 200 400 800 1600) i=0
    while read -r pause; do
        [ "$pause" -ge "${least[i]}" ] || fail "pause $i was $pause ms: $(cat pauses)"
        i=$((i + 1))
    done <pauses
}

@test "always starts again what has ended well; stop and rm end that, while it runs and while it waits" {
    create_restarting over 'echo x >>/data/runs' 'policy = "always"'
    wait_for 10 has_restarted over 2
    squish stop over
    runs=$(wc -l <runs)
    assert_equal "$(state_of over)" exited
    squish rm over
    create_restarting waits 'echo x >>/data/more; exit 1' 'policy = "always"
max_delay = "1h"
delay = "1h"'
    wait_for 10 eval '[ "$(state_of waits)" = restarting ]'
    run -0 squish ps
    assert_contains "$output" waits
    run -125 --separate-stderr squish exec waits /bin/true
    assert_message "does not run"
    squish rm -f waits
    assert_equal "$(wc -l <more)" 1
    assert_equal "$(wc -l <runs)" "$runs"
}

@test "it comes back with its ports as they were last, its files and its network" {
    port=$(free_port) other=$(free_port)
    shell_file server.toml 'echo up >/tmp/index.html; echo $((1 + $(cat /data/n 2>/dev/null || echo 0))) >/data/n; cp /data/n /tmp/n; exec httpd -f -p 80 -h /tmp' "name = 'server'
[layers]
data = { path = '$DIR', target = '/data', rw = true }
[restart]
policy = 'always'
delay = '20ms'
[[ports]]
container = 80
host = $port"
    squish create server.toml
    assert_equal "$(fetch "http://127.0.0.1:$port/n")" 1
    squish port rebind server "$port" "$other"
    # Not a request of ours to end it: it just ends.
    squish exec server /bin/sh -c 'kill -9 $(pidof httpd)' || true
    wait_for 20 eval '[ "$(curl -fsS --max-time 2 "http://127.0.0.1:$other/n")" = 2 ]'
    run curl -fsS --max-time 2 "http://127.0.0.1:$port/n"
    assert_not_equal "$status" 0
}

@test "who waits to be started again is, by the next squishd" {
    create_restarting later 'echo x >>/data/runs; sleep 0.2; exit 1' 'policy = "on-failure"
delay = "500ms"'
    wait_for 10 eval '[ "$(state_of later)" = restarting ]'
    kill -KILL "$(helper_pid squishd)"
    runs=$(wc -l <runs)
    squish ps >/dev/null
    wait_for 20 eval '[ "$(wc -l <runs)" -gt "$runs" ]'
}

@test "what is lost with its keeper is started again, too" {
    create_restarting tough 'echo x >>/data/runs; exec sleep 1000' 'policy = "on-failure"'
    wait_for 10 test -s runs
    kill -KILL "$(helper_pid squish-keeper)"
    wait_for 20 eval '[ "$(wc -l <runs)" -eq 2 ]'
    wait_for 10 eval '[ "$(state_of tough)" = running ]'
}

@test "a start that fails counts, and says why" {
    mkdir gone
    shell_file fails.toml 'exit 1' "name = 'fails'
[layers]
gone = { path = '$DIR/gone', target = '/gone' }
[restart]
policy = 'always'
delay = '300ms'
max_retries = 2"
    squish create fails.toml
    rmdir gone
    run squish wait fails
    assert_status 125
    assert_equal "$(squish inspect fails | json '[0]["exit"]["reason"]')" start-failed
    assert_contains "$(squish inspect fails | json '[0]["warnings"]')" gone
}

@test "attached streams go on over restarts; a terminal and --rm are refused" {
    shell_file talks.toml 'echo again; exit 4' "[restart]
policy = 'on-failure'
delay = '20ms'
max_retries = 2"
    run -4 --separate-stderr squish run talks.toml
    assert_equal "$output" "again
again
again"
    run --separate-stderr squish run --rm talks.toml
    assert_not_equal "$status" 0
    assert_message "contradict"
}
