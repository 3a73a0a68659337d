# Layers that come into containers that run, and go again.
load helpers
load layers

setup() { layers_setup; }
teardown() { layers_teardown; }

# A source with the tool and its helper, and a container on the built-in rootfs.
attach_setup() {
    publish source helper 2.0.0
    publish source tool 1.2.0 $'[requires]\nhelper = ">=2"'
    publish source other 1.0.0
    start_web "$DIR/source"
    use_source "$WEB"
    ID=$(create_shell 'sleep 600')
}

@test "an attached layer is there for everybody in the container, read-only, with what it requires" {
    attach_setup
    run squish exec "$ID" -- /sdk/tool/bin/tool
    assert_status 127
    run --separate-stderr squish layer attach "$ID" tool@1
    assert_status 0
    assert_equal "$output" "tool@1.2.0 /sdk/tool"
    run squish exec "$ID" -- /sdk/tool/bin/tool hello
    assert_equal "$output" "tool 1.2.0 hello"
    run squish exec "$ID" -- /sdk/helper/bin/helper
    assert_equal "$output" "helper 2.0.0 "
    for attempt in 'touch /sdk/x' 'touch /sdk/tool/x' 'rm /sdk/tool/bin/tool' 'mkdir /sdk/y' 'umount /sdk/tool' 'umount /sdk' \
        'mount -o remount,rw /sdk'; do
        run squish exec "$ID" -- sh -c "$attempt"
        assert_not_equal "$attempt: $status" "$attempt: 0"
    done
    run squish exec "$ID" -- sh -c 'grep " /sdk" /proc/mounts | grep -v " ro,nosuid,nodev"'
    assert_equal "$output" ""
    assert_equal "$(squish inspect "$ID" | json '[0]["layers"][-1]["why"][-1]')" attached
    # Another container is not touched.
    other=$(create_shell 'sleep 600')
    run squish exec "$other" -- ls /sdk
    assert_equal "$output" ""
}

@test "what a container uses stays: rm and prune refuse, until it is detached" {
    attach_setup
    squish layer attach "$ID" tool >/dev/null
    run --separate-stderr squish layer rm tool
    assert_status 1
    assert_message "used by container"
    squish layer prune >/dev/null 2>&1
    squish exec "$ID" -- /sdk/tool/bin/tool
    squish layer detach "$ID" tool
    run squish exec "$ID" -- ls /sdk
    assert_equal "$output" helper
    squish layer rm tool >/dev/null
}

@test "who has a file of a detached layer open goes on with it" {
    attach_setup
    squish layer attach "$ID" tool >/dev/null
    squish exec "$ID" -- sh -c 'exec 5</sdk/tool/bin/tool; touch /tmp/open; while [ ! -e /tmp/go ]; do sleep 0.02; done; cat <&5 >/tmp/read' &
    local reader=$!
    wait_for 10 squish exec "$ID" -- test -e /tmp/open
    squish layer detach "$ID" tool
    squish exec "$ID" -- touch /tmp/go
    wait "$reader"
    run squish exec "$ID" -- cat /tmp/read
    assert_contains "$output" 'tool 1.2.0'
}

@test "attached layers are known to the next squishd" {
    attach_setup
    squish layer attach "$ID" tool >/dev/null
    kill -9 "$(helper_pid squishd)"
    run squish exec "$ID" -- /sdk/tool/bin/tool
    assert_equal "$output" "tool 1.2.0 "
    squish layer attach "$ID" other >/dev/null
    run squish exec "$ID" -- ls /sdk
    assert_equal "$output" $'helper\nother\ntool'
    squish layer detach "$ID" tool
    run squish exec "$ID" -- ls /sdk
    assert_equal "$output" $'helper\nother'
}

@test "beside the SDKs of the squishfile, which stay" {
    attach_setup
    squish rm -f "$ID" >/dev/null
    ID=$(create_shell 'while :; do tool >/tmp/last || touch /tmp/failed; done' $'[layers]\ntool = "1"')
    wait_for 10 squish exec "$ID" -- test -s /tmp/last
    squish layer attach "$ID" other >/dev/null
    squish layer detach "$ID" other
    run --separate-stderr squish layer detach "$ID" tool
    assert_status 1
    assert_message "belongs to the squishfile"
    run squish exec "$ID" -- ls /sdk
    assert_equal "$output" $'helper\ntool'
    # The payload that looks all the time has found it all the time.
    run squish exec "$ID" -- ls /tmp/failed
    assert_not_equal "$status" 0
}

@test "what cannot be attached changes nothing and says why" {
    attach_setup
    squish layer attach "$ID" other >/dev/null
    run --separate-stderr squish layer attach "$ID" other
    assert_status 1
    assert_message "already"
    run --separate-stderr squish layer attach "$ID" nothing@1
    assert_message "nothing"
    run --separate-stderr squish layer attach "$ID" tool@9
    assert_message "'9'"
    run --separate-stderr squish layer attach nobody tool
    assert_status 1
    assert_message "no container 'nobody'"
    run --separate-stderr squish layer detach "$ID" tool
    assert_message "has no layer 'tool'"
    run --separate-stderr squish layer attach "$ID" ../tool
    assert_status 2
    run squish exec "$ID" -- ls /sdk
    assert_equal "$output" other
    squish stop -t 0 "$ID" >/dev/null
    run --separate-stderr squish layer attach "$ID" tool
    assert_status 1
    assert_message "does not run"
}

@test "changes have a limit, since each is a mount" {
    attach_setup
    for _ in $(seq 16); do
        squish layer attach "$ID" other >/dev/null
        squish layer detach "$ID" other
    done
    run --separate-stderr squish layer attach "$ID" other
    assert_status 1
    assert_message "32 times"
}
