# SDKs by version from layer sources: built, signed, served as plain files, resolved, locked.
load helpers
load layers

setup() { layers_setup; }
teardown() { layers_teardown; }

# A source in ./source, served at $WEB and configured.
serve_source() { # [KEY]
    start_web "$DIR/source"
    use_source "$WEB" "$@"
}
make_key() { # NAME: NAME.pub, NAME.key
    minisign -G -f -W -p "$1.pub" -s "$1.key" >/dev/null
}
key_of() { sed -n 2p "$1.pub"; }

@test "the same folder makes the same bytes, whoever owns it and whenever it was changed" {
    make_sdk one tool 1.2.3
    ln -s tool one/bin/alias
    ln one/bin/tool one/bin/hard
    mkdir one/empty
    squish layer build one --to first >/dev/null
    sleep 0.02
    cp -R --preserve=mode,links one two
    find two -exec touch -h -d '2001-02-03' {} +
    squish layer build two --to second >/dev/null
    diff -r first second
    assert_equal "$(cd first && find . -type f | sort)" "./tool/index.json
./tool/tool-1.2.3-x86_64.tar.zst"
    # And again into the same source: nothing changes.
    squish layer build one --to first >/dev/null
    diff -r first second
    run -0 squish layer build one --output archive.tar.zst
    cmp archive.tar.zst first/tool/tool-1.2.3-x86_64.tar.zst
    assert_equal "$(json '["versions"][0]["archives"][0]["sha256"]' <first/tool/index.json)" "$(sha256sum <archive.tar.zst | cut -d' ' -f1)"
    # Other contents of a version that is there: only when told.
    echo changed >>two/bin/tool
    run --separate-stderr squish layer build two --to first
    assert_not_equal "$status" 0
    assert_message 1.2.3
    diff -r first second
    squish layer build two --to first --replace >/dev/null
    ! diff -r first second >/dev/null
}

@test "an SDK by version is found, stored, in PATH, and read-only" {
    for version in 1.2.0 1.2.5 1.10.0 2.0.0-rc.1; do publish source tool $version; done
    serve_source
    for pair in '1.2 1.2.5' '~1.2.1 1.2.5' '1.2.0 1.2.0' 'latest 1.10.0' '>=1.2,<1.10 1.2.5' '1.2.x 1.2.5' '^1 1.10.0' '>=2.0.0-rc.1 2.0.0-rc.1'; do
        fresh_store
        read -r wanted got <<<"$pair"
        run --separate-stderr in_shell 'tool x; echo $PATH; (echo >/sdk/tool/bin/tool) 2>/dev/null || echo ro' "[layers]
tool = '$wanted'"
        assert_status 0
        assert_equal "$wanted: ${lines[0]} ${lines[2]}" "$wanted: tool $got x ro"
        assert_matches "${lines[1]}" '^/sdk/tool/bin:'
    done
    run --separate-stderr in_shell true $'[layers]\ntool = "3"'
    assert_status 125
    assert_message tool
    assert_contains "$stderr" 1.10.0
    run --separate-stderr in_shell true $'[layers]\nunheard = "3"'
    assert_status 125
    assert_message unheard
}

@test "a source with a key takes no index without its signature" {
    make_key mine
    make_key other
    publish source tool 1.0.0 '' --sign mine.key
    [ -s source/tool/index.json.minisig ]
    minisign -V -q -p mine.pub -m source/tool/index.json
    serve_source "$(key_of mine)"
    assert_equal "$(in_shell tool $'[layers]\ntool = "1"')" "tool 1.0.0 "
    cp -R source good
    spoil() { # WHAT COMMAND…
        local what=$1
        shift
        rm -rf source && cp -R good source
        "$@"
        fresh_store
        run --separate-stderr in_shell tool $'[layers]\ntool = "1"'
        [ "$status" -eq 125 ] || fail "$what: status $status: $output $stderr"
        assert_contains "$what: $stderr" "$WEB/tool/index.json"
        assert_matches "$stderr" '[Ss]ign|key'
        assert_stored
        assert_no_container
    }
    spoil "no signature" rm source/tool/index.json.minisig
    spoil "another's" minisign -S -s other.key -m source/tool/index.json
    spoil "another space" sh -c 'echo >>source/tool/index.json'
    spoil "an empty signature" truncate -s 0 source/tool/index.json.minisig
    spoil "of another layer" sh -c 'echo x >x && minisign -S -s mine.key -m x && cp x.minisig source/tool/index.json.minisig'
    # An archive that is another is refused, too.
    rm -rf source && cp -R good source
    printf 'x' | dd of=source/tool/tool-1.0.0-x86_64.tar.zst bs=1 seek=50 conv=notrunc status=none
    fresh_store
    run --separate-stderr in_shell tool $'[layers]\ntool = "1"'
    assert_status 125
    assert_message sha256
    assert_stored
}

