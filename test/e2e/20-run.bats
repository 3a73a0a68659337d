# `squish run`: what goes in, what comes out, and what the payload finds around it.
load helpers

# --- exit codes --------------------------------------------------------------------------------------------------

@test "the exit code is the payload's own" {
    for code in 0 1 7 125 126 127 255; do
        testbin_file exit.toml exit "$code"
        run "-$code" squish run --rm exit.toml
        assert_equal "$output" ""
    done
}

@test "a payload that signal N ended gives 128+N" {
    for number in 1 2 6 9 11 13 15 31; do
        testbin_file raise.toml raise "$number"
        run squish run --rm raise.toml
        assert_status $((128 + number))
    done
}

@test "125: what cannot be started says why, and nothing is left" {
    shell_file here.toml 'true' '[layers]
missing = { path = "./is-not-there", target = "/x" }'
    run --separate-stderr squish run here.toml
    [ "$status" -eq 125 ] || [ "$status" -eq 2 ] || fail "status $status"
    assert_contains "$stderr" is-not-there

    squishfile <<'TOML'
[run]
command = "/bin/true"
workdir = "/no/such/folder"
TOML
    run --separate-stderr squish run squishfile.toml
    assert_status 125
    assert_message "/no/such/folder"
    assert_no_container
}

@test "126: the command is not executable" {
    echo "just text" >text && chmod 0644 text
    squishfile text.toml <<'TOML'
[layers]
text = { path = "./text", target = "/text" }
[run]
command = "/text"
TOML
    run --separate-stderr squish run text.toml
    assert_status 126
    assert_message "'/text'"

    chmod 0755 text # executable, but no program
    run --separate-stderr squish run text.toml
    assert_status 126
    assert_message "'/text'"

    squishfile folder.toml <<<$'[run]\ncommand = "/etc"'
    run --separate-stderr squish run folder.toml
    assert_status 126
    assert_message "'/etc'"
    assert_no_container
}

@test "127: the command is not found" {
    squishfile path.toml <<<$'[run]\ncommand = "/bin/no-such-thing"'
    run -127 --separate-stderr squish run path.toml
    assert_message "'/bin/no-such-thing'"

    squishfile name.toml <<<$'[run]\ncommand = "no-such-thing"'
    run -127 --separate-stderr squish run name.toml
    assert_message "'no-such-thing'"

    printf '#!/no/interpreter\n' >script && chmod 0755 script
    squishfile script.toml <<<$'[layers]\napp = "./script"'
    run -127 --separate-stderr squish run script.toml
    assert_message interpreter
    assert_no_container
}

@test "2: a mistake on the command line or in the squishfile" {
    testbin_file true.toml true
    run --separate-stderr squish run --no-such-option true.toml
    assert_status 2
    assert_message no-such-option
    run --separate-stderr squish run
    assert_status 2
    run --separate-stderr squish no-such-command
    assert_status 2
    assert_message no-such-command
    run --separate-stderr squish run not-there.toml
    assert_status 2
    assert_message not-there.toml
    run --separate-stderr squish run --publish 1:2:3:4:x true.toml
    assert_status 2
    run --separate-stderr squish run --name 'a/b' true.toml
    assert_status 2
    printf '[run]\ncomand = "/bin/true"\n' >typo.toml
    run --separate-stderr squish run typo.toml
    assert_status 2
    assert_contains "$stderr" "typo.toml:2"
    assert_contains "$stderr" "command"
    assert_no_container
}

@test "what the payload leaves running ends with it" {
    begin=$(now_ms)
    run -3 in_shell 'sleep 1000 & (sleep 1000 &) ; exit 3'
    [ $(($(now_ms) - begin)) -lt 5000 ] || fail "it took $(($(now_ms) - begin)) ms"
    assert_no_container
}

# --- stdin, stdout, stderr -------------------------------------------------------------------------------------------

@test "stdin arrives with -i only" {
    testbin_file stdin.toml stdin
    assert_equal "$(echo hi | squish run --rm -i stdin.toml)" hi
    assert_equal "$(echo hi | squish run --rm stdin.toml)" ""
    # Without -i ours is not touched: what comes after it in a script can still read it.
    assert_equal "$(echo hi | { squish run --rm stdin.toml && cat; })" hi
}

