# What a hostile payload tries, as root of its container and as another user, with and without everything that a
# squishfile can grant. Each attack is also made where its door is open, and must then succeed: else it would prove nothing.
# The walls that a squishfile cannot take down are taken down in test/integration/plan_isolation_test.cpp.
# shellcheck disable=SC2154 # $output, $stderr and $status come from bats
load helpers
load attacks

@test "init: its memory, environment, descriptors, program, root and namespaces" {
    attack_as_all 12 process 1
    # The same against a process of the container.
    id=$(create_testbin sleep 100)
    run -0 squish exec "$id" /app/testbin attack process 2
    open=(environment maps descriptor program program-path root cwd namespace)
    if [ "$(cat /proc/sys/kernel/yama/ptrace_scope 2>/dev/null || echo 0)" -eq 0 ]; then
        open+=(trace read-memory memory-file)
    fi
    for one in "${open[@]}"; do assert_contains "$output" "$one ok"; done
}

@test "the program that starts containers cannot be overwritten" {
    id=$(create_testbin attack overwrite 3)
    wait_for 5 eval "squish logs $id | grep -q ready"
    for _ in 1 2 3 4 5 6 7 8; do
        run squish exec "$id" /proc/self/exe # runs squish-init as a payload (CVE-2019-5736)
        assert_not_equal "$status" 0
    done
    squish wait "$id" || true
    assert_contains "$(squish logs "$id")" "written no"
    assert_equal "$(in_shell 'echo still')" still
    # A program of the container's own, however, is overwritten as soon as it has ended.
    shell_file own.toml 'cp /app/testbin /tmp/victim && chmod 0755 /tmp/victim
    /app/testbin attack overwrite 2 & sleep 0.5; /tmp/victim sleep 0.5; wait' '[layers]
app = "@TESTBIN@"'
    assert_contains "$(squish run --rm own.toml)" "written yes"
}

@test "neighbours: neither signalled nor traced nor read" {
    victim=$(create_testbin sleep 100)
    payload=$(squish inspect "$victim" | json '[0]["security"]["effective"]["payload_pid"]')
    [ -e "/proc/$payload" ] || fail "no payload $payload"
    attack_as_all 12 process "$payload" # its number on the host means nothing in here
    while IFS=$'\t' read -r user security more; do
        attack_file attack.toml "$user" "$security"$'\n'"$more" neighbours
        assert_equal "$(squish run --rm attack.toml 2>/dev/null)" "signalled 0"
    done < <(every_payload)
    assert_equal "$(squish exec "$victim" /app/testbin attack neighbours)" "signalled 1"
    # Not even by root of a container in the host's network.
    attack_file host.toml 0 'seccomp = "unconfined"' neighbours
    printf '[network]\nmode = "host"\n' >>host.toml
    assert_equal "$(squish run --rm host.toml 2>/dev/null)" "signalled 0"
    kill -0 "$payload"
}

@test "files of a neighbour's /tmp, /dev/shm and state are not to be found" {
    victim=$(create_shell 'echo secret >/tmp/secret; echo secret >/dev/shm/secret; sleep 100')
    wait_for 5 squish exec "$victim" test -e /dev/shm/secret
    attack_as_all 3 read /tmp/secret /dev/shm/secret "$XDG_RUNTIME_DIR/squish/containers/$victim/state.json"
    assert_equal "$(squish exec "$victim" cat /tmp/secret)" secret
    [ -r "$XDG_RUNTIME_DIR/squish/containers/$victim/state.json" ]
}

@test "the kernel's settings and switches" {
    attack_as_all 9 write /proc/sys/kernel/core_pattern /proc/sys/kernel/panic_on_oops /proc/sys/fs/mqueue/msg_max \
        /proc/sys/user/max_user_namespaces /proc/sys/net/ipv4/ip_forward /proc/sysrq-trigger /proc/timer_list /proc/keys \
        /sys/class/net/lo/mtu
    # What a process may write of its own, it writes.
    attack_file own.toml 0 '' write /proc/self/comm
    assert_equal "$(squish run --rm own.toml)" "/proc/self/comm ok"
}

