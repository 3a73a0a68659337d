# Which system calls a container may make: the default, profiles of one's own, none at all; for `run` and `exec` alike.
# shellcheck disable=SC2016,SC2154 # scripts for the container; $stderr comes from bats
load helpers

DANGEROUS=(unshare clone clone-high clone3 setns mount umount open_tree fsopen alg alg-high packet vsock netfilter keyctl
    userfaultfd io_uring tiocsti i386 x32)

# call_file FILE TOML NAME…: makes these calls in a container that TOML says more about.
call_file() {
    local file=$1 toml=$2
    shift 2
    testbin_file "$file" call "$@"
    printf '%s\n' "$toml" >>"$file"
}

calls() { # TOML NAME…: and prints what became of them
    call_file calls.toml "$@" && squish run --rm calls.toml
}

# inspected ID KEY: a member of what inspect says of the filter
inspected() {
    squish inspect "$1" | python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["security"]["seccomp"][sys.argv[1]])' "$2"
}

@test "dangerous calls are refused, each in its way" {
    assert_equal "$(calls '' "${DANGEROUS[@]}")" "unshare EPERM
clone EPERM
clone-high EPERM
clone3 ENOSYS
setns EPERM
mount EPERM
umount EPERM
open_tree EPERM
fsopen EPERM
alg EAFNOSUPPORT
alg-high EAFNOSUPPORT
packet EAFNOSUPPORT
vsock EAFNOSUPPORT
netfilter EPROTONOSUPPORT
keyctl EPERM
userfaultfd EPERM
io_uring EPERM
tiocsti EPERM
i386 signal 31
x32 signal 31"
}

@test "the same calls show that nothing else shuts those doors" {
    run --separate-stderr calls $'[security]\nseccomp = "unconfined"' "${DANGEROUS[@]}"
    assert_status 0
    # Those that the rest of the isolation leaves open; behind the one to user namespaces stands another wall, a limit of 0.
    for open in "unshare ENOSPC" "clone ENOSPC" "clone-high ENOSPC" "netfilter ok" "userfaultfd ok"; do
        assert_contains "$output" "$open"
    done
    for other in "clone3 ENOSYS" "setns EPERM" "open_tree EPERM" "tiocsti EPERM" "i386 signal" "keyctl EPERM"; do
        assert_lacks "$output" "$other"
    done
}

@test "what ordinary programs do goes on" {
    assert_equal "$(calls '' fork route mkdir)" $'fork ok\nroute ok\nmkdir ok'
    assert_equal "$(in_shell 'echo a b | tr a-z A-Z | (read x; echo "$x"); mkdir /tmp/d && ls -d /tmp/d; id -u')" \
        $'A B\n/tmp/d\n0'
}

@test "the payload cannot leave: its filter is there, beside the one that has sysinfo answered" {
    status_lines=$(in_shell 'grep -E "^(Seccomp|Seccomp_filters|NoNewPrivs):" /proc/self/status')
    assert_equal "$(tr -d '\t' <<<"$status_lines")" $'NoNewPrivs:1\nSeccomp:2\nSeccomp_filters:2'
}

@test "exec gets the container's filter, with and without a terminal, and after a restart of squishd" {
    cp "$E2E_TESTBIN" payload
    squishfile <<'TOML'
[layers]
tool = { path = "./payload", target = "/tool" }
[run]
command = "/tool"
args = ["sleep", "60"]
TOML
    id=$(squish create squishfile.toml)
    digest=$(inspected "$id" digest)
    assert_matches "$digest" '^[0-9a-f]{64}$'
    want=$'unshare EPERM\nalg EAFNOSUPPORT\nfork ok'
    assert_equal "$(squish exec "$id" /tool call unshare alg fork)" "$want"
    python3 "$BATS_TEST_DIRNAME/on_terminal.py" squish exec -i -t "$id" /tool call unshare <<'STEPS'
< unshare EPERM
code 0
STEPS
    squish daemon stop
    assert_equal "$(squish exec "$id" /tool call unshare alg fork)" "$want"
    assert_equal "$(inspected "$id" digest)" "$digest"
}

@test "exec into a container whose filter's file was damaged is refused, not unconfined" {
    id=$(create_testbin sleep 60)
    digest=$(inspected "$id" digest)
    squish daemon stop
    printf x >>"$XDG_RUNTIME_DIR/squish/seccomp/$digest"
    run --separate-stderr squish exec "$id" /app/testbin call unshare
    [ "$status" -ne 0 ] || fail "it ran"
    assert_equal "$output" ""
    assert_contains "$stderr" damaged
    squish kill "$id"
    squish wait "$id" || true
    squish daemon stop # the next one writes it anew
    assert_equal "$(calls '' unshare)" "unshare EPERM"
}

@test "a profile of one's own decides, and is looked for beside the squishfile" {
    mkdir sub
    cat >sub/profile.json <<'JSON'
{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_AARCH64"],
 "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28},
              {"names": ["a_call_of_tomorrow"], "action": "SCMP_ACT_ALLOW"}]}
