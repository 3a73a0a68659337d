# Races: what a squishfile names is exchanged for something else, thousands of times a second, while containers start.
# Each race is also run against somebody who looks at a path first and uses it then, and must win there.
# shellcheck disable=SC2154 # $output, $stderr and $status come from bats
load helpers
load attacks

# starts N FILE: so many starts of FILE, the output of each that came up in started.log, and the errors in refused.log.
starts() {
    local count=$1 turn
    : >started.log
    : >refused.log
    for ((turn = 0; turn < count; turn++)); do
        run --separate-stderr squish run --rm "$2"
        case $status in
            0) printf '%s\n' "$output" >>started.log ;;
            2 | 125 | 126 | 127) printf '%s\n' "$stderr" >>refused.log ;;
            *) fail "status $status: $output $stderr" ;;
        esac
    done
}

# settled FOLDER LINK: each under its own name again.
settled() {
    [ -L "$1" ] || return 0
    mv -T "$2" aside && mv -T "$1" "$2" && mv -T aside "$1"
}

@test "a source that is exchanged: what was opened is what is mounted, read-only" {
    mkdir mine other && echo mine >mine/file && echo other >other/file
    ln -s other link
    shell_file source.toml '(echo x >/m/file) 2>/dev/null && echo written; (: >/m/new) 2>/dev/null && echo made; cat /m/file' \
        $'[layers]\nm = { path = "./mine", target = "/m" }'
    swapping mine link
    starts 25 source.toml
    # Who looks first and opens then is led where a link was refused.
    run -0 timeout 60 /usr/bin/python3 -c '
import os
while True:
    try:
        if not os.path.islink("mine") and open("mine/file").read() == "other\n":
            break
    except OSError:
        pass'
    swapping_ends
    settled mine link
    assert_equal "$(sort -u started.log)" $'mine\nother' # the race was there, and each was one or the other
    assert_equal "$(cat refused.log)" ""
    assert_equal "$(cat mine/file other/file | sort)" $'mine\nother'
    assert_equal "$(ls mine other)" $'mine:\nfile\n\nother:\nfile'
}

@test "a source that is now a folder, now a file, now a link to what only squish holds" {
    mkdir folder && echo inside >folder/file && echo text >file
    shell_file kind.toml 'if [ -d /m ]; then cat /m/file; else cat /m; fi; (: >/m/new) 2>/dev/null && echo made; true' \
        $'[layers]\nm = { path = "./folder", target = "/m" }'
    swapping folder file
    starts 15 kind.toml
    swapping_ends
    assert_equal "$(sort -u started.log)" $'inside\ntext'
    rm -rf folder file && mkdir folder && echo inside >folder/file
    for to in /proc/self/root /proc/self/cwd /proc/self/fd/3 /proc/self/fd/4 /proc/self/fd/5; do
        rm -f link && ln -s "$to" link
        swapping folder link
        starts 6 kind.toml
        swapping_ends
        [ ! -s started.log ] || assert_equal "$(sort -u started.log)" inside
        settled folder link
    done
    # At rest they are refused, as a source and as a rootfs, and the message says what it is about.
    for to in /proc/self/root /proc/self/cwd /proc/self/fd/3 /proc/thread-self/root; do
        rm -f link && ln -s "$to" link
        for layer in "path = \"./link\", target = \"/m\"" "path = \"$to\", target = \"/m\"" "path = \"./link\", rootfs = true"; do
            shell_file kind.toml true "[layers]"$'\n'"m = { $layer }"
            run --separate-stderr squish run --rm kind.toml
            [ "$status" -eq 125 ] || [ "$status" -eq 2 ] || fail "'$layer' of $to: status $status: $output"
            assert_message /
        done
        [ -e link ] # for whoever looks, the link leads somewhere
    done
}

@test "a target in a rootfs that is exchanged for a link out of it" {
    make_rootfs root
    mkdir outside root/target
    echo mine >mine
    shell_file target.toml 'cat /target/sub/mine 2>/dev/null || find / -xdev -name mine 2>/dev/null' \
        $'[layers]\nroot = { path = "./root", rootfs = true }\nmine = { path = "./mine", target = "/target/sub/mine" }'
    up=$(printf '../%.0s' $(seq 1 40))
    for to in "$DIR/outside" "$up${DIR#/}/outside" /proc/self/root /proc/1/root; do
        rm -rf root/link && ln -s "$to" root/link
        swapping root/target root/link
        starts 10 target.toml
        swapping_ends
        settled root/target root/link
        assert_equal "$(ls -A outside)" ""
        assert_equal "$(ls -A root/target)" ""
        echo "# $to: $(sort started.log | uniq -c) refused $(wc -l <refused.log)"
        [ -s started.log ] || fail "none started: $(cat refused.log)"
    done
    # Who makes the path by its name, as `mkdir -p` does, is soon outside.
    rm -rf root/link && ln -s "$DIR/outside" root/link
    swapping root/target root/link
    wait_for 20 eval 'mkdir -p root/target/sub/$RANDOM; [ -n "$(ls -A outside)" ]'
    swapping_ends
}

