# Terminals: `run -t -i` and `exec -t -i` through a real pseudo-terminal (on_terminal.py plays the person at it).
load helpers

# on_terminal COMMAND… <<'STEPS'
on_terminal() { /usr/bin/python3 "$BATS_TEST_DIRNAME/on_terminal.py" "$@"; }

# A busybox shell in the background, to exec into.
a_container() { create_testbin sleep 1000; }

@test "run -it gives a terminal: tty, its size, echo" {
    shell_file shell.toml 'tty; stty size; test -t 0 && test -t 1 && test -t 2 && echo all three; echo TERM=$TERM; read -r line; echo "got $line"; exit 4'
    on_terminal squish run --rm -i -t shell.toml <<'STEPS'
        < /dev/pts/\d+
        < 24 80
        < all three
        < TERM=\w+
        > something
        < got something
        code 4
        cooked
STEPS
}

@test "the exit code comes through -t, and that of a signal too" {
    testbin_file exit.toml exit 9
    on_terminal squish run --rm -it exit.toml <<'STEPS'
        code 9
        cooked
STEPS
    testbin_file raise.toml raise 11
    on_terminal squish run --rm -t raise.toml <<'STEPS'
        code 139
        cooked
STEPS
    squishfile none.toml <<<$'[run]\ncommand = "/no/such/program"'
    on_terminal squish run --rm -it none.toml <<'STEPS'
        < squish: .*/no/such/program
        code 127
        cooked
STEPS
    id=$(a_container)
    on_terminal squish exec -it "$id" /bin/sh -c 'exit 6' <<'STEPS'
        code 6
        cooked
STEPS
    on_terminal squish exec -it "$id" /no/such/program <<'STEPS'
        < squish: .*/no/such/program
        code 127
        cooked
STEPS
}

@test "everything that was printed arrives before the end" {
    testbin_file lines.toml lines 2000
    on_terminal squish run --rm -it lines.toml <<'STEPS'
        < line 1\r\n
        < line 1999\r\nline 2000\r\n
        code 0
STEPS
}

# A job says that it runs: what is typed on seeing its command reaches a shell that has not given the terminal away.
@test "exec -it is a shell with job control" {
    id=$(a_container)
    on_terminal squish exec -i -t -e PS1='ready> ' "$id" /bin/sh <<'STEPS'
        < ready> $
        > tty
        < /dev/pts/\d+
        < ready> $
        > echo 'trap "echo $1 goes on" CONT; echo $1 began; while :; do sleep 0.05; done' >/tmp/job
        < ready> $
        > sh /tmp/job one &
        < one began
        > jobs
        < Running\s+sh /tmp/job one
        > sh /tmp/job two
        < two began
        key \x1a
        < Stopped\s+sh /tmp/job two
        > jobs
        < Stopped\s+sh /tmp/job two.*Running\s+sh /tmp/job one
        > bg %2
        < two goes on
        > jobs
        < (?=.*Running\s+sh /tmp/job one)(?=.*Running\s+sh /tmp/job two).*ready> $
        > fg %2
        < two goes on
        key \x03
        < ready> $
        > jobs; echo en''d
        < Running\s+sh /tmp/job one\r\nend
        > fg %1
        < one goes on
        key \x03
        < ready> $
        > echo still h''ere
        < still here
        lacks job control turned off
        lacks can't access tty
        > exit 3
        code 3
        cooked
STEPS
    assert_lacks "$(squish exec "$id" ps)" /tmp/job
}

@test "Ctrl-C interrupts the foreground job, not the shell" {
    shell_file shell.toml 'PS1="ready> " exec /bin/sh -i'
    on_terminal squish run --rm -it shell.toml <<'STEPS'
        < ready> $
        > sh -c 'echo beg''ins; exec sleep 1000'
        < begins
        key \x03
        < ready> $
        within 5000
        > echo "code $?"
        < code 130
        > echo o''n; cat
        < on\r\n
        > echoed
        < echoed\r\nechoed
        key \x1c
        < ready> $
        > exit 5
        code 5
        cooked
STEPS
}

@test "Ctrl-D is the end of the input" {
    testbin_file stdin.toml stdin
    on_terminal squish run --rm -it stdin.toml <<'STEPS'
        > a line
        < a line\r\na line
        key \x04
        code 0
        cooked
STEPS
}