JSON
    call_file sub/calls.toml $'[security]\nseccomp = "./profile.json"' mkdir fork unshare userfaultfd
    run --separate-stderr squish run --rm sub/calls.toml
    assert_status 0
    assert_equal "$output" $'mkdir ENOSPC\nfork ok\nunshare ENOSPC\nuserfaultfd ok'

    shell_file sub/sleep.toml 'sleep 60' $'[security]\nseccomp = "./profile.json"'
    id=$(squish create sub/sleep.toml)
    assert_equal "$(inspected "$id" profile)" "$PWD/sub/profile.json"
    rm sub/profile.json # the container goes on with what it has
    run squish exec "$id" mkdir /tmp/x
    assert_contains "$output" "No space left"
}

@test "a profile that names unknown calls says so, and one that is wrong says where" {
    echo '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["tomorrow"], "action": "SCMP_ACT_LOG"}]}' >profile.json
    toml=$'[security]\nseccomp = "./profile.json"'
    run --separate-stderr calls "$toml" fork
    assert_equal "$output" "fork ok"
    assert_contains "$stderr" "'tomorrow'"

    echo '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdri"], "action": "SCMP_ACT_ERRNO"}]}' >profile.json
    run --separate-stderr calls "$toml" fork
    [ "$status" -ne 0 ] || fail "it ran"
    assert_contains "$stderr" "profile.json"
    assert_contains "$stderr" "'mkdri'"

    echo '{"defaultAction": "SCMP_ACT_NOTIFY"}' >profile.json
    run --separate-stderr calls "$toml" fork
    assert_status 125
    assert_contains "$stderr" SCMP_ACT_NOTIFY

    echo '{"defaultAction": "SCMP_ACT_ERRNO"}' >profile.json
    run --separate-stderr calls "$toml" fork
    [ "$status" -ne 0 ] || fail "it ran"
    assert_contains "$stderr" "no payload can be started"

    rm profile.json && mkfifo profile.json
    run --separate-stderr calls "$toml" fork
    [ "$status" -ne 0 ] || fail "it ran"
    assert_contains "$stderr" "not a regular file"

    rm profile.json
    shell_file gone.toml true "$toml"
    for command in validate run; do
        run --separate-stderr squish "$command" gone.toml
        assert_status 2
        assert_contains "$stderr" "gone.toml:"
        assert_contains "$stderr" "profile.json': No such file or directory"
    done
    assert_no_container
}

@test "a profile that refuses much still lets init say why nothing runs" {
    echo '{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [
        {"names": ["execve", "write", "exit_group"], "action": "SCMP_ACT_ALLOW"}]}' >profile.json
    shell_file none.toml true $'[security]\nseccomp = "./profile.json"'
    sed -i "s|/bin/sh|/no/such/program|" none.toml
    run -127 --separate-stderr squish run --rm none.toml
    assert_contains "$stderr" "/no/such/program"

    shell_file sleep.toml 'sleep 60' $'[security]\nseccomp = "./all.json"'
    echo '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["sendto", "sendmsg"], "action": "SCMP_ACT_ERRNO"}]}' >all.json
    id=$(squish create sleep.toml)
    run -127 --separate-stderr squish exec "$id" /no/such/program
    assert_contains "$stderr" "/no/such/program"
}

@test "unconfined is granted with a warning" {
    run --separate-stderr calls $'[security]\nseccomp = "unconfined"' userfaultfd
    assert_equal "$output" "userfaultfd ok"
    assert_contains "$stderr" "unconfined"
    shell_file sleep.toml 'sleep 60' $'[security]\nseccomp = "unconfined"'
    id=$(squish create sleep.toml 2>/dev/null)
    assert_equal "$(inspected "$id" profile)" unconfined
    assert_equal "$(inspected "$id" digest)" ""
    assert_contains "$(squish inspect "$id")" '[security] seccomp = \"unconfined\"'
}

@test "io_uring = true opens io_uring and nothing else" {
    output=$(calls $'[security]\nio_uring = true' io_uring unshare alg)
    assert_lacks "$output" "io_uring EPERM"
    assert_contains "$output" $'\nunshare EPERM\nalg EAFNOSUPPORT'
    shell_file both.toml true $'[security]\nseccomp = "unconfined"\nio_uring = true'
    run --separate-stderr squish run both.toml
    assert_status 2
    assert_contains "$stderr" "io_uring"
}

@test "a bundle brings its profile, and reads none from outside" {
    mkdir -p bundle other
    cp "$E2E_TESTBIN" bundle/payload
    echo '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"name": "mkdir", "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}' >bundle/profile.json
    cp bundle/profile.json other/outside.json
    bundled() { # PROFILE: runs the bundle with this profile
        printf '[layers]\ntool = { path = "./payload", target = "/tool" }\n[run]\ncommand = "/tool"\nargs = ["call", "mkdir"]\n[security]\nseccomp = "%s"\n' \
            "$1" >bundle/squishfile.toml
        tar -C bundle -czf bundle.tar.gz .
        run --separate-stderr squish run --rm bundle.tar.gz
    }
    bundled ./profile.json
    assert_equal "$output" "mkdir ENOSPC"
    bundled ../other/outside.json
    assert_status 2
    assert_contains "$stderr" "leads out of the archive"
    ln -s "$PWD/other/outside.json" bundle/link.json
    bundled ./link.json
    assert_status 2
    assert_contains "$stderr" "not in the archive"
}