@test "what a layer requires comes along, once, and is told" {
    publish source app 1.0.0 $'[requires]\nlib = "^1"\nother = "*"'
    publish source other 3.0.0 $'[requires]\nlib = ">=1.1"'
    publish source lib 1.0.0
    publish source lib 1.4.0 $'[env]\nLIB = "@ROOT@/lib"'
    publish source lib 2.0.0
    serve_source
    echo $'[layers]\napp = "1"\n[run]\ncommand = "/bin/sh"\nargs = ["-c", "app; other; lib; echo $LIB; ls /sdk"]' >f.toml
    run --separate-stderr squish validate --resolve f.toml
    assert_status 0
    assert_matches "${lines[0]}" '^LAYER +VERSION +DIGEST +MOUNT +FROM +WHY$'
    assert_matches "$output" 'lib +1\.4\.0 +[0-9a-f]{12} +/sdk/lib +'
    assert_matches "$output" 'lib .*app.*1\.0\.0.*other'
    assert_equal "$(squish layer ls -q | grep -c . || true)" 0
    id=$(squish create f.toml)
    squish wait "$id"
    assert_equal "$(squish logs "$id")" "app 1.0.0 
other 3.0.0 
lib 1.4.0 
/sdk/lib/lib
app
lib
other"
    assert_equal "$(squish inspect "$id" | json '[0]["layers"]' | /usr/bin/python3 -c 'import json, sys
print(*sorted("%s@%s:%s" % (l["name"], l["version"], l["target"]) for l in json.load(sys.stdin) if l["version"] and l["name"] != "base"))')" \
        "app@1.0.0:/sdk/app lib@1.4.0:/sdk/lib other@3.0.0:/sdk/other"
    assert_equal "$(squish validate --resolve --json f.toml | json '["layers"]' | grep -o '"digest": "[0-9a-f]*"' | sort)" \
        "$(squish inspect "$id" | json '[0]["layers"]' | grep -o '"digest": "[0-9a-f]*"' | sort)"
}

@test "contradictions and circles show who asks for what" {
    publish source left 1.0.0 $'[requires]\nlib = "1"'
    publish source right 1.0.0 $'[requires]\nlib = "2"'
    publish source lib 1.0.0
    publish source lib 2.0.0
    publish source ring 1.0.0 $'[requires]\nround = "*"'
    publish source round 1.0.0 $'[requires]\nring = "*"'
    serve_source
    run --separate-stderr in_shell true $'[layers]\nleft = "1"\nright = "1"'
    assert_status 125
    for part in left right lib; do assert_contains "$stderr" "$part"; done
    assert_contains "$stderr" "->"
    run --separate-stderr in_shell true $'[layers]\nring = "1"'
    assert_status 125
    assert_matches "$stderr" 'ring.* -> round.* -> ring'
    assert_no_container
}