@test "run -i works in a pipeline" {
    testbin_file stdin.toml stdin
    assert_equal "$(echo hi | squish run --rm -i stdin.toml | tr a-z A-Z)" HI
    head -c 20000000 /dev/urandom >big
    squish run --rm -i stdin.toml <big | cmp - big

    # Three of them in one line, all at once.
    assert_equal "$(squish run --rm -i stdin.toml <big | squish run --rm -i stdin.toml | squish run --rm -i stdin.toml | sha256sum)" \
        "$(sha256sum <big)"
}

@test "a reader that goes away ends the payload with SIGPIPE" {
    testbin_file flood.toml flood 100000000
    squish run --rm flood.toml | head -c 10 >/dev/null && codes=("${PIPESTATUS[@]}") || codes=("${PIPESTATUS[@]}")
    assert_equal "${codes[0]}" 141
}

@test "stdout and stderr stay apart, to the byte" {
    head -c 1048576 /dev/urandom >out
    head -c 1048576 /dev/urandom >err
    shell_file both.toml 'cat /in/out & cat /in/err >&2; wait; exit 5' '[layers]
out = { path = "./out", target = "/in/out" }
err = { path = "./err", target = "/in/err" }'
    code=0
    squish run --rm both.toml >out.got 2>err.got || code=$?
    assert_equal "$code" 5
    cmp out out.got
    cmp err err.got
}

@test "the payload's descriptors are the caller's own: a file is a file" {
    testbin_file fds.toml fds
    squish run --rm fds.toml >listed
    assert_contains "$(cat listed)" "1 "
    # It writes where our offset stands, and ours moves on.
    { echo first && squish run --rm fds.toml && echo last; } >mixed
    assert_equal "$(head -n 1 mixed)" first
    assert_equal "$(tail -n 1 mixed)" last
    assert_equal "$(wc -l <mixed)" 5
}

@test "the payload holds 0, 1 and 2, and nothing else" {
    testbin_file fds.toml fds
    squish run --rm fds.toml >run.out 3</etc/passwd 9>other
    assert_equal "$(cut -d' ' -f1 run.out | tr '\n' ' ')" "0 1 2 "
    squish run --rm -i fds.toml <run.out >run-i.out
    assert_equal "$(cut -d' ' -f1 run-i.out | tr '\n' ' ')" "0 1 2 "
    id=$(squish create fds.toml)
    squish wait "$id"
    assert_equal "$(squish logs "$id" | cut -d' ' -f1 | tr '\n' ' ')" "0 1 2 "
    testbin_file sleep.toml sleep 100
    id=$(squish create sleep.toml)
    assert_equal "$(squish exec "$id" /app/testbin fds | cut -d' ' -f1 | tr '\n' ' ')" "0 1 2 "
}

# --- what the squishfile says ----------------------------------------------------------------------------------------

@test "the environment is made from nothing" {
    testbin_file env.toml env
    # shellcheck disable=SC2030,SC2031
    names=$(export LEAK=1 LD_PRELOAD='' LC_ALL=C SHELL=/bin/zsh && squish run --rm env.toml | cut -d= -f1 | sort | tr '\n' ' ')
    assert_equal "$names" "HOME HOSTNAME PATH container "
    # --env NAME passes ours on, where there is one.
    export MINE=yes
    run -0 squish run --rm --env MINE --env NOT_SET_ANYWHERE env.toml
    assert_contains $'\n'"$output"$'\n' $'\nMINE=yes\n'
    assert_lacks "$output" NOT_SET_ANYWHERE
}

@test "arguments arrive as they are" {
    squishfile <<'TOML'
[layers]
app = "@TESTBIN@"
[run]
command = "/app/testbin"
args = ["args", "two words", "", "--flag=x", "ünïcode ✓", "new\nline", "$HOME *"]
TOML
    squish run --rm squishfile.toml >got
    printf '[%s]\n' "two words" "" --flag=x "ünïcode ✓" $'new\nline' '$HOME *' | cmp - got
}