@test "what the kernel's files would tell" {
    attack_as_all 9 read /proc/kcore /proc/keys /proc/key-users /proc/timer_list /proc/interrupts /proc/kmsg /proc/sched_debug \
        /sys/firmware/dmi/tables/DMI /sys/devices/virtual/powercap/intel-rapl/enabled
    attack_file open.toml 0 '' read /proc/stat /proc/self/status
    assert_equal "$(squish run --rm open.toml)" $'/proc/stat ok\n/proc/self/status ok'
    grep -q . /proc/interrupts # it can be read where nothing covers it
}

@test "the host's /sys, in the host's network: covered and read-only" {
    squishfile host.toml <<'TOML'
[run]
command = "/bin/sh"
args = ["-c", "ls -A /sys/firmware | wc -w; ls -A /sys/kernel/debug 2>/dev/null | wc -w; (echo 1500 >/sys/class/net/lo/mtu) 2>/dev/null && echo written; grep -c -E ' /sys/(firmware|kernel/debug) ' /proc/self/mounts"]
[network]
mode = "host"
TOML
    run --separate-stderr squish run --rm host.toml
    assert_equal "${lines[0]} ${lines[1]}" "0 0"
    assert_lacks "$output" written
    [ "${lines[2]}" -ge 1 ] || fail "$output"
    if [ -d /sys/firmware/dmi ]; then [ -n "$(ls -A /sys/firmware)" ]; fi # there would be something to see
}

@test "what a container can tell of where it is" {
    run -0 in_shell 'grep -E -c " cgroup2? " /proc/self/mounts; cat /proc/self/cgroup | grep -v ":/$" | wc -l
    grep -E "^(Seccomp|NoNewPrivs|CapBnd):" /proc/self/status | tr "\t\n" "  "; for i in cwd root; do readlink /proc/self/$i; done | tr "\n" " "'
    assert_equal "${lines[0]} ${lines[1]}" "0 0" # no cgroup to write to; its own is the root of all it sees
    assert_equal "${lines[2]}" "CapBnd: 0000000000000000 NoNewPrivs: 1 Seccomp: 2 / / "
}

@test "devices are not made anywhere" {
    mkdir data && chmod 0777 data
    while IFS=$'\t' read -r user security more; do
        attack_file nodes.toml "$user" "$security"$'\n'"$more" nodes /tmp /dev /dev/shm /data
        sed -i 's|^\[layers\]|&\ndata = { path = "./data", target = "/data", rw = true }|' nodes.toml
        run --separate-stderr squish run --rm nodes.toml
        shut "$output" 4
    done < <(every_payload)
    attack_file own.toml 0 '' write /dev/null
    assert_equal "$(squish run --rm own.toml)" "/dev/null ok"
}

@test "user namespaces, filter or not" {
    for security in '' 'seccomp = "unconfined"'; do
        testbin_file calls.toml call unshare clone clone-high mount umount open_tree fsopen
        printf '[security]\n%s\n' "$security" >>calls.toml
        run --separate-stderr squish run --rm calls.toml
        shut "$output" 7
    done
    assert_contains "$output" "unshare ENOSPC" # the wall behind the filter
    # On the host the very same call succeeds.
    assert_equal "$("$E2E_TESTBIN" call unshare)" "unshare ok"
}

@test "keyrings are the container's own, or shut" {
    testbin_file keyring.toml keyring
    run squish run --rm keyring.toml
    assert_not_equal "$status" 0
    printf '[security]\nseccomp = "unconfined"\n' >>keyring.toml
    first=$(squish run --rm keyring.toml 2>/dev/null)
    second=$(squish run --rm keyring.toml 2>/dev/null)
    assert_matches "$first" '^[0-9]+$'
    assert_not_equal "$first" "$second"
    assert_not_equal "$first" "$("$E2E_TESTBIN" keyring)"
}

@test "the caller's terminal: not the payload's to control" {
    script='if (exec 3</dev/tty) 2>/dev/null; then echo opened; fi; echo end'
    shell_file tty.toml "$script"
    python3 "$BATS_TEST_DIRNAME/on_terminal.py" squish run --rm tty.toml <<'STEPS'
< end
lacks opened
code 0
STEPS
    python3 "$BATS_TEST_DIRNAME/on_terminal.py" squish run --rm -i -t tty.toml <<'STEPS'
< opened
< end
code 0
STEPS
    assert_equal "$(in_shell "$script")" end
}

