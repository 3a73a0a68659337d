# The examples, as their READMEs say.
load helpers

setup() {
    e2e_setup
    cp -R "$E2E_EXAMPLES" examples
    chmod -R u+w examples
    # The port of examples/web may be somebody else's here; then it is another one, everywhere.
    if ss -Htln 'sport = :42069' | grep -q .; then
        sed -i "s/42069/$(free_port)/" examples/web/squishfile.toml examples/web/README.md
    fi
}

# The commands that stand, indented, in a README, without their comments.
commands_of() { sed -n 's/^    \(.*\)$/\1/p' "examples/$1/README.md" | sed 's/  *# .*//'; }

@test "every example is valid and has a README with commands" {
    count=0
    for folder in examples/*/; do
        run -0 squish validate "$folder"
        assert_equal "$output" ok
        [ -s "$folder/README.md" ]
        [ -n "$(commands_of "$(basename "$folder")")" ]
        count=$((count + 1))
    done
    [ "$count" -ge 3 ]
}

@test "every command in the READMEs works as it stands there" {
    for folder in examples/*/; do
        name=$(basename "$folder")
        case $name in
            web) continue ;;    # its second command has to wait for its first: below
            *-http) continue ;; # they need a layer source: 96-sdks.bats
        esac
        commands_of "$name" >commands.sh
        run bash -e -o pipefail commands.sh
        [ "$status" -eq 0 ] || fail "$name: $(cat commands.sh): $output"
    done
}

@test "hello" {
    run -0 squish run --rm examples/hello
    assert_matches "${lines[0]}" '^hello from .*, pid 2$'
    run -0 squish run --rm --env GREETING=hi examples/hello
    assert_matches "${lines[0]}" '^hi from '
    assert_equal "$(printf '%s\n' "${lines[@]:1}" | cut -d= -f1 | sort | tr '\n' ' ')" "GREETING HOME HOSTNAME PATH PWD SHLVL container "
}

@test "files" {
    run -0 squish run --rm examples/files
    assert_contains "$output" "$(cat examples/files/motd.txt)"
    assert_contains "$output" "run number 1"
    assert_contains "$output" "/etc/motd is read-only"
    run -0 squish run --rm examples/files
    assert_contains "$output" "run number 2"
    assert_equal "$(cat examples/files/data/count)" 2
}

@test "web" {
    mapfile -t commands < <(commands_of web)
    assert_matches "${commands[0]}" '^squish create '
    assert_matches "${commands[1]}" '^curl http'
    run -0 bash -c "${commands[0]}"
    assert_full_id "$output"
    url=${commands[1]#curl }
    assert_equal "$(fetch "$url")" "$(cat examples/web/site/index.html)"
    # Mounted, not copied: an edited page is seen.
    echo '<p>edited</p>' >examples/web/site/index.html
    assert_equal "$(fetch "$url")" '<p>edited</p>'
    run -0 bash -c "${commands[2]}"
    assert_contains "$output" "GET /"
    run ! curl -fsS --max-time 5 "$url/no-such-page"
    run ! curl -fsS --max-time 5 --path-as-is "$url/../../etc/passwd"
    run -0 bash -c "${commands[3]}"
    assert_no_container
}