@test "--with adds a layer, or another version" {
    publish source tool 1.0.0
    publish source tool 2.0.0
    publish source debug 0.1.0
    serve_source
    shell_file f.toml 'tool; debug 2>/dev/null || echo none' $'[layers]\ntool = "1"'
    assert_equal "$(squish run --rm f.toml)" $'tool 1.0.0 \nnone'
    assert_equal "$(squish run --rm --with debug=latest f.toml)" $'tool 1.0.0 \ndebug 0.1.0 '
    assert_equal "$(squish run --rm --with tool=2 --with debug f.toml)" $'tool 2.0.0 \ndebug 0.1.0 '
    id=$(squish create --with debug=0.1 f.toml)
    squish wait "$id"
    assert_equal "$(squish logs "$id")" $'tool 1.0.0 \ndebug 0.1.0 '
    for wrong in = =1 'x=not a version' '../x=1'; do
        run --separate-stderr squish run --with "$wrong" f.toml
        assert_status 2
    done
}

@test "a lock file pins the digests, and --locked refuses all else" {
    publish source tool 1.0.0
    serve_source
    shell_file f.toml tool $'[layers]\ntool = "1"'
    run --separate-stderr squish run --rm --locked f.toml
    assert_not_equal "$status" 0
    assert_message squishfile.lock
    run --separate-stderr squish lock f.toml
    assert_status 0
    assert_equal "$output" "$DIR/squishfile.lock"
    digest=$(digest_of tool)
    assert_contains "$(cat squishfile.lock)" "$digest"
    cp squishfile.lock before
    squish lock f.toml 2>/dev/null
    cmp before squishfile.lock
    # A newer one appears: the lock keeps the old one, with --locked and without.
    publish source tool 1.1.0
    for option in --rm --locked; do
        fresh_store
        assert_equal "$(squish run --rm $option f.toml)" "tool 1.0.0 "
    done
    mv squishfile.lock kept
    fresh_store
    assert_equal "$(squish run --rm f.toml)" "tool 1.1.0 "
    mv kept squishfile.lock
    # The source has another content for the version: refused, with both digests or the missing one named.
    make_sdk sdk tool 1.0.0
    echo '# other' >>sdk/bin/tool
    squish layer build sdk --to source --replace >/dev/null
    fresh_store
    run --separate-stderr squish run --rm --locked f.toml
    assert_status 125
    assert_contains "$stderr" "${digest:0:12}"
    assert_stored
    # A layer more than the lock knows.
    shell_file f.toml tool $'[layers]\ntool = "1"\nmore = "1"'
    run --separate-stderr squish run --rm --locked f.toml
    assert_not_equal "$status" 0
    assert_message more
    assert_no_container
}

@test "an SDK runs the app's entry file by itself" {
    publish source script 1.0.0 $'[run]\ncommand = "bin/script"\nargs = ["-u"]\nentry = ["main.txt", "app.txt"]'
    serve_source
    mkdir app && echo hello >app/app.txt
    echo $'[layers]\nscript = "1"\napp = "./app"' >f.toml
    assert_equal "$(squish run --rm f.toml)" "script 1.0.0 -u /app/app/app.txt"
    assert_equal "$(squish run --rm f.toml -- more)" "script 1.0.0 -u /app/app/app.txt more"
    echo first >app/main.txt
    assert_equal "$(squish run --rm f.toml)" "script 1.0.0 -u /app/app/main.txt"
    rm app/*.txt
    run --separate-stderr squish run --rm f.toml
    assert_not_equal "$status" 0
    assert_message main.txt
}

@test "attached to a container that runs, and taken away again" {
    publish source debug 1.0.0
    serve_source
    id=$(create_shell 'while :; do sleep 1; done')
    run --separate-stderr squish exec "$id" /sdk/debug/bin/debug
    assert_status 127
    run --separate-stderr squish layer attach "$id" debug@1
    assert_status 0
    assert_equal "$output" "debug@1.0.0 /sdk/debug"
    assert_equal "$(squish exec "$id" /sdk/debug/bin/debug now)" "debug 1.0.0 now"
    run squish exec "$id" /bin/sh -c 'echo x >/sdk/debug/bin/debug'
    assert_not_equal "$status" 0
    run --separate-stderr squish layer rm debug
    assert_not_equal "$status" 0
    run --separate-stderr squish layer attach "$id" debug@1
    assert_not_equal "$status" 0
    squish layer detach "$id" debug
    run --separate-stderr squish exec "$id" /sdk/debug/bin/debug
    assert_status 127
    squish layer rm debug
}