@test "capabilities: those of the list, in all five sets, for run and exec; others are refused by name" {
    squishfile caps.toml <<'TOML'
[run]
command = "/bin/sleep"
args = ["100"]
user = "1000"
[security]
capabilities = ["CHOWN", "cap_kill"]
TOML
    id=$(squish create caps.toml)
    run -0 squish exec "$id" grep -E '^Cap' /proc/self/status
    assert_equal "$(awk '{ print $2 }' <<<"$output" | sort -u)" 0000000000000021
    run -0 squish exec "$id" grep -E '^Cap' /proc/2/status
    assert_equal "$(awk '{ print $2 }' <<<"$output" | sort -u)" 0000000000000021
    squish exec "$id" sh -c 'touch /tmp/f && chown 7:8 /tmp/f && kill -0 2'
    assert_equal "$(squish exec "$id" stat -c %u:%g /tmp/f)" 7:8
    plain=$(create_testbin sleep 100)
    run squish exec "$plain" sh -c 'touch /tmp/f && chown 7:8 /tmp/f'
    assert_not_equal "$status" 0
    sed -i 's/"cap_kill"/"SYS_ADMIN"/' caps.toml
    run --separate-stderr squish validate caps.toml
    assert_status 2
    assert_contains "$output$stderr" "CAP_SYS_ADMIN"
    assert_contains "$output$stderr" "SYS_CHROOT"
}

@test "/tmp without execution" {
    script='cp /app/testbin /tmp/x && /tmp/x true && echo executed; echo end'
    layer=$'[layers]\napp = "@TESTBIN@"\n'
    assert_equal "$(in_shell "$script" "$layer")" $'executed\nend'
    assert_equal "$(in_shell "$script" "$layer"$'[security]\ntmp_noexec = true' 2>/dev/null)" end
}

@test "the host's abstract sockets are out of reach" {
    name=squish-e2e-$$
    python3 - "$name" 3>&- <<'PYTHON' &
import socket, sys, time
listener = socket.socket(socket.AF_UNIX)
listener.bind("\0" + sys.argv[1])
listener.listen(8)
time.sleep(60)
PYTHON
    server=$!
    wait_for 5 "$E2E_TESTBIN" abstract "$name"
    testbin_file bridge.toml abstract "$name"
    run squish run --rm bridge.toml
    assert_not_equal "$status" 0
    testbin_file host.toml abstract "$name"
    printf '[network]\nmode = "host"\n' >>host.toml
    run --separate-stderr squish run --rm host.toml
    # Landlock can forbid that since Linux 6.12; a kernel without says so.
    if [[ $stderr != *"abstract sockets"* ]]; then
        assert_not_equal "$status" 0
        assert_lacks "$output" connected
    fi
    kill "$server"
}

# outside_ids PID uid_map: as inspect prints it
outside_ids() {
    python3 -c '
import json, sys
print(json.dumps([dict(zip(("inside", "outside", "count"), map(int, line.split()))) for line in open(sys.argv[1])]))' "/proc/$1/$2"
}

@test "ids: a container's own, so that it is a stranger to the user and to its neighbours" {
    mkdir private && chmod 0700 private && echo mine >private/file && chmod 0755 private && chmod 0600 private/file
    one=$(create_testbin sleep 100)
    two=$(create_testbin sleep 100)
    for id in "$one" "$two"; do
        assert_equal "$(squish inspect "$id" | json '[0]["security"]["ids"]')" own
        pid=$(squish inspect "$id" | json '[0]["security"]["effective"]["payload_pid"]')
        owner=$(stat -c %u "/proc/$pid")
        grep -E '^Uid:' "/proc/$pid/status"
        assert_not_equal "$(awk '/^Uid:/ { print $2 }' "/proc/$pid/status")" "$(id -u)"
        echo "$owner" >>owners
    done
    assert_equal "$(awk '/^Uid:/ { print $2 }' "/proc/$(squish inspect "$one" | json '[0]["pid"]')/status")" \
        "$(squish inspect "$one" | json '[0]["security"]["effective"]["uid_map"][0]["outside"]')"
    assert_not_equal "$(squish inspect "$one" | json '[0]["security"]["effective"]["uid_map"][0]["outside"]')" \
        "$(squish inspect "$two" | json '[0]["security"]["effective"]["uid_map"][0]["outside"]')"
    # What the user alone may read it cannot; with the user's ids it can.
    printf '[run]\ncommand = "/bin/cat"\nargs = ["/private/file"]\n[layers]\nprivate = { path = "./private", target = "/private" }\n' >read.toml
    id=$(squish create read.toml)
    squish wait "$id" || true
    assert_contains "$(squish logs "$id" 2>&1)" "Permission denied"
    printf '[security]\nids = "user"\n' >>read.toml
    id=$(squish create read.toml)
    squish wait "$id"
    assert_equal "$(squish logs "$id")" mine
    assert_equal "$(squish inspect "$id" | json '[0]["security"]["ids"]')" user
}

