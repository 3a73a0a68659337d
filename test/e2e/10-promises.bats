# The seven promises of the first squish: what a container must do before anything else is of interest.
load helpers

@test "a container starts, is listed, and stops" {
    testbin_file sleeper.toml sleep 300
    id=$(squish create sleeper.toml)
    assert_full_id "$id"

    run -0 squish ps
    assert_matches "${lines[0]}" '^ID +NAME +PID'
    assert_equal "${#lines[@]}" 2
    read -r listed name pid _ <<<"${lines[1]}"
    assert_contains "$id" "$listed"
    [ -n "$name" ]
    assert_matches "$pid" '^[0-9]+$'
    [ -d "/proc/$pid" ] || fail "ps names the process $pid, which does not exist"

    run -0 squish stop "$id"
    assert_equal "$output" "$id"
    run -0 squish ps -q
    assert_equal "$output" ""
    wait_for 5 test ! -d "/proc/$pid" || fail "the process $pid is still there"
}

@test "a published port answers" {
    port=$(free_port)
    squishfile <<END
[layers]
app = "@TESTBIN@"
[run]
command = "/app/testbin"
args = ["http", "2000", "hello from inside"]
[[ports]]
container = 2000
host = $port
END
    id=$(squish create squishfile.toml)
    assert_equal "$(fetch "http://$E2E_ADDRESS:$port/")" "hello from inside"

    # And no longer once it is gone.
    squish stop "$id"
    run ! curl -fsS --max-time 2 "http://$E2E_ADDRESS:$port/"
}

@test "a bind-mounted file reads the same" {
    head -c 1048579 /dev/urandom >original
    squishfile <<'END'
[layers]
app = "@TESTBIN@"
data = { path = "./original", target = "/srv/deep/copy.bin" }
[run]
command = "/app/testbin"
args = ["cat", "/srv/deep/copy.bin"]
END
    squish run --rm squishfile.toml >copy
    cmp original copy
}

@test "another rootfs works" {
    mkdir -p other/etc other/bin
    cp "$E2E_PREFIX/share/squish/base/bin/busybox" other/bin/busybox
    ln -s busybox other/bin/sh
    ln -s busybox other/bin/cat
    echo "I am another" >other/etc/who
    squishfile <<'END'
[layers]
other = { path = "./other", rootfs = true }
[run]
command = "/bin/sh"
args = ["-c", "cat /etc/who; test -e /etc/os-release || echo and not the built-in one"]
END
    run -0 squish run --rm squishfile.toml
    assert_equal "${lines[0]}" "I am another"
    assert_equal "${lines[1]}" "and not the built-in one"

    # The rootfs is read, never written: no mount point was made in it.
    assert_equal "$(cd other && find . | sort | tr '\n' ' ')" ". ./bin ./bin/busybox ./bin/cat ./bin/sh ./etc ./etc/who "
}

@test "the built-in rootfs is what it says it is" {
    squishfile <<'END'
[run]
command = "/bin/cat"
args = ["/etc/os-release"]
END
    run -0 squish run --rm squishfile.toml
    assert_contains "$output" "ID=squish-base"
}

@test "environment variables arrive, and nothing else does" {
    squishfile <<'END'
[layers]
app = "@TESTBIN@"
[run]
command = "/app/testbin"
args = ["env"]
[env]
GREETING = "hello world"
EMPTY = ""
QUOTED = "a \"b\" $c\\"
LEVEL = "file"
END
    export FROM_OUTSIDE=leaks
    run -0 squish run --rm --env LEVEL=option --env EXTRA=1 squishfile.toml
    assert_contains $'\n'"$output"$'\n' $'\nGREETING=hello world\n'
    assert_contains $'\n'"$output"$'\n' $'\nEMPTY=\n'
    assert_contains $'\n'"$output"$'\n' $'\nQUOTED=a "b" $c\\\n'
    assert_contains $'\n'"$output"$'\n' $'\nLEVEL=option\n'
    assert_contains $'\n'"$output"$'\n' $'\nEXTRA=1\n'
    assert_lacks "$output" FROM_OUTSIDE
    assert_lacks "$output" XDG_RUNTIME_DIR
    assert_lacks "$output" "$E2E_FILE_DIR"
}

@test "a file mounted rw can be written and read" {
    printf 'from the host' >note.txt
    squishfile write.toml <<'END'
[layers]
app = "@TESTBIN@"
note = { path = "./note.txt", target = "/data/note.txt", rw = true }
[run]
command = "/app/testbin"
args = ["write", "/data/note.txt", "from the container"]
END
    squishfile read.toml <<'END'
[layers]
app = "@TESTBIN@"
note = { path = "./note.txt", target = "/data/note.txt", rw = true }
[run]
command = "/app/testbin"
args = ["cat", "/data/note.txt"]
END
    run -0 squish run --rm read.toml
    assert_equal "$output" "from the host"
    squish run --rm write.toml
    assert_equal "$(cat note.txt)" "from the container"
    run -0 squish run --rm read.toml
    assert_equal "$output" "from the container"
}

@test "a file not mounted rw cannot be written" {
    printf 'from the host' >note.txt
    squishfile <<'END'
[layers]
app = "@TESTBIN@"
note = { path = "./note.txt", target = "/data/note.txt" }
[run]
command = "/app/testbin"
args = ["write", "/data/note.txt", "changed"]
END
    run --separate-stderr squish run --rm squishfile.toml
    assert_status 1
    assert_contains "$stderr" "Read-only file system"
    assert_equal "$(cat note.txt)" "from the host"
}

@test "the payload is PID 2, below squish's init" {
    testbin_file pid.toml pid
    run -0 squish run --rm pid.toml
    assert_equal "$output" 2
    testbin_file ppid.toml ppid
    run -0 squish run --rm ppid.toml
    assert_equal "$output" 1
}
