# [health]: what it finds out, where it is to be seen, and that nothing is left of a check.
load helpers

# A container whose health is whether /tmp/ill is absent; LINES are more of [health].
create_watched() { # NAME LINES
    shell_file "$1.toml" "${3-while :; do sleep 1; done}" "name = '$1'
[health]
command = ['/bin/sh', '-c', 'test ! -e /tmp/ill || { echo it is ill; exit 3; }']
interval = '100ms'
$2"
    squish create "$1.toml"
}
health_of() { squish inspect "$1" | json "[0]['health']['${2-status}']"; }
is_health() { [ "$(health_of "$1")" = "$2" ]; }
checks_of() { squish events --json --no-follow | grep -c '"health"'; }

@test "a container is starting, healthy, unhealthy and healthy again, as inspect, ps and events say" {
    create_watched web 'retries = 2' >id
    wait_for 10 is_health web healthy
    run -0 squish ps
    assert_contains "$output" "healthy"
    assert_equal "$(squish ps --json | json '[0]["health"]')" healthy
    squish exec web /bin/touch /tmp/ill
    wait_for 10 is_health web unhealthy
    assert_equal "$(health_of web last_code)" 3
    assert_contains "$(health_of web last_output)" "it is ill"
    squish exec web /bin/rm /tmp/ill
    wait_for 10 is_health web healthy
    assert_equal "$(health_of web failing_streak)" 0
    run -0 squish events --no-follow
    assert_contains "$output" "health web"
    assert_contains "$output" "status=unhealthy"
}

@test "failures within start_period do not count" {
    create_watched slow 'retries = 1
start_period = "8s"' 'touch /tmp/ill; while :; do sleep 1; done' >id
    wait_for 10 eval '[ "$(health_of slow last_code)" = 3 ]'
    assert_equal "$(health_of slow)" starting
    wait_for 20 is_health slow unhealthy
}

@test "a check that takes too long has failed, and nothing of it is left" {
    shell_file hang.toml 'while :; do sleep 1; done' "name = 'hang'
[health]
command = ['/bin/sleep', '1234']
interval = '50ms'
timeout = '200ms'
retries = 2"
    squish create hang.toml
    wait_for 20 is_health hang unhealthy
    assert_equal "$(health_of hang last_code)" 124
    squish rm -f hang
    wait_for 5 eval '! pgrep -u "$(id -u)" -f "sleep 1234"'
}

@test "a command that is not there is a failure that says so" {
    shell_file none.toml 'while :; do sleep 1; done' "name = 'none'
[health]
command = ['/no/such/check']
interval = '50ms'
retries = 1"
    squish create none.toml
    wait_for 20 is_health none unhealthy
    assert_equal "$(health_of none last_code)" 127
    assert_contains "$(health_of none last_output)" "/no/such/check"
}

@test "what a check writes without end neither hangs it nor fills anything" {
    shell_file loud.toml 'while :; do sleep 1; done' "name = 'loud'
[health]
command = ['/bin/sh', '-c', 'yes | head -c 3000000']
interval = '50ms'"
    squish create loud.toml
    wait_for 20 is_health loud healthy
    assert_equal "$(health_of loud last_output | wc -c)" 4097 # and a newline
}

@test "health goes on where a killed squishd left off" {
    create_watched steady 'retries = 2' >id
    wait_for 10 is_health steady healthy
    kill -KILL "$(helper_pid squishd)"
    assert_equal "$(health_of steady)" healthy
    squish exec steady /bin/touch /tmp/ill
    wait_for 10 is_health steady unhealthy
}

@test "wrong [health] is refused with line and key" {
    printf '[run]\ncommand = "/bin/true"\n[health]\ninterval = "5s"\n' >wrong.toml
    run --separate-stderr squish create wrong.toml
    assert_status 2
    assert_message "wrong.toml:3"
    printf '[run]\ncommand = "/bin/true"\n[health]\ncommand = ["/bin/true"]\nretries = 0\n' >wrong.toml
    run --separate-stderr squish create wrong.toml
    assert_status 2
    assert_message "wrong.toml:5"
}
