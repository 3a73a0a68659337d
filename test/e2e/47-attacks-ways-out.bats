# Ways out of a container that the field has learned about, each tried as every kind of payload, and each shown open
# where nothing stands before it.
# shellcheck disable=SC2154 # $output, $stderr and $status come from bats
load helpers
load attacks

# then-read COMMAND…: what is typed into a terminal is read by whoever reads from it next.
make_then_read() {
    printf '#!/bin/bash\n"$@"\nread -r -t 0.3 line\necho "left=<$line>"\n' >then-read
    chmod 0755 then-read
}

@test "the caller's terminal is not typed into, nor taken over" {
    make_then_read
    while IFS=$'\t' read -r user security more; do
        attack_file attack.toml "$user" "$security"$'\n'"$more" terminal evil
        # Its stdin and stdout are the caller's own terminal.
        on_terminal ./then-read squish run --rm -i attack.toml <<'STEPS'
< take-over E
lacks ok
< left=<>
lacks evil
STEPS
        # It has a terminal of its own.
        on_terminal ./then-read squish run --rm -i -t attack.toml <<'STEPS'
< take-over E
< left=<>
STEPS
    done < <(every_payload)
    id=$(create_testbin sleep 100)
    on_terminal ./then-read squish exec "$id" /app/testbin attack terminal evil <<'STEPS'
< take-over E
lacks ok
< left=<>
lacks evil
STEPS
    # On the host, whoever has the terminal types into it, unless the kernel has forgotten how to (since Linux 6.2).
    if [ "$(cat /proc/sys/dev/tty/legacy_tiocsti 2>/dev/null || echo 1)" -eq 1 ]; then
        on_terminal ./then-read "$E2E_TESTBIN" attack terminal evil <<'STEPS'
< stdin ok
< stdout ok
< controlling ok
< left=<evil>
STEPS
    else
        on_terminal "$E2E_TESTBIN" attack terminal evil <<'STEPS'
< stdin EIO
STEPS
    fi
}

@test "a terminal of its own is all that an unconfined payload types into" {
    [ "$(cat /proc/sys/dev/tty/legacy_tiocsti 2>/dev/null || echo 1)" -eq 1 ] || return 0
    make_then_read
    attack_file attack.toml 0 'seccomp = "unconfined"' terminal evil
    on_terminal ./then-read squish run --rm -i -t attack.toml <<'STEPS'
< stdin ok
< controlling ok
< take-over E
< left=<>
STEPS
    # The filter is what refuses it otherwise.
    attack_file attack.toml 0 '' terminal evil
    on_terminal squish run --rm -i -t attack.toml <<'STEPS'
< stdin EPERM
< controlling EPERM
lacks ok
STEPS
}

@test "another's address: not taken, not announced, not sent from" {
    neighbour=$(create_testbin sleep 100)
    address=$(squish inspect "$neighbour" | json '[0]["address"]')
    attack_as_all 9 network eth0 "$address"
    attack_as_all 2 spoof "$address" "$(squish inspect "$neighbour" | json '[0]["address"]' | sed 's/[0-9]*$/1/')"
    attack_as_all 2 spoof 192.0.2.7 "$address"
    # With the capabilities over a network of one's own every one of them succeeds.
    # shellcheck disable=SC2016 # for the inner shell
    run -0 in_namespaces sh -c 'ip link add eth0 type veth peer name eth1 && ip link set eth0 up && ip link set eth1 up &&
        ip address add 10.9.9.1/24 dev eth0 && "$0" attack network eth0 10.9.9.8 && "$0" attack spoof 10.9.8.1 10.9.9.3' "$E2E_TESTBIN"
    assert_equal "$(grep -c ' ok$' <<<"$output")" 10 # all nine, and "transparent"
}

@test "another's address by IPv6, where binding to what is not one's own needs no privilege" {
    receiver=$(create_testbin sleep 100)
    to=$(squish exec "$receiver" ip -o -6 addr show dev eth0 scope global | awk '{ sub("/.*", "", $4); print $4; exit }')
    [ -n "$to" ]
    foreign=${to%:*}:99
    while IFS=$'\t' read -r user security more; do
        why=EPERM                                                 # the filter's
        [[ "$security$more" != *unconfined* ]] || why=ENETUNREACH # the namespace's rules'
        for source in "$foreign" 2001:db8::7; do
            attack_file attack.toml "$user" "$security"$'\n'"$more" spoof "$source" "$to"
            run -0 --separate-stderr squish run --rm attack.toml
            assert_equal "$output" "free $why"$'\ntransparent EPERM'
        done
    done < <(every_payload)
    # Without either it is sent.
    # shellcheck disable=SC2016 # for the inner shell
    run -0 in_namespaces sh -c 'ip link add eth0 type veth peer name eth1 && ip link set eth0 up && ip link set eth1 up &&
        ip address add 2001:db8:1::1/64 dev eth0 nodad && "$0" attack spoof 2001:db8::7 2001:db8:1::3' "$E2E_TESTBIN"
    assert_equal "${lines[0]}" 'free ok'
}

