# Layers: Alpine by version, archives that unpack themselves, one copy of everything, and what `squish layer` says of it.
load helpers
load layers

setup_file() {
    e2e_setup_file
    MIRROR=$E2E_FILE_DIR/mirror
    if [ -n "$E2E_ALPINE_MIRROR" ]; then MIRROR=$E2E_ALPINE_MIRROR; else make_mirror "$MIRROR" 3.14.10 3.20.3; fi
    export MIRROR
}
setup() { layers_setup; }
teardown() { layers_teardown; }

# in_alpine REQUIREMENT SCRIPT
in_alpine() { in_shell "$2" "[layers]
alpine = '$1'"; }

# --- Alpine --------------------------------------------------------------------------------------------------------

@test "alpine by branch, by release, by range, and the latest" {
    start_web "$MIRROR"
    use_mirrors "$WEB"
    for wanted in 3.20 3.20.3 '>=3.18' latest '^3.15' '>=3.14 <3.21'; do
        assert_equal "$wanted: $(in_alpine "$wanted" 'cat /etc/alpine-release')" "$wanted: 3.20.3"
    done
    for wanted in '~3.14' 3.14 3.14.10 '<3.20'; do
        # What is stored satisfies it: what is newer is not asked for.
        assert_equal "$wanted: $(in_alpine "$wanted" 'cat /etc/alpine-release')" "$wanted: 3.14.10"
    done
    assert_equal "$(squish layer ls -q | wc -l)" 2
    assert_equal "$(requests 'tar.gz ')" 2
}

@test "alpine's own programs run, and a shell" {
    start_web "$MIRROR"
    use_mirrors "$WEB"
    for version in 3.14 3.20; do
        run --separate-stderr in_alpine "$version" 'apk --version && echo $((6 * 7)) | sed s/4/four/ && for i in 1 2; do echo $i; done'
        assert_status 0
        assert_matches "${lines[0]}" '^apk-tools [0-9]'
        assert_equal "${lines[1]}" four2
        assert_equal "${lines[3]}" 2
    done
}

@test "a second run asks nothing, not even after the daemon went" {
    start_web "$MIRROR"
    use_mirrors "$WEB"
    in_alpine 3.20 true
    asked=$(requests)
    [ "$asked" -ge 2 ]
    in_alpine 3.20 true
    squish daemon stop
    in_alpine 3.20 true
    stop_web
    assert_equal "$(in_alpine '>=3.18' 'cat /etc/alpine-release')" 3.20.3
    assert_equal "$(requests)" "$asked"
}

@test "a pull that finds nothing new asks little" {
    start_web "$MIRROR"
    use_mirrors "$WEB"
    run -0 squish layer pull alpine@3.20
    assert_matches "${lines[-1]}" '^alpine@3\.20\.3 [0-9a-f]{64}$'
    : >"$WEB_LOG"
    run -0 squish layer pull alpine@3.20
    # One question, answered with "not modified".
    assert_equal "$(requests)" 1
    assert_equal "$(cut -d' ' -f1,2 "$WEB_LOG")" "304 0"
}

@test "100 containers leave their rootfs as it was, to the byte" {
    start_web "$MIRROR"
    use_mirrors "$WEB"
    shell_file spoil.toml 'bad=0
for file in /etc/passwd /bin/busybox /new /etc/new /lib/new; do
    { echo x >>$file; } 2>/dev/null && bad=1
    rm -f $file 2>/dev/null; touch $file 2>/dev/null && bad=1
    chmod 0777 $file 2>/dev/null && bad=1
done
mkdir /folder 2>/dev/null && bad=1
mv /etc /moved 2>/dev/null && bad=1
[ -s /etc/passwd ] && [ -x /bin/busybox ] || bad=1
exit $bad' "[layers]
alpine = '3.20'"
    for _ in 1 2 3 4; do
        # shellcheck disable=SC2046
        ids=$(squish create $(yes spoil.toml | head -25))
        assert_equal "$(wc -w <<<"$ids")" 25
        # shellcheck disable=SC2086
        assert_equal "$(squish wait $ids | sort | uniq -c | tr -s ' ')" " 25 0"
        # shellcheck disable=SC2086
        squish rm $ids >/dev/null
    done
    run -0 --separate-stderr squish layer verify
    assert_matches "$output" '^[0-9a-f]{64}: ok$'
}

@test "the files of a layer are the same for all: one copy in memory" {
    start_web "$MIRROR"
    use_mirrors "$WEB"
    script='stat -c "%d %i" /bin/busybox; awk "/busybox/ && \$2 ~ /x/ { print \$4, \$5 }" /proc/self/maps'
    first=$(create_shell "$script; echo done; sleep 60" "[layers]
alpine = '3.20'")
    second=$(create_shell "$script; echo done; sleep 60" "[layers]
alpine = '3.20'")
    wait_for 10 bash -c "squish logs $first | grep -q done && squish logs $second | grep -q done"
    assert_equal "$(squish logs "$first")" "$(squish logs "$second")"
    assert_matches "$(squish logs "$first")" '^[0-9]+ [0-9]+
[0-9a-f]+:[0-9a-f]+ [1-9][0-9]*
'
    # Also where the container needs mount points that the layer lacks.
    third=$(create_shell "$script; echo done; sleep 60" "[layers]
alpine = '3.20'
file = { path = './file', target = '/very/new' }" 2>/dev/null || true)
    [ -z "$third" ] || fail "a missing file was mounted"
    echo x >file
    third=$(shell_file third.toml "$script; echo done; sleep 60" "[layers]
alpine = '3.20'
file = { path = '$DIR/file', target = '/very/new' }" && squish create third.toml)
    wait_for 10 bash -c "squish logs $third | grep -q done"
    assert_equal "$(squish logs "$third" | awk 'NR == 2 { print $2 }')" "$(squish logs "$first" | awk 'NR == 2 { print $2 }')"
}

@test "two commands that want the same layer download it once" {
    start_web "$MIRROR" --fault slow=2000000,only=tar.gz
    use_mirrors "$WEB"
    for n in 1 2 3 4; do
        squish layer pull alpine@3.20 >"out$n" 2>"err$n" 3>&- &
        pulls[n]=$!
    done
    for n in 1 2 3 4; do wait "${pulls[n]}" || fail "$(cat "err$n")"; done
    assert_equal "$(sort -u out1 out2 out3 out4 | wc -l)" 1
    assert_equal "$(requests 'tar.gz ')" 1
    assert_stored "$(digest_of alpine)"
}

# --- archives ------------------------------------------------------------------------------------------------------

make_tree() {
    mkdir -p "$1/bin" "$1/etc"
    echo one >"$1/etc/one"
    printf '#!/bin/sh\necho tool "$@"\n' >"$1/bin/tool"
    chmod 0755 "$1/bin/tool"
    ln -s ../etc/one "$1/bin/link"
    ln "$1/etc/one" "$1/etc/again"
}
make_archives() { # TREE: every format, as bundle.*
    (cd "$1" && zip -qry "$DIR/bundle.zip" .)
    tar -C "$1" -cf bundle.tar .
    gzip -nk bundle.tar && bzip2 -k bundle.tar && xz -k bundle.tar && zstd -q bundle.tar
}

@test "archives of every format unpack themselves, whatever they are called" {
    make_tree tree
    make_archives tree
    for format in zip tar tar.gz tar.bz2 tar.xz tar.zst; do
        cp bundle.$format "plain-name-$format"
        for file in bundle.$format "plain-name-$format"; do
            run --separate-stderr in_shell '/b/bin/tool; cat /b/bin/link; [ -x /b/bin/tool ] && echo x; (echo y >/b/etc/one) 2>/dev/null || echo ro' "[layers]
b = { path = './$file', target = '/b' }"
            assert_status 0
            assert_equal "$format: $output" "$format: tool
one
x
ro"
        done
    done
    # The copies had the same bytes: they are stored once.
    assert_equal "$(squish layer ls -q | wc -l)" 6
    run -0 --separate-stderr squish layer verify
    assert_equal "$(grep -c ': ok$' <<<"$output")" 6
}

@test "unpack = false mounts the archive itself" {
    make_tree tree
    make_archives tree
    run -0 in_shell 'wc -c </b; sha256sum </b' "[layers]
two = { path = './bundle.zip', unpack = false, target = '/b' }"
    assert_equal "${lines[0]}" "$(stat -c %s bundle.zip)"
    assert_equal "${lines[1]}" "$(sha256sum <bundle.zip)"
    squish layer prune 2>/dev/null
    assert_equal "$(squish layer ls -q)" ""
}

@test "an archive that changed is unpacked anew" {
    make_tree tree
    tar -C tree -cf b.tar .
    toml="[layers]
b = { path = './b.tar', target = '/b' }"
    assert_equal "$(in_shell 'cat /b/etc/one' "$toml")" one
    echo two >tree/etc/one
    tar -C tree -cf b.tar .
    assert_equal "$(in_shell 'cat /b/etc/one' "$toml")" two
}

@test "an archive cannot be mounted rw" {
    make_tree tree
    tar -C tree -cf b.tar .
    run --separate-stderr in_shell true "[layers]
b = { path = './b.tar', target = '/b', rw = true }"
    [ "$status" -eq 125 ] || [ "$status" -eq 2 ] || fail "status $status"
    assert_message "cannot be mounted rw"
    assert_no_container
}

@test "a layer by URL, with and without its digest" {
    make_tree tree
    mkdir web
    tar -C tree -c . | zstd -q >web/b.tar.zst
    start_web web
    digest=$(sha256sum web/b.tar.zst | cut -d' ' -f1)
    assert_equal "$(in_shell 'cat /b/etc/one' "[layers]
b = { url = '$WEB/b.tar.zst', sha256 = '$digest', target = '/b' }")" one
    assert_equal "$(requests)" 1
    assert_equal "$(in_shell 'cat /b/etc/one' "[layers]
b = { url = '$WEB/b.tar.zst', target = '/b' }")" one
    asked=$(requests)
    assert_equal "$(in_shell 'cat /b/etc/one' "[layers]
b = { url = '$WEB/b.tar.zst', target = '/b' }")" one
    assert_equal "$(requests)" "$asked"
    assert_stored "$digest"
}

@test "a URL whose content has another digest is refused, and nothing of it is kept" {
    make_tree tree
    mkdir web
    tar -C tree -c . | gzip >web/b.tgz
    start_web web
    wrong=$(printf 0%.0s {1..64})
    run --separate-stderr in_shell true "[layers]
b = { url = '$WEB/b.tgz', sha256 = '$wrong', target = '/b' }"
    assert_status 125
    assert_message "$wrong"
    assert_contains "$stderr" "$(sha256sum web/b.tgz | cut -d' ' -f1)"
    assert_contains "$stderr" "$WEB/b.tgz"
    assert_stored
    assert_no_container
}

@test "a program given by its URL can be executed" {
    mkdir web
    cp "$E2E_TESTBIN" web/tool
    chmod 0644 web/tool
    start_web web
    run -0 in_shell '/opt/tool/x env | grep ^GREETING=; ls -l /opt/tool/x | cut -c1-10' "[env]
GREETING = 'hello'
[layers]
tool = { url = '$WEB/tool', target = '/opt/tool/x' }"
    assert_contains "$output" GREETING=hello
    assert_contains "$output" -rwx
}

@test "files of other ids belong to them in the container" {
    mkdir tree
    for id in 0 33 1000 65534; do echo "$id" >"tree/f$id"; done
    /usr/bin/python3 - <<'PYTHON'
import tarfile
with tarfile.open("ids.tar", "w") as tar:
    for id in (0, 33, 1000, 65534):
        info = tar.gettarinfo(f"tree/f{id}", f"f{id}")
        info.uid = info.gid = id
        info.uname = info.gname = ""
        info.mode = 0o600
        tar.addfile(info, open(f"tree/f{id}", "rb"))
PYTHON
    run -0 --separate-stderr in_shell 'cd /t && stat -c "%n %u:%g %a" *' "[layers]
t = { path = './ids.tar', target = '/t' }"
    assert_equal "$output" "f0 0:0 600
f1000 1000:1000 600
f33 33:33 600
f65534 65534:65534 600"
    run -0 --separate-stderr squish layer verify
    # On the host nobody else gets at them.
    assert_equal "$(stat -c %a "$STORE")" 700
}

# --- squish layer --------------------------------------------------------------------------------------------------

@test "layer ls, as a table, as JSON, and digests alone" {
    make_tree tree
    digest=$(squish layer import tree --name tool --version 1.2.3)
    assert_full_id "$digest"
    run -0 squish layer ls
    assert_matches "${lines[0]}" '^DIGEST +NAME +VERSION +SIZE +FILES +ADDED +USED BY$'
    assert_matches "${lines[1]}" "^${digest:0:12} +tool +1\.2\.3 "
    assert_equal "$(squish layer ls -q)" "$digest"
    assert_equal "$(squish layer ls --json | json '[0]["digest"]')" "$digest"
    assert_equal "$(squish layer ls --json | json '[0]["refs"][0]["version"]')" 1.2.3
    assert_equal "$(squish layer ls --json | json '[0]["containers"]')" "[]"
    id=$(create_shell 'sleep 60' $'[layers]\ntool = "1.2"')
    assert_equal "$(squish layer ls --json | json '[0]["containers"]')" "[\"$(squish inspect "$id" | json '[0]["name"]')\"]"
}

@test "import takes folders and archives, and refuses what is none" {
    make_tree tree
    make_archives tree
    for what in tree bundle.zip bundle.tar bundle.tar.gz bundle.tar.bz2 bundle.tar.xz bundle.tar.zst; do
        run --separate-stderr squish layer import "$what" --name x --version "1.0.$((++n))"
        assert_status 0
        assert_full_id "$output"
        assert_equal "$what $(in_shell '/sdk/x/bin/tool' $'[layers]\nx = "1.0.'"$n\"")" "$what tool"
    done
    # An archive is stored under its own digest.
    assert_equal "$(squish layer import bundle.tar.gz)" "$(sha256sum bundle.tar.gz | cut -d' ' -f1)"
    echo plain >plain
    run --separate-stderr squish layer import plain
    assert_not_equal "$status" 0
    assert_message "no archive"
    run --separate-stderr squish layer import missing
    assert_not_equal "$status" 0
    assert_message missing
    run --separate-stderr squish layer import bundle.zip --sha256 "$(printf 0%.0s {1..64})"
    assert_not_equal "$status" 0
    assert_message "not 0000"
    stored=$(squish layer ls -q)
    for what in tar.gz tar.bz2 tar.xz tar.zst zip; do
        head -c $(($(stat -c %s "bundle.$what") * 2 / 3)) "bundle.$what" >"cut.$what"
        run --separate-stderr squish layer import "cut.$what"
        [ "$status" -ne 0 ] || fail "$what: cut short, and taken"
        assert_message "cut.$what"
    done
    # shellcheck disable=SC2086
    assert_stored $stored
}

@test "what a container uses is neither removed nor pruned" {
    make_tree tree
    used=$(squish layer import tree --name used --version 1)
    echo two >tree/etc/one
    free=$(squish layer import tree --name free --version 1)
    id=$(create_shell 'cat /sdk/used/etc/one; sleep 60' $'[layers]\nused = "1"')
    name=$(squish inspect "$id" | json '[0]["name"]')
    run --separate-stderr squish layer rm used
    assert_not_equal "$status" 0
    assert_message "$name"
    run --separate-stderr squish layer prune
    assert_status 0
    assert_equal "$output" "$free"
    assert_stored "$used"
    # One that has ended uses it still: it can be looked at.
    squish stop -t 0 "$id"
    run --separate-stderr squish layer rm used@1
    assert_not_equal "$status" 0
    squish rm "$id"
    run --separate-stderr squish layer rm used@1
    assert_status 0
    assert_equal "$output" "$used"
    assert_stored
}

@test "layers whose files nobody may touch can be removed" {
    mkdir tree
    /usr/bin/python3 - <<'PYTHON'
import io, tarfile
with tarfile.open("locked.tar", "w") as tar:
    for name, mode in (("locked", 0o000), ("locked/in", 0o000), ("locked/in/deep", 0o000)):
        info = tarfile.TarInfo(name)
        info.type, info.mode, info.uid = tarfile.DIRTYPE, mode, 1234
        tar.addfile(info)
    info = tarfile.TarInfo("locked/in/deep/file")
    info.size, info.mode, info.uid = 4, 0, 4321
    tar.addfile(info, io.BytesIO(b"file"))
PYTHON
    digest=$(squish layer import locked.tar)
    run -0 squish layer verify "$digest"
    squish layer rm "$digest"
    assert_stored
}

@test "verify names the file in which a single bit changed" {
    start_web "$MIRROR"
    use_mirrors "$WEB"
    squish layer pull alpine@3.20 alpine@3.14
    digest=$(digest_of alpine@3.20.3)
    run -0 --separate-stderr squish layer verify alpine@3.20.3 # what takes long tells of it on stderr
    assert_equal "$output" "alpine@3.20.3: ok"
    file=$(tree_of "$digest")/etc/passwd
    mode=$(stat -c %a "$file") time=$(stat -c %y "$file")
    chmod u+w "$file"
    /usr/bin/python3 -c 'import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(10); byte = f.read(1)[0]; f.seek(10); f.write(bytes([byte ^ 1]))' "$file"
    chmod "$mode" "$file"
    touch -d "$time" "$file"
    run squish layer verify
    assert_status 1
    assert_contains "$output" "$digest: damaged"
    assert_contains "$output" "etc/passwd"
    assert_contains "$output" "$(digest_of alpine@3.14.10): ok"
    assert_equal "$(squish layer verify --json alpine@3.14.10 | json '[0]["findings"]')" "[]"
    # Also what is new, what is gone, and another mode.
    tree=$(tree_of "$digest")
    echo x >"$tree/etc/new"
    rm "$tree/etc/hostname"
    chmod 0666 "$tree/etc/group"
    run squish layer verify "$digest"
    assert_status 1
    for name in etc/passwd etc/new etc/hostname etc/group; do assert_contains "$output" "$name"; done
}

@test "unknown layers are refused by name" {
    for command in rm verify; do
        run --separate-stderr squish layer $command nothing@1
        assert_not_equal "$status" 0
        assert_message nothing@1
    done
    run --separate-stderr squish layer pull nothing@1
    assert_not_equal "$status" 0
    assert_message nothing
    run --separate-stderr squish layer frobnicate
    assert_status 2
}