@test "what stands behind -- takes the place of the arguments" {
    testbin_file args.toml args from the file
    assert_equal "$(squish run --rm args.toml -- args --rm -t "a b" --)" $'[--rm]\n[-t]\n[a b]\n[--]'
    assert_equal "$(squish run --rm args.toml)" $'[from]\n[the]\n[file]'
    run squish run --rm args.toml -- exit 9
    assert_status 9
    run squish run --rm args.toml -- # none at all: testbin wants some
    assert_status 2
}

@test "large arguments and environments arrive" {
    long=$(head -c 60000 /dev/zero | tr '\0' x)
    testbin_file args.toml args
    assert_equal "$(squish run --rm args.toml -- args "$long" "$long" | wc -c)" 120006
    testbin_file env.toml env BIG
    assert_equal "$(squish run --rm --env BIG="$long" env.toml)" "$long"
}

@test "the working folder" {
    mkdir -p folder
    assert_equal "$(in_shell pwd)" /
    squishfile <<'TOML'
[layers]
folder = { path = "./folder", target = "/work/here" }
[run]
command = "/bin/pwd"
workdir = "/work/here"
TOML
    assert_equal "$(squish run --rm squishfile.toml)" /work/here
}

@test "the user, without any group of ours" {
    squishfile <<'TOML'
[run]
command = "/bin/sh"
args = ["-c", "grep -E '^(Uid|Gid|Groups):' /proc/self/status; echo $HOME"]
user = "1000:2000"
TOML
    run -0 squish run --rm squishfile.toml
    assert_equal "$(tr '\t' ' ' <<<"${lines[0]}")" "Uid: 1000 1000 1000 1000"
    assert_equal "$(tr '\t' ' ' <<<"${lines[1]}")" "Gid: 2000 2000 2000 2000"
    assert_equal "$(tr -d '\t ' <<<"${lines[2]}")" "Groups:"

    testbin_file ids.toml ids
    assert_equal "$(squish run --rm ids.toml)" 0:0
    sed 's|^\[run\]|&\nuser = "1234"|' ids.toml >user.toml
    assert_equal "$(squish run --rm user.toml)" 1234:1234
    assert_equal "$(in_shell "grep ^Groups: /proc/self/status" | tr -d '\t ')" "Groups:"
}

@test "who the payload is outside" {
    mkdir shared && chmod 0777 shared
    # Root inside is the caller outside; another user inside is one of the caller's range.
    shell_file root.toml 'echo x >/shared/by-root' '[layers]
shared = { path = "./shared", target = "/shared", rw = true }'
    squish run --rm root.toml
    assert_equal "$(stat -c %u shared/by-root)" "$(id -u)"
    sed 's|^\[run\]|&\nuser = "1000"|; s|by-root|by-1000|' root.toml >user.toml
    squish run --rm user.toml
    first=$(awk -F: -v me="$(id -un)" '$1 == me { print $2; exit }' /etc/subuid)
    assert_equal "$(stat -c %u shared/by-1000)" $((first + 999))

    testbin_file users.toml sleep 100
    printf '[security]\nids = "user"\n' >>users.toml
    id=$(squish create users.toml)
    pid=$(squish inspect "$id" | json '[0]["pid"]')
    read -r inside outside count <"/proc/$pid/uid_map"
    assert_equal "$inside $outside $count" "0 $(id -u) 1"
    read -r inside outside count <"/proc/$pid/gid_map"
    assert_equal "$inside $outside $count" "0 $(id -g) 1"
    # Else root inside is somebody of the caller's range, other than the low ids that `user` names as a rule.
    pid=$(squish inspect "$(create_testbin sleep 100)" | json '[0]["pid"]')
    read -r inside outside count <"/proc/$pid/uid_map"
    assert_equal "$inside $count" "0 1023"
    [ "$outside" -ge $((first + 2047)) ] && [ "$outside" -lt $((first + 65536)) ] || fail "$outside"
}

