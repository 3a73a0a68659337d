# One file to deploy: a folder or an archive with a squishfile.toml at its root, wherever a squishfile is taken.
load helpers
load layers

setup() { layers_setup; }
teardown() { layers_teardown; }

make_bundle() { # FOLDER
    mkdir -p "$1/site"
    echo page >"$1/site/page"
    cat >"$1/squishfile.toml" <<'TOML'
[layers]
files = "./site"
[run]
command = "/bin/cat"
args = ["/app/site/page"]
TOML
}
pack() { # FOLDER: FOLDER.tar.gz and FOLDER.zip
    tar -C "$1" -czf "$1.tar.gz" .
    rm -f "$1.zip"
    (cd "$1" && zip -qry "$DIR/$1.zip" .)
}

@test "run, create and validate take a folder, a tar and a zip" {
    make_bundle b
    pack b
    tar -C b -cf - . | zstd -q >b.bundle
    for what in b b/ b/squishfile.toml b.tar.gz b.zip b.bundle "$DIR/b.zip"; do
        run --separate-stderr squish validate "$what"
        assert_equal "$what: $status $output" "$what: 0 ok"
        run --separate-stderr squish run --rm "$what"
        assert_equal "$what: $status $output" "$what: 0 page"
        id=$(squish create "$what")
        assert_equal "$what: $(squish wait "$id") $(squish logs "$id")" "$what: 0 page"
        squish rm "$id" >/dev/null
    done
}

@test "a bundle serves from where the working folder is elsewhere, and without its file afterwards" {
    make_bundle b
    pack b
    mkdir elsewhere && cd elsewhere
    sed -i 's/"\/app\/site\/page"/"\/app\/site\/page", "-"/' ../b/squishfile.toml
    (cd .. && pack b)
    id=$(cd .. && squish create b.zip)
    rm ../b.zip
    assert_equal "$(squish wait "$id") $(squish logs "$id")" "0 page"
}

@test "a bundle that runs is neither removed nor pruned" {
    make_bundle b
    sed -i 's|command.*|command = "/bin/sh"|; s|args.*|args = ["-c", "while :; do sleep 1; done"]|' b/squishfile.toml
    pack b
    id=$(squish create b.zip)
    stored=$(squish layer ls -q)
    assert_equal "$(wc -l <<<"$stored")" 1
    run --separate-stderr squish layer rm "$stored"
    assert_not_equal "$status" 0
    squish layer prune 2>/dev/null
    assert_equal "$(squish layer ls -q)" "$stored"
    assert_equal "$(squish exec "$id" cat /app/site/page)" page
}

@test "no path leads out of a bundle" {
    echo secret >secret
    for path in ../secret ../../secret site/../../secret ./../secret; do
        make_bundle b
        sed -i "s|^files.*|files = { path = \"$path\", target = \"/x\" }|; s|/app/site/page|/x|" b/squishfile.toml
        pack b
        for what in b.tar.gz b.zip; do
            run --separate-stderr squish run --rm "$what"
            [ "$status" -ne 0 ] || fail "$path of $what was mounted: $output"
            assert_lacks "$output" secret
            assert_contains "$stderr" "$path"
            run squish validate "$what"
            assert_status 2
        done
    done
    assert_no_container
}

@test "links in a bundle stay inside it" {
    echo secret >secret
    up=$(printf '../%.0s' {1..40})
    for target in "$DIR/secret" "$up$DIR/secret" /etc/passwd ../secret; do
        make_bundle b
        ln -sfn "$target" b/link
        sed -i 's|^files.*|files = { path = "./link", target = "/x" }|; s|/app/site/page|/x|' b/squishfile.toml
        pack b
        for what in b.tar.gz b.zip; do
            run --separate-stderr squish run --rm "$what"
            [ "$status" -ne 0 ] || fail "$target of $what was mounted: $output"
            assert_lacks "$output" secret
            assert_lacks "$output" root:
        done
        rm b/link
    done
    # The squishfile itself as a link is not followed.
    make_bundle b
    mv b/squishfile.toml elsewhere.toml
    ln -s "$DIR/elsewhere.toml" b/squishfile.toml
    tar -C b -czf b.tar.gz .
    run --separate-stderr squish run --rm b.tar.gz
    assert_not_equal "$status" 0
    assert_message squishfile.toml
    rm b/squishfile.toml
    # One that stays inside works, also where it is absolute: the root is the bundle's.
    make_bundle b
    ln -s /site/page b/link
    sed -i 's|^files.*|files = { path = "./link", target = "/x" }|; s|/app/site/page|/x|' b/squishfile.toml
    pack b
    assert_equal "$(squish run --rm b.zip)" page
    assert_equal "$(squish run --rm b.tar.gz)" page
}

@test "a bundle's files cannot be mounted rw, the host's can" {
    mkdir data
    make_bundle b
    sed -i 's|^files.*|files = { path = "./site", target = "/x", rw = true }|' b/squishfile.toml
    pack b
    run --separate-stderr squish run --rm b.zip
    assert_not_equal "$status" 0
    assert_message "rw"
    assert_equal "$(squish layer verify | grep -vc ': ok$' || true)" 0
    cat >b/squishfile.toml <<TOML
[layers]
data = { path = "$DIR/data", target = "/x", rw = true }
[run]
command = "/bin/sh"
args = ["-c", "echo written >/x/file"]
TOML
    pack b
    squish run --rm b.zip
    assert_equal "$(cat data/file)" written
}

@test "archives without a squishfile, and what is no archive, are refused by name" {
    mkdir empty && echo x >empty/file
    pack empty
    for what in empty empty.tar.gz empty.zip; do
        for command in run create validate; do
            run --separate-stderr squish $command "$what"
            assert_not_equal "$status" 0
            assert_message_or_place "$what"
            assert_contains "$stderr" squishfile.toml
        done
    done
    head -c 200000 /dev/urandom >noise
    run --separate-stderr squish run noise
    assert_not_equal "$status" 0
    assert_contains "$stderr" noise
    make_bundle b
    pack b
    head -c 150 b.tar.gz >cut.tar.gz
    run --separate-stderr squish run cut.tar.gz
    assert_not_equal "$status" 0
    assert_contains "$stderr" cut.tar.gz
    assert_no_container
    wait_for 10 eval '[ -z "$(find "$STORE/staging" -mindepth 1)" ]' || fail "$(find "$STORE/staging" -mindepth 1)"
}
assert_message_or_place() { assert_contains "$stderr" "$1"; }

@test "an error in a bundle's squishfile has its place" {
    make_bundle b
    echo 'unknown = 1' | cat - b/squishfile.toml >t && mv t b/squishfile.toml
    pack b
    run --separate-stderr squish validate b.zip
    assert_status 2
    assert_contains $'\n'"$stderr" $'\n'"b.zip/squishfile.toml:1:1: " # what took long is told of before
}