@test "ids: its root is root of all it makes, its streams can be opened again, and it has no other ids" {
    id=$(create_shell 'echo "HOME=$HOME"; touch /tmp/f; ls -ln /tmp/f; echo to-stdout >>/dev/stdout; echo to-stderr >>/dev/stderr; sleep 100')
    wait_for 5 eval "squish logs $id 2>&1 | grep -q to-stderr"
    run -0 squish logs "$id"
    assert_contains "$output" "HOME=/"
    assert_matches "$output" ' 0 +0 '
    assert_contains "$output" to-stdout
    assert_equal "$(stat -c %a "$XDG_RUNTIME_DIR/squish/containers/$id")" 700 # the logs in it: for nobody else
    assert_equal "$(squish exec "$id" sh -c 'id -u; echo again >/dev/stderr' 2>&1 | cat)" $'0\nagain'
    run -0 squish exec --user 1022:65534 "$id" id -u
    assert_equal "$output" 1022
    run --separate-stderr squish exec --user 5000 "$id" id
    assert_not_equal "$status" 0
    assert_contains "$stderr" "from 0 to 1022"
    assert_contains "$stderr" 'ids = "user"'
}

@test "ids: where they cannot be a container's own, inspect says why, and who insists is refused" {
    mkdir data && chmod 0777 data
    secret=$PWD/secret && mkdir -m 0700 secret
    while IFS='|' read -r lines why; do
        squishfile ids.toml <<<$'[run]\ncommand = "/bin/sleep"\nargs = ["100"]\n'"$(printf '%b' "$lines")"
        id=$(squish create ids.toml)
        assert_equal "$(squish inspect "$id" | json '[0]["security"]["ids"]')" user
        assert_contains "$(squish inspect "$id" | json '[0]["security"]["ids_reason"]')" "$why"
        assert_equal "$(awk '/^Uid:/ { print $2 }' "/proc/$(squish inspect "$id" | json '[0]["pid"]')/status")" "$(id -u)"
        squish kill "$id"
        printf '[security]\nids = "own"\n' >>ids.toml
        run --separate-stderr squish create ids.toml
        assert_not_equal "$status" 0
        assert_contains "$stderr" "ids = \"own\" cannot be had: "
        assert_contains "$stderr" "$why"
    done <<TABLE
user = "1000"|[run] user is given
[layers]\\ndata = { path = "./data", target = "/data", rw = true }|layer 'data' is mounted rw
[layers]\\nsecret = { path = "./secret", target = "/secret" }|'$secret' cannot be read by everybody
TABLE
}

@test "inspect shows what isolates a container" {
    id=$(create_testbin sleep 100)
    squish inspect "$id" >inspect.json
    effective() { json "[0][\"security\"][\"effective\"]$1" <inspect.json; }
    pid=$(effective '["payload_pid"]')
    assert_equal "user:[$(effective '["namespaces"]["user"]')]" "$(readlink "/proc/$pid/ns/user")"
    assert_equal "$(effective '["uid_map"]')" "$(outside_ids "$pid" uid_map)"
    for set in inheritable permitted effective bounding ambient; do
        assert_equal "$(effective "[\"capabilities\"][\"$set\"]")" "[]"
    done
    assert_equal "$(effective '["seccomp_mode"]')" 2
    assert_equal "$(effective '["no_new_privileges"]')" true
    assert_equal "$(effective '["limits"]["core file size"]["hard"]')" 0
    assert_contains "$(effective '["masked_paths"]')" /proc/keys
    assert_contains "$(effective '["read_only_paths"]')" /proc/sys
    assert_equal "$(python3 -c '
import json
mounts = json.load(open("inspect.json"))[0]["security"]["effective"]["mounts"]
print([m["target"] for m in mounts if "nosuid" not in m["options"] or m["propagation"] != "private"])')" "[]"
    squish kill "$id"
    squish wait "$id" || true
    assert_equal "$(squish inspect "$id" | json '[0]["security"]["effective"]')" null
}