@test "--name names it, and a name is taken once" {
    testbin_file sleep.toml sleep 100
    id=$(squish create --name first sleep.toml)
    assert_contains "$(squish ps)" first
    assert_equal "$(squish exec first /bin/hostname)" first

    run --separate-stderr squish run --name first sleep.toml
    assert_status 125
    assert_message "'first'"
    assert_contains "$stderr" "$id"
    assert_equal "$(squish ps -aq)" "$id"

    # The squishfile's own name loses against it; a name is free once its container is removed.
    printf 'name = "from-the-file"\n' | cat - sleep.toml >named.toml
    other=$(squish create named.toml)
    assert_contains "$(squish ps)" from-the-file
    third=$(squish create --name third named.toml)
    assert_equal "$(squish exec third hostname)" third
    squish rm -f "$id" "$other" "$third"
    id=$(squish create --name first sleep.toml)
    assert_full_id "$id"
}

@test "--publish publishes" {
    port=$(free_port)
    testbin_file http.toml http 2000 "via the option"
    squish create --publish "$port:2000" http.toml
    assert_equal "$(fetch "http://127.0.0.1:$port/")" "via the option"
    other=$(free_port)
    squish create --publish "127.0.0.2:$other:2000" http.toml
    assert_equal "$(fetch "http://127.0.0.2:$other/")" "via the option"
    run ! curl -fsS --max-time 2 "http://127.0.0.1:$other/"
}

@test "without [run]: the one executable of app" {
    squishfile <<<$'[layers]\napp = "@TESTBIN@"'
    run --separate-stderr squish run --rm squishfile.toml
    assert_status 2
    assert_contains "$stderr" "usage: testbin"
    assert_equal "$(squish run --rm squishfile.toml -- args a)" "[a]"

    mkdir tree && cp "$E2E_TESTBIN" tree/main && echo data >tree/readme
    squishfile tree.toml <<<$'[layers]\napp = "./tree"'
    assert_equal "$(squish run --rm tree.toml -- args b)" "[b]"

    cp "$E2E_TESTBIN" tree/second
    run --separate-stderr squish run --rm tree.toml
    [ "$status" -eq 2 ] || [ "$status" -eq 125 ] || fail "status $status"
    assert_contains "$stderr" second
    assert_no_container
}

@test "a folder with a squishfile.toml serves as a squishfile" {
    mkdir -p place
    echo inside >place/file
    squishfile place/squishfile.toml <<'TOML'
[layers]
file = { path = "./file", target = "/file" }
[run]
command = "/bin/cat"
args = ["/file"]
TOML
    assert_equal "$(squish run --rm place)" inside
    assert_equal "$(squish run --rm place/)" inside
    assert_equal "$(squish run --rm place/squishfile.toml)" inside
    assert_equal "$(cd place && squish run --rm .)" inside
    run -0 squish validate place
    assert_equal "$output" ok
}

@test "relative paths are those of the squishfile, else of the caller" {
    mkdir -p place elsewhere
    echo beside >place/file
    squishfile place/squishfile.toml <<'TOML'
[layers]
file = { path = "./file", target = "/file" }
[run]
command = "/bin/cat"
args = ["/file"]
TOML
    cd elsewhere
    assert_equal "$(squish run --rm ../place)" beside
    echo caller >file
    assert_equal "$(squish run --rm ../place)" beside
    rm ../place/file
    assert_equal "$(squish run --rm ../place)" caller
    rm file
    run --separate-stderr squish run --rm ../place
    [ "$status" -eq 2 ] || [ "$status" -eq 125 ] || fail "status $status"
    assert_contains "$stderr" file
}

@test "without --rm the container stays, with its exit code" {
    testbin_file exit.toml exit 3
    run squish run --name kept exit.toml
    assert_status 3
    assert_equal "$(squish ps -q)" ""
    assert_equal "$(squish inspect kept | json '[0]["exit"]["code"]')" 3
    run squish wait kept
    assert_status 3
    squish rm kept
    run -3 squish run --rm exit.toml
    assert_no_container
}

# --- what the payload finds ------------------------------------------------------------------------------------------