@test "resizing reaches the payload, with its signal" {
    shell_file shell.toml 'trap "stty size" WINCH; echo ready; i=0; while [ $i -lt 500 ]; do sleep 0.02; i=$((i+1)); done'
    on_terminal squish run --rm -it shell.toml <<'STEPS'
        < ready
        size 31 101
        < 31 101
        size 7 200
        < 7 200
        key \x03
        code 130
STEPS
    id=$(a_container)
    on_terminal squish exec -it -e PS1='ready> ' "$id" /bin/sh <<'STEPS'
        < ready> $
        > stty size
        < 24 80
        size 50 132
        > stty size
        < 50 132
        > exit
        code 0
        cooked
STEPS
}

@test "a full-screen program's terminal: raw keys arrive one by one" {
    shell_file raw.toml 'stty raw -echo; echo ready; dd bs=1 count=4 2>/dev/null | od -An -tx1; stty sane'
    on_terminal squish run --rm -it raw.toml <<'STEPS'
        < ready
        key \x03\x04\x1b\xff
        < 03 04 1b ff
        code 0
        cooked
STEPS
}

@test "two terminals in one container do not meet" {
    id=$(a_container)
    on_terminal squish exec -it "$id" /bin/sh -c 'tty; sleep 100' <<'STEPS' >/dev/null &
        < /dev/pts/0
        < never printed
STEPS
    first=$!
    wait_for 20 squish exec "$id" test -e /dev/pts/0
    on_terminal squish exec -it "$id" /bin/sh -c 'tty' <<'STEPS'
        < /dev/pts/1
        code 0
STEPS
    kill "$first" 2>/dev/null || true
    wait "$first" || true
}

@test "-t without a terminal is a mistake that is told" {
    testbin_file true.toml true
    run --separate-stderr squish run --rm -t true.toml </dev/null
    assert_status 2
    assert_message "terminal"
    id=$(a_container)
    run --separate-stderr squish exec -it "$id" true </dev/null
    assert_status 2
    assert_message "terminal"
}

@test "Ctrl-C ends an attached container at once" {
    testbin_file sleep.toml sleep 1000
    # On a terminal, without -t: its SIGINT comes to squish, which passes it on.
    shell_file sleep.toml 'echo up; sleep 1000'
    on_terminal squish run --name interrupted sleep.toml <<'STEPS'
        < up
        key \x03
        code 130
        within 5000
        cooked
STEPS
    assert_equal "$(squish inspect interrupted | json '[0]["exit"]["signal"]')" 2
    # With another one at its side, in a script that goes on.
    on_terminal /bin/sh -c 'trap : INT; squish run --rm sleep.toml; echo "code $?"' <<'STEPS'
        < up
        key \x03
        < code 130
        code 0
STEPS
}

@test "the third SIGINT is SIGKILL" {
    shell_file stubborn.toml 'trap "echo ouch" INT; echo up; while :; do sleep 0.05; done'
    on_terminal squish run --rm stubborn.toml <<'STEPS'
        < up
        key \x03
        < ouch
        key \x03
        < ouch
        key \x03
        code 137
        within 5000
        cooked
STEPS
}

@test "signals to squish run reach the payload" {
    for signal in TERM HUP QUIT USR1 USR2; do
        shell_file "$signal.toml" 'for s in TERM HUP QUIT USR1 USR2; do trap "echo got $s; exit 50" $s; done; echo up; while :; do sleep 0.02; done'
        squish run --name "to-$signal" "$signal.toml" >"$signal.out" &
        runner=$!
        wait_for 5 grep -q up "$signal.out"
        kill -s "$signal" "$runner"
        code=0
        wait "$runner" || code=$?
        assert_equal "$code" 50
        assert_contains "$(cat "$signal.out")" "got $signal"
    done
}

@test "a terminal that goes away ends its shell, not the container" {
    id=$(a_container)
    on_terminal squish exec -it -e PS1='ready> ' "$id" /bin/sh <<'STEPS'
        < ready> $
        signal HUP
        code 129
STEPS
    wait_for 5 eval "! squish exec $id ps | grep -q '[/]bin/sh'"
    assert_equal "$(state_of "$id")" running

    # And when squish itself is killed, the shell sees its terminal hang up.
    on_terminal squish exec -it -e PS1='ready> ' "$id" /bin/sh <<'STEPS'
        < ready> $
        signal KILL
        code -9
STEPS
    wait_for 5 eval "! squish exec $id ps | grep -q '[/]bin/sh'" || fail "$(squish exec "$id" ps)"
    assert_equal "$(state_of "$id")" running
}

@test "run -t without -i: what is typed stays ours" {
    testbin_file lines.toml lines 3
    on_terminal /bin/sh -c 'squish run --rm -t "$0"; read -r line; echo "ours: $line"' lines.toml <<'STEPS'
        < line 3
        > typed
        < ours: typed
        code 0
        cooked
STEPS
}
