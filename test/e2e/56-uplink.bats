# The uplink: which program it is, the host's loopback for those who may, and what becomes of both when they die.
load helpers

# A web server on the host's loopback alone: sets $host_port. Ended by teardown.
start_on_loopback() {
    host_port=$(free_port)
    mkdir -p "$E2E_FILE_DIR/www"
    echo "for the host alone" >"$E2E_FILE_DIR/www/index.html"
    /usr/bin/python3 -m http.server --bind 127.0.0.1 --directory "$E2E_FILE_DIR/www" "$host_port" >host.out 2>&1 3>&- &
    echo $! >"$E2E_FILE_DIR/host.pid"
    disown
    wait_for 10 curl -fsS -o /dev/null "http://127.0.0.1:$host_port/"
}
teardown() {
    if [ -s "$E2E_FILE_DIR/host.pid" ]; then
        kill "$(cat "$E2E_FILE_DIR/host.pid")" 2>/dev/null || true
        rm "$E2E_FILE_DIR/host.pid"
    fi
    if [ -e "$XDG_CONFIG_HOME/squish/squishd.toml" ]; then
        squish daemon stop --containers >/dev/null 2>&1 || squish daemon stop >/dev/null 2>&1 || true
        rm "$XDG_CONFIG_HOME/squish/squishd.toml"
    fi
    e2e_teardown
}

MAY=$'[network]\nhost_loopback = true'
create_sleeper() { create_shell 'sleep 300' $'[layers]\napp = "@TESTBIN@"\n'"${1-}"; }
get_from_host() { timeout 10 squish exec "$1" wget -q -O - "http://host.squish.internal:$host_port/"; }
connects() { timeout 5 squish exec "$1" /app/testbin connect "$2" "$3" >/dev/null 2>&1; } # ID ADDRESS PORT
gets_from_host() { [ "$(get_from_host "$1")" = "for the host alone" ]; }
address_of() { squish inspect "$1" | json '[0]["address"]'; }
# Whether a container reaches the host's loopback by address, at either uplink.
reaches_host() {
    local address
    for address in 10.0.3.2 10.0.2.2; do
        if connects "$1" "$address" "$host_port"; then return 0; fi
    done
    return 1
}

# --- the host's loopback ---------------------------------------------------------------------------------------------

@test "host_loopback: the host's loopback is reached by name, and only by the container that says so" {
    start_on_loopback
    may=$(create_sleeper "$MAY")
    other=$(create_sleeper)
    assert_equal "$(get_from_host "$may")" "for the host alone"
    run ! reaches_host "$other"
    assert_lacks "$(squish exec "$other" cat /etc/hosts)" host.squish.internal
    # Nothing else of that uplink answers, not even its name server.
    connects "$may" 10.0.3.2 "$host_port"
    for address in 10.0.3.3 10.0.3.1 10.0.3.100 10.0.2.2; do
        run ! connects "$may" "$address" "$host_port"
        run ! connects "$may" "$address" 53
    done
    # It is no way out: that is still the other one.
    assert_contains "$(squish exec "$may" ip route)" "default via 10.89.0.1 dev eth0"
}

@test "host_loopback: gone with its container, whoever has the address next" {
    start_on_loopback
    # One that has used its right leaves a connection in TIME_WAIT, and its address is not given to others for a minute.
    may=$(create_sleeper "$MAY")
    address=$(address_of "$may")
    squish rm -f "$may"
    for _ in $(seq 1 20); do
        next=$(create_sleeper)
        [ "$(address_of "$next")" != "$address" ] || break
    done
    assert_equal "$(address_of "$next")" "$address" # it has come round
    run ! reaches_host "$next"
}

@test "host_loopback survives the end of its uplink, of the stager, and of squishd" {
    start_on_loopback
    may=$(create_sleeper "$MAY")
    gets_from_host "$may"
    for helper in slirp4netns slirp4netns squish-stager squishd; do
        # Of the two uplinks the one that was started first, and then the other.
        pid=$(helper_pid "$helper")
        kill -KILL "$pid"
        wait_for 5 is_gone "$pid"
        other=$(create_sleeper) # also makes squishd and the stager start again
        wait_for 10 gets_from_host "$may" || fail "after $helper: $(squish_processes)"
        run ! reaches_host "$other"
        squish rm -f "$other"
        wait_for 10 eval '[ "$(squish_processes | grep -c slirp4netns)" -eq 2 ]' || fail "$(squish_processes)"
    done
}