@test "the rootfs and the layers are read-only" {
    mkdir layer && echo x >layer/file
    run -0 in_shell 'for path in /new /etc/new /bin/new /usr/new /dev/new /l/new /l/file /etc/hosts /etc/resolv.conf /etc/hostname; do
        (echo x >$path) 2>/dev/null && echo "could write $path"
    done
    rm -f /bin/ls /l/file 2>/dev/null; ls -d /bin/ls /l/file
    mount -o remount,rw / 2>/dev/null && echo remounted
    mount -o remount,rw,bind /l 2>/dev/null && echo remounted /l
    umount /l 2>/dev/null && echo unmounted
    mount -t tmpfs none /mnt 2>/dev/null && echo mounted
    mknod /tmp/null c 1 3 2>/dev/null && echo made a device
    true' '[layers]
l = { path = "./layer", target = "/l" }'
    assert_equal "$output" $'/bin/ls\n/l/file'
    assert_equal "$(cat layer/file)" x
}

@test "/tmp is writable, everybody's, and private" {
    run -0 in_shell 'stat -c %a /tmp; ls -A /tmp; echo 1 >/tmp/a && mkdir /tmp/b && echo 2 >/tmp/b/c && cat /tmp/a /tmp/b/c'
    assert_equal "$output" $'1777\n1\n2'
    first=$(create_shell 'echo secret >/tmp/mine; sleep 100')
    wait_for 5 squish exec "$first" /bin/cat /tmp/mine
    assert_equal "$(in_shell 'ls -A /tmp')" ""
    [ ! -e /tmp/mine ]
}

@test "/dev holds what it should, with the right numbers" {
    run -0 in_shell 'cd /dev
    for name in null zero full random urandom tty; do echo $name $(stat -c "%F %t:%T" $name); done
    echo a >null && head -c 3 zero | wc -c && head -c 5 urandom | wc -c && (echo x >full) 2>/dev/null || echo full is full
    stat -c "%F %a" shm pts
    echo x >shm/file && cat shm/file
    ls'
    assert_equal "${lines[0]}" "null character special file 1:3"
    assert_equal "${lines[1]}" "zero character special file 1:5"
    assert_equal "${lines[2]}" "full character special file 1:7"
    assert_equal "${lines[3]}" "random character special file 1:8"
    assert_equal "${lines[4]}" "urandom character special file 1:9"
    assert_equal "${lines[5]}" "tty character special file 5:0"
    assert_equal "${lines[6]} ${lines[7]} ${lines[8]}" "3 5 full is full"
    assert_matches "${lines[9]}" "^directory 1777$"
    assert_matches "${lines[10]}" "^directory "
    assert_equal "${lines[11]}" x
    # And nothing of the host's.
    assert_equal "$(printf '%s\n' "${lines[@]:12}" | sort | tr '\n' ' ')" \
        "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero "
}