@test "control groups: nothing to write to, nothing to mount" {
    attack_as_all 8 cgroup
    run -0 in_namespaces "$E2E_TESTBIN" attack cgroup
    assert_contains "$output" "mount-2 ok"
    assert_contains "$output" "open-2 ok"
    assert_contains "$output" "namespace ok"
}

@test "a crash leaves no core, on the host or in the container" {
    mkdir data && chmod 0777 data
    EXTRA_LAYER='data = { path = "./data", target = "/data", rw = true }' EXTRA_RUN='workdir = "/data"' attack_as_all 2 core
    assert_equal "$(ls -A data)" ""
    # Without the limit there is one.
    [ "$(ulimit -H -c)" != 0 ] || fail "this account cannot have cores at all: nothing would be noticed"
    run -0 env -C data "$E2E_TESTBIN" attack core
    assert_contains "$output" "dumped ok"
    case $(cat /proc/sys/kernel/core_pattern) in
        core*) [ -n "$(ls -A data)" ] ;;
    esac
}

@test "set-id programs of layers change nobody's ids" {
    mkdir bin
    cp "$E2E_TESTBIN" bin/set && chmod 6755 bin/set && chmod 0755 bin
    EXTRA_LAYER='bin = { path = "./bin", target = "/bin2" }' attack_as_all 2 setid /bin2/set
    EXTRA_LAYER='bin = { path = "./bin", target = "/bin2", rw = true }' attack_as_all 2 setid /bin2/set
    # On the host, the very same file gives another user our id.
    run -0 unshare --map-root-user --map-auto setpriv --reuid 1000 --regid 1000 --clear-groups ./bin/set attack setid
    assert_equal "$output" $'user ok\ngroup ok'
}

@test "no descriptor of the caller's, of squishd's or of init's is inherited" {
    mkdir folder && echo secret >folder/file
    three() { awk '$1 > 2' <<<"$1"; }
    testbin_file fds.toml fds
    sleeper=$(create_testbin sleep 100)
    exec {folder}<folder {file}<folder/file {socket}<> <(:)
    run -0 --separate-stderr squish run --rm fds.toml
    assert_equal "$(three "$output")" ""
    run -0 --separate-stderr squish exec "$sleeper" /app/testbin fds
    assert_equal "$(three "$output")" ""
    run -0 squish exec "$sleeper" sh -c 'ls -l /proc/2/fd | grep -c -- "->"'
    assert_equal "$output" 3
    on_terminal squish exec -it "$sleeper" /app/testbin fds <<'STEPS'
< 0 /dev/pts/\d+\r\n1 /dev/pts/\d+\r\n2 /dev/pts/\d+\r\n
code 0
lacks (^|\n)[3-9]
STEPS
    # Those that are passed on purpose are seen: here by the host, there a published socket.
    run -0 "$E2E_TESTBIN" fds
    assert_contains "$output" "$folder $DIR/folder"
    exec {folder}<&- {file}<&- {socket}<&-
    testbin_file socket.toml fds
    printf '[[ports]]\ncontainer = 80\nhost = %d\nactivation = true\n' "$(free_port)" >>socket.toml
    run -0 --separate-stderr squish run --rm socket.toml
    assert_equal "$(three "$output" | wc -l)" 1
}

@test "no working folder leads outside, by descriptors least of all" {
    sleeper=$(create_testbin sleep 100)
    attack_as_all 2 outside
    for link in /proc/self/cwd /proc/1/cwd /proc/1/root $(seq -f '/proc/self/fd/%.0f' 3 20); do
        testbin_file cwd.toml attack outside
        sed -i "s|^\[run\]|&\nworkdir = \"$link\"|" cwd.toml
        run --separate-stderr squish run --rm cwd.toml
        if [ "$status" -eq 0 ]; then shut "$output" 2; fi
        run --separate-stderr squish exec -w "$link/../../../.." "$sleeper" /app/testbin attack outside
        if [ "$status" -eq 0 ]; then shut "$output" 2; fi
    done
    # A process that changed its root, with a descriptor from before, is outside.
    mkdir -p jail/tmp && cp "$E2E_TESTBIN" jail/testbin
    run -0 unshare --map-root-user /usr/bin/python3 -c '
import os
old = os.open("/", os.O_RDONLY)
os.set_inheritable(old, True)
os.chroot("jail")
os.fchdir(old)
os.execv("/testbin", ["testbin", "attack", "outside"])'
    assert_equal "$output" $'cwd ok\ndescriptor ok'
}

@test "init bears every signal of its payload" {
    attack_as_all 2 signals 1
    id=$(create_shell '/app/testbin sleep 100 & echo "victim $!"; while :; do sleep 1; done' $'[layers]\napp = "@TESTBIN@"')
    wait_for 5 eval "squish logs $id | grep -q victim"
    run -0 squish exec "$id" /app/testbin attack signals "$(squish logs "$id" | awk '/victim/ { print $2 }')"
    assert_contains "$output" "ended ok"
}