@test "/proc, /sys, /dev and /tmp of a rootfs, exchanged for links to one another and out" {
    make_rootfs root
    mkdir outside root/{proc,sys,dev,tmp} root/dev/real
    layer=$'[layers]\nroot = { path = "./root", rootfs = true }\napp = "@TESTBIN@"'
    # shellcheck disable=SC2016 # for the shell in the container
    shell_file own.toml 'stat -f -c %T /proc /sys /dev | tr "\n" " "
/app/testbin attack identify /dev/null /dev/zero | tr "\n" " "
/app/testbin attack write /proc/sys/kernel/core_pattern /proc/sysrq-trigger /sys/class/net/lo/mtu | tr "\n" " "
/app/testbin attack read /proc/keys /proc/kcore | tr "\n" " "; echo' "$layer"
    expected=$(in_shell true >/dev/null; squish run --rm own.toml)
    assert_contains "$expected" "/dev/null device 1:3 /dev/zero device 1:5"
    assert_lacks "$expected" " ok"
    for one in proc sys dev tmp; do
        for to in "$DIR/outside" /tmp /proc /; do
            rm -rf root/link && ln -s "$to" root/link
            swapping "root/$one" root/link
            starts 4 own.toml
            swapping_ends
            settled "root/$one" root/link
            [ ! -s started.log ] || assert_equal "$(sort -u started.log)" "$expected"
            assert_equal "$(ls -A outside)" ""
        done
    done
    starts 1 own.toml
    assert_equal "$(cat started.log)" "$expected"
}

@test "devices that a layer brings are covered, and nothing is bound from it" {
    make_rootfs root
    mkdir -p root/dev/pts root/proc root/sys root/tmp
    ln -s /proc/sys/kernel/core_pattern root/dev/null
    ln -s /proc/self/mem root/dev/zero
    echo text >root/dev/urandom
    ln -s /proc root/dev/shm
    ln -s "$DIR" root/dev/mqueue
    layer=$'[layers]\nroot = { path = "./root", rootfs = true }\napp = "@TESTBIN@"'
    run -0 --separate-stderr in_shell '/app/testbin attack identify /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty /dev/shm /dev/mqueue
(echo evil >/dev/null) 2>&1; cat /dev/shm/* 2>/dev/null; wc -c </proc/keys; wc -c </proc/interrupts; (echo x >/proc/keys) 2>&1; true' "$layer"
    assert_equal "$(printf '%s\n' "${lines[@]:0:8}")" "/dev/null device 1:3
/dev/zero device 1:5
/dev/full device 1:7
/dev/random device 1:8
/dev/urandom device 1:9
/dev/tty device 5:0
/dev/shm folder 0:0
/dev/mqueue folder 0:0"
    assert_equal "${lines[8]} ${lines[9]}" "0 0"
    assert_contains "${lines[10]}" "Read-only file system"
    # Who covers a path with the null device of the layer shows what that leads to (CVE-2025-31133).
    ln -sf "$DIR/secret" root/dev/null && echo secret >secret && echo covered >path
    run -0 in_namespaces sh -c 'mount --bind root/dev/null path && cat path'
    assert_equal "$output" secret
}

@test "a rootfs whose /proc is a link, or a file" {
    for kind in 'ln -s /tmp' 'ln -s ../../../../../../tmp' "ln -s $DIR/outside" 'ln -s proc' 'cp /etc/hostname'; do
        rm -rf root outside && make_rootfs root && mkdir root/tmp outside
        $kind root/proc
        run --separate-stderr in_shell 'stat -f -c %T /proc; cat /proc/1/comm; wc -c </proc/keys; (echo 1 >/proc/sys/kernel/panic) 2>/dev/null || echo refused; ls -A /tmp' \
            $'[layers]\nroot = { path = "./root", rootfs = true }'
        # Either /proc is what it should be, or nothing starts.
        if [ "$status" -eq 0 ]; then
            assert_equal "$output" $'proc\nsquish-init\n0\nrefused'
        else
            [ "$status" -eq 125 ] || [ "$status" -eq 2 ] || fail "status $status"
            assert_message /proc
        fi
        assert_equal "$(ls -A outside)" ""
    done
}