@test "/proc shows the container's own processes" {
    run -0 in_shell 'echo /proc/[0-9]*; cat /proc/1/comm /proc/self/comm'
    read -ra found <<<"${lines[0]}"
    [ ${#found[@]} -le 3 ] || fail "${lines[0]}"
    assert_equal "${found[0]} ${found[1]}" "/proc/1 /proc/2"
    assert_equal "${lines[1]}" squish-init
    run in_shell "test -e /proc/$$"
    [ "$status" -eq 1 ] || [ "$$" -le 10 ]
    # What is everybody's cannot be changed through it.
    run in_shell 'echo 1 >/proc/sys/kernel/panic_on_oops'
    assert_not_equal "$status" 0
    run in_shell 'echo h >/proc/sysrq-trigger'
    assert_not_equal "$status" 0
}

@test "/sys is read-only and of the container's own network" {
    run -0 in_shell 'grep " /sys " /proc/self/mounts; ls /sys/class/net | tr "\n" " "; (echo 1500 >/sys/class/net/lo/mtu) 2>/dev/null && echo written; true'
    assert_matches "${lines[0]}" ' /sys sysfs ro,'
    assert_equal "${lines[1]}" "eth0 lo "
    assert_equal "${#lines[@]}" 2
}

@test "the host name" {
    shell_file name.toml 'hostname; cat /etc/hostname; ping -c 1 -w 2 "$(hostname)" >/dev/null 2>&1; grep -c "$(hostname)" /etc/hosts; uname -n'
    run -0 squish run --rm --name some-name name.toml
    assert_equal "$output" $'some-name\nsome-name\n1\nsome-name'
    assert_not_equal "$(hostname)" some-name
}

@test "PID 1 is squish's init, out of the payload's reach" {
    run -0 in_shell 'echo $$; cat /proc/1/comm
    kill -9 1; kill -STOP 1
    (cat /proc/1/environ; readlink /proc/1/fd/3; ls -A /proc/1/root/; readlink /proc/1/exe) 2>/dev/null | wc -c
    grep ^State /proc/1/status | cut -f2'
    assert_equal "${lines[0]}" 2
    assert_equal "${lines[1]}" squish-init
    assert_equal "${lines[2]}" 0
    assert_matches "${lines[3]}" '^[SR]'
}

@test "no capability in any of the five sets, and no new privileges" {
    check='grep -E "^(Cap|NoNewPrivs|Seccomp:)" /proc/self/status'
    want=$'CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1'
    run -0 in_shell "$check"
    assert_equal "$(printf '%s\n' "${lines[@]:0:6}")" "$want"
    shell_file user.toml "$check"
    sed -i 's|^\[run\]|&\nuser = "1000"|' user.toml
    run -0 squish run --rm user.toml
    assert_equal "$(printf '%s\n' "${lines[@]:0:6}")" "$want"
    id=$(create_testbin sleep 100)
    run -0 squish exec "$id" /bin/sh -c "$check"
    assert_equal "$(printf '%s\n' "${lines[@]:0:6}")" "$want"
    # A set-user-id program of a layer gives nothing, either.
    mkdir -p tools && cp "$E2E_TESTBIN" tools/testbin && chmod 4755 tools/testbin
    squishfile suid.toml <<'TOML'
[layers]
tools = { path = "./tools", target = "/tools" }
[run]
command = "/tools/testbin"
args = ["ids"]
user = "1000"
TOML
    assert_equal "$(squish run --rm suid.toml)" 1000:1000
}

@test "every namespace is its own" {
    script='for name in user mnt pid net uts ipc cgroup time; do readlink /proc/self/ns/$name; done'
    in_shell "$script" >one
    id=$(create_shell "$script; sleep 100")
    wait_for 5 eval "[ \$(squish logs $id | wc -l) -eq 8 ]"
    squish logs "$id" >two
    for name in user mnt pid net uts ipc cgroup time; do
        inside=$(grep "^$name:" one)
        [ -n "$inside" ] || fail "no namespace '$name'"
        assert_not_equal "$inside" "$(readlink "/proc/self/ns/$name")"
    done
    # ... and no other container's. A network namespace may be used again by the next one, never by two at once.
    in_shell "$script" >three
    assert_equal "$(sort two three | uniq -d)" ""
    # exec enters all of them.
    assert_equal "$(squish exec "$id" /bin/sh -c "$script")" "$(cat two)"
}

@test "the clock of the container starts with it" {
    run -0 in_shell 'cut -d. -f1 /proc/uptime'
    [ "$output" -lt 5 ] || fail "an uptime of $output s"
    host=$(cut -d. -f1 /proc/uptime)
    [ "$host" -ge 5 ]
}

@test "nothing of the caller's state leaks: umask, limits, signals, session" {
    (
        umask 0077
        trap '' TERM INT HUP
        ulimit -S -n 77
        ulimit -S -s 4096
        ulimit -S -d 1000000
        shell_file leak.toml 'umask; ulimit -c; ulimit -n; ulimit -s; ulimit -d'
        squish run --rm leak.toml >shell.out
        testbin_file status.toml cat /proc/self/status
        squish run --rm status.toml >status.out
        testbin_file stat.toml cat /proc/self/stat
        squish run --rm stat.toml >stat.out
    )
    run -0 cat shell.out
    assert_equal "${lines[0]}" 0022
    assert_equal "${lines[1]}" 0
    assert_equal "${lines[2]}" 1024
    assert_equal "${lines[3]} ${lines[4]}" "8192 unlimited"
    assert_equal "$(awk '/^Sig(Blk|Ign|Cgt):/ { print $2 }' status.out | sort -u)" 0000000000000000
    assert_equal "$(awk '{ print $1, $5, $6 }' stat.out)" "2 2 2" # its own process group and session
}

@test "only the container's own mounts are there" {
    mkdir layer
    run -0 in_shell 'cut -d" " -f5,6 /proc/self/mountinfo' '[layers]
l = { path = "./layer", target = "/l" }'
    [ ${#lines[@]} -lt 45 ] || fail "$output"
    assert_lacks "$output" /stage
    assert_lacks "$output" "$DIR"
    for point in / /dev /dev/pts /dev/shm /l /proc /sys /tmp; do
        options=$(awk -v at="$point" '$1 == at { print $2 }' <<<"$output")
        assert_contains ",$options," ,nosuid,
        case $point in / | /l | /sys) assert_contains ",$options," ,ro, ;; esac
        case $point in / | /l | /sys | /proc | /tmp | /dev | /dev/shm) assert_contains ",$options," ,nodev, ;; esac
    done
    while read -r point options; do # not a single one may take what setuid bits offer
        assert_contains ",$options," ,nosuid,
    done <<<"$output"
    # None of them passes mounts on, to or from the host.
    run in_shell 'grep -E " (shared|master|propagate_from):" /proc/self/mountinfo'
    assert_equal "$output" ""
}

# --- mounts ----------------------------------------------------------------------------------------------------------

@test "files and folders, read-only and writable" {
    mkdir ro rw && echo ro >ro/file && echo rw >rw/file && echo one >one && echo two >two
    run -0 in_shell 'cat /m/ro/file /m/rw/file /m/one /m/two
    for path in /m/ro/file /m/ro/new /m/one; do (echo changed >$path) 2>/dev/null && echo "could write $path"; done
    echo changed >/m/rw/file; echo new >/m/rw/new; echo changed >/m/two; mkdir /m/rw/folder; cat /m/rw/file /m/rw/new /m/two' '[layers]
ro = { path = "./ro", target = "/m/ro" }
rw = { path = "./rw", target = "/m/rw", rw = true }
one = { path = "./one", target = "/m/one" }
two = { path = "./two", target = "/m/two", rw = true }'
    assert_equal "$output" $'ro\nrw\none\ntwo\nchanged\nnew\nchanged'
    assert_equal "$(cat ro/file one rw/file rw/new two)" $'ro\none\nchanged\nnew\nchanged'
    [ -d rw/folder ]
    [ ! -e ro/new ]
}

@test "a path without a target goes to /app, and files can stand side by side" {
    mkdir -p site/deep && echo page >site/deep/page && echo a >a.txt && echo b >b.txt
    run -0 in_shell 'cd /app && find . -type f | sort; cat site/deep/page' '[layers]
files = "./site"
a = "./a.txt"
b = "./b.txt"'
    assert_equal "$output" $'./a.txt\n./b.txt\n./site/deep/page\npage'
}

@test "mounts inside /tmp leave /tmp writable" {
    mkdir folder && echo f >folder/file && echo x >single
    run -0 in_shell 'cat /tmp/a/b/folder/file /tmp/a/single; echo y >/tmp/z; cat /tmp/z; (echo y >/tmp/a/single) 2>/dev/null || echo ro' '[layers]
folder = { path = "./folder", target = "/tmp/a/b/folder" }
single = { path = "./single", target = "/tmp/a/single" }'
    assert_equal "$output" $'f\nx\ny\nro'
}

@test "a path with every awkward character can be a layer" {
    mkdir 'a b:c,d=e"f\g ü' && echo strange >'a b:c,d=e"f\g ü/file'
    run -0 in_shell 'cat /s/file' "[layers]
s = { path = './a b:c,d=e\"f\\g ü', target = '/s' }"
    assert_equal "$output" strange
}

# A rootfs of our own in the folder $1, with busybox and its links.
make_rootfs() {
    mkdir -p "$1/bin" "$1/etc"
    cp "$E2E_PREFIX/share/squish/base/bin/busybox" "$1/bin/busybox"
    for name in sh cat ls stat echo readlink; do ln -s busybox "$1/bin/$name"; done
}
# Everything about it that a container could change (a read may change the time of access).
describe_tree() {
    (cd "$1" && find . -printf '%p %y %m %U %G %s %T@ %C@ %l\n' | sort && find . -type f -exec sha256sum {} + | sort)
}

@test "a folder as rootfs, whose missing mount points appear without being made" {
    make_rootfs root
    echo original >root/etc/keep
    echo one >one
    describe_tree root >before
    run -0 in_shell 'cat /etc/keep /very/deep/one /etc/one; ls -d /dev/null /proc/1 /sys/class /tmp; ls /; ls /etc' '[layers]
root = { path = "./root", rootfs = true }
one = { path = "./one", target = "/very/deep/one" }
two = { path = "./one", target = "/etc/one" }'
    assert_equal "$(printf '%s\n' "${lines[@]:0:7}")" $'original\none\none\n/dev/null\n/proc/1\n/sys/class\n/tmp'
    assert_equal "$(printf '%s\n' "${lines[@]:7}" | tr '\n' ' ')" \
        "bin dev etc proc sdk sys tmp very hostname hosts keep one resolv.conf "
    describe_tree root | diff before -
    # A second container with other points, at the same time as a third.
    run -0 in_shell 'ls /' $'[layers]\nroot = { path = "./root", rootfs = true }\none = { path = "./one", target = "/other" }'
    assert_contains "$output" other
    assert_lacks "$output" very
    describe_tree root | diff before -
}

@test "a rootfs that changes on the host is seen as it is" {
    make_rootfs root
    toml=$'[layers]\nroot = { path = "./root", rootfs = true }'
    echo first >root/etc/file
    assert_equal "$(in_shell 'cat /etc/file' "$toml")" first
    echo second >root/etc/file
    assert_equal "$(in_shell 'cat /etc/file' "$toml")" second
    rm root/etc/file && echo third >root/etc/new && mkdir root/tmp
    assert_equal "$(in_shell 'cat /etc/new; ls /etc' "$toml" | tr '\n' ' ')" "third hostname hosts new resolv.conf "
}

@test "a target that leads through a link of the rootfs stays inside it" {
    make_rootfs root
    mkdir -p outside root/real && echo host >outside/file && echo mine >mine
    up=$(printf '../%.0s' $(seq 1 40))
    ln -s "$DIR/outside" root/absolute
    ln -s "$up$DIR/outside" root/upwards
    ln -s /real root/inner
    ln -s "$DIR/outside/file" root/etc/hosts
    # Links of the rootfs that lead inside it are followed there ...
    run -0 in_shell 'cat /real/mine; readlink /inner' $'[layers]\nroot = { path = "./root", rootfs = true }\nmine = { path = "./mine", target = "/inner/mine" }'
    assert_equal "$output" $'mine\n/real'
    # ... and those that would lead out of it lead to a place inside: never to the host's.
    for through in absolute upwards; do
        run --separate-stderr in_shell "cat /$through/mine; ls '$DIR/outside' 2>/dev/null; true" $'[layers]\nroot = { path = "./root", rootfs = true }\nmine = { path = "./mine", target = "/'$through$'/mine" }'
        assert_status 0
        assert_equal "${lines[0]}" mine
        assert_lacks "$output" file
        assert_equal "$(ls outside)" file
        assert_equal "$(cat outside/file)" host
    done
}

@test "squish's own mount points cannot be hijacked by links of the rootfs" {
    make_rootfs root
    mkdir outside
    for name in dev proc sys tmp; do ln -s "$DIR/outside" "root/$name"; done
    run --separate-stderr in_shell 'echo x >/tmp/x && ls /dev/null && cat /proc/1/comm' $'[layers]\nroot = { path = "./root", rootfs = true }'
    assert_equal "$(ls -A outside)" ""
    # Either it is refused with a message that names the place, or everything is in its place.
    if [ "$status" -eq 0 ]; then assert_equal "$output" $'/dev/null\nsquish-init'; else assert_matches "$stderr" "/(dev|proc|sys|tmp)"; fi
    [ "$status" -eq 0 ] || [ "$status" -eq 125 ] || [ "$status" -eq 2 ] || fail "status $status"
}

@test "a rootfs that cannot be entered, or is a file, is refused by name" {
    echo x >file
    run --separate-stderr in_shell true $'[layers]\nroot = { path = "./file", rootfs = true }'
    [ "$status" -eq 125 ] || [ "$status" -eq 2 ] || fail "status $status: $stderr"
    assert_contains "$stderr" root
    assert_no_container
}