@test "host_loopback with the other modes: host has it, none cannot" {
    start_on_loopback
    # No `exec` in this mode: the payload says it itself.
    run -0 --separate-stderr in_shell "wget -q -O - http://host.squish.internal:$host_port/" $'[network]\nmode = "host"\nhost_loopback = true'
    assert_equal "$output" "for the host alone"
    shell_file none.toml true $'[network]\nmode = "none"\nhost_loopback = true'
    run --separate-stderr squish run --rm none.toml
    assert_status 2
    assert_contains "$stderr" "'network.host_loopback' needs network.mode = \"bridge\""
}

# --- which program it is ---------------------------------------------------------------------------------------------

use_driver() { # NAME
    squish daemon stop >/dev/null 2>&1 || true
    mkdir -p "$XDG_CONFIG_HOME/squish"
    printf '[uplink]\ndriver = "%s"\n' "$1" >"$XDG_CONFIG_HOME/squish/squishd.toml"
}

# A pasta that is slirp4netns inside: it says VERSION, is set up as pasta is, writes its pid, and ends with the namespace.
write_pasta() { # VERSION
    mkdir -p "$DIR/bin"
    cat >"$DIR/bin/pasta" <<'PYTHON'
#!/usr/bin/python3
import os, subprocess, sys, time
if sys.argv[1] == "--version":
    print("pasta @VERSION@")
elif sys.argv[1] == "--help":
    print("--foreground --quiet --ns-ifname --mtu --ipv4-only --address --netmask --gateway --tcp-ports --udp-ports "
          "--tcp-ns --udp-ns --no-dhcp --pid --config-net --no-map-gw --dns-forward --map-host-loopback")
else:
    value = lambda option: sys.argv[sys.argv.index(option) + 1]
    ready, ready_theirs = os.pipe()
    exit_theirs, exit_ours = os.pipe()
    out = "--config-net" in sys.argv
    keeper = sys.argv[-1]
    subprocess.Popen(["slirp4netns", f"--ready-fd={ready_theirs}", f"--exit-fd={exit_theirs}", "--mtu=65520"]
                     + (["--configure", "--disable-host-loopback"] if out else ["--cidr=10.0.3.0/24"])
                     + [keeper, value("--ns-ifname")], pass_fds=[ready_theirs, exit_theirs])
    os.close(ready_theirs)
    if not os.read(ready, 1):
        sys.exit("no namespace to join")
    with open(value("--pid"), "w") as file:
        print(os.getpid(), file=file)
    while os.path.exists(f"/proc/{keeper}/ns/net"):
        time.sleep(0.1)
PYTHON
    sed -i "s/@VERSION@/$1/" "$DIR/bin/pasta"
    chmod 0755 "$DIR/bin/pasta"
    PATH=$DIR/bin:$PATH
}

@test "driver = \"pasta\": one that fails its probe is refused, with the reason and the remedy" {
    write_pasta "unknown version"
    use_driver pasta
    testbin_file true.toml true
    run --separate-stderr squish run --rm true.toml
    assert_status 125
    assert_message "pasta' does not say of which date it is"
    assert_contains "$stderr" 'driver = "slirp4netns"'
    assert_no_container
    # What needs no uplink works.
    in_shell true $'[network]\nmode = "none"'
}

@test "driver = \"pasta\": one that passes is used, is started again, and ends with the keeper" {
    write_pasta "2024_08_21.1d6142f"
    use_driver pasta
    start_on_loopback
    may=$(create_sleeper "$MAY")
    gets_from_host "$may"
    pid=$(cat "$XDG_RUNTIME_DIR/squish/tap0.pid")
    assert_equal "$(cat "/proc/$pid/comm")" pasta
    kill -KILL "$pid"
    wait_for 10 eval '[ "$(cat "$XDG_RUNTIME_DIR/squish/tap0.pid")" != "$pid" ]' || fail "not started again"
    wait_for 10 gets_from_host "$may"
    pids=$(cat "$XDG_RUNTIME_DIR"/squish/tap?.pid)
    kill -KILL "$(helper_pid squish-keeper)"
    for pid in $pids; do wait_for 10 is_gone "$pid" || fail "pasta outlives the keeper"; done
}

@test "driver = \"auto\": slirp4netns where it is installed" {
    write_pasta "2024_08_21.1d6142f"
    use_driver auto
    rm -f "$XDG_RUNTIME_DIR"/squish/tap?.pid # of the test before
    create_sleeper
    has_helper slirp4netns
    [ ! -e "$XDG_RUNTIME_DIR/squish/tap0.pid" ]
}

@test "a driver that there is none of is named, with its line" {
    use_driver passt
    testbin_file true.toml true
    run --separate-stderr squish run --rm true.toml
    assert_not_equal "$status" 0
    assert_contains "$stderr" 'squishd.toml:2:'
    assert_contains "$stderr" '"auto", "slirp4netns" or "pasta"'
}
