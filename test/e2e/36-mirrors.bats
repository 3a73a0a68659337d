# Mirrors that misbehave: a correct layer by resuming or from the next mirror, or a clear error; never something partial.
load helpers
load layers

setup_file() {
    e2e_setup_file
    export MIRROR=$E2E_FILE_DIR/mirror
    make_mirror "$MIRROR" 3.14.10 3.20.3
    cp -R "$MIRROR/v3.20" "$MIRROR/latest-stable"
    DIGEST=$(cut -d' ' -f1 "$MIRROR"/v3.20/releases/x86_64/*.sha256)
    SIZE=$(stat -c %s "$MIRROR"/v3.20/releases/x86_64/*.tar.gz)
    export DIGEST SIZE
}
setup() { layers_setup; }
teardown() { layers_teardown; }

ARCHIVE=only=.tar.gz # of a fault: the archive is spoilt, the list is not

# Pulls, and what there is afterwards is right.
assert_pulled() {
    run --separate-stderr squish layer pull alpine@3.20
    assert_status 0
    assert_equal "$output" "alpine@3.20.3 $DIGEST"
    assert_stored "$DIGEST"
    assert_equal "$(squish layer verify)" "$DIGEST: ok"
}
# Pulls in vain, within the deadline; nothing is kept that anybody could take for a layer.
assert_refused() { # [SECONDS]
    local before=$SECONDS
    run --separate-stderr squish layer pull alpine@3.20
    [ "$status" -ne 0 ] || fail "it was pulled: $output"
    [ $((SECONDS - before)) -le $((${1-20} * ${E2E_SLOWNESS-1})) ] || fail "it took $((SECONDS - before)) s"
    assert_matches "$stderr" '(^|
)squish: '
    assert_stored
}

@test "where no mirror can be reached, each is named with its reason" {
    one=http://127.0.0.1:$(free_port)/alpine two=http://127.0.0.1:$(free_port)
    start_web "$DIR"
    use_mirrors "$one" "$two" "$WEB"
    run --separate-stderr in_shell true $'[layers]\nalpine = "3.20"'
    assert_status 125
    assert_message "3.20"
    for url in "$one/v3.20/releases/x86_64/latest-releases.yaml" "$two/v3.20/releases/x86_64/latest-releases.yaml"; do
        assert_contains "$stderr" "$url"
    done
    assert_matches "$stderr" '[Rr]efused|connect'
    assert_stored
    assert_no_container
    use_mirrors "http://no-such-host.invalid"
    run --separate-stderr in_shell true $'[layers]\nalpine = "3.20"'
    assert_status 125
    assert_message "http://no-such-host.invalid/v3.20/releases/x86_64/latest-releases.yaml"
    assert_matches "$stderr" '[Rr]esolve'
}

@test "without a network, what is stored will do" {
    start_web "$MIRROR"
    use_mirrors "$WEB"
    assert_pulled
    stop_web
    use_mirrors "http://127.0.0.1:$(free_port)"
    assert_equal "$(in_shell 'cat /etc/alpine-release' $'[layers]\nalpine = "3.20"')" 3.20.3
    run --separate-stderr in_shell true $'[layers]\nalpine = "3.14"'
    assert_status 125
    assert_message "v3.14"
}

@test "a version that no mirror has" {
    start_web "$MIRROR"
    use_mirrors "$WEB"
    for version in 9.9 3.19 3.20.4 '>=4' '<3.10'; do
        run --separate-stderr in_shell true "[layers]
alpine = '$version'"
        assert_status 125
        assert_message "$version"
    done
    run --separate-stderr in_shell true $'[layers]\nalpine = "not a version"'
    assert_status 2
    assert_stored
}

@test "a mirror that lies is refused, alone, and the next one takes over" {
    start_web "$MIRROR"
    good=$WEB
    for fault in wrong_byte=0 wrong_byte=$((SIZE / 2)) wrong_byte=$((SIZE - 1)) longer=10 shorter=10 longer=1000000000 \
        endless status=404 status=403 status=500 status=503 html redirect_loop redirect=ftp://127.0.0.1/x \
        redirect=file:///etc/passwd reset cut_headers; do
        start_web "$MIRROR" --fault "$fault,$ARCHIVE"
        fresh_store
        use_mirrors "$WEB"
        assert_refused
        assert_contains "$fault: $stderr" "$WEB/v3.20/releases/x86_64/alpine-minirootfs-3.20.3-x86_64.tar.gz"
        use_mirrors "$WEB" "$good"
        assert_pulled
    done
}

@test "a list that is none leaves the question to the next mirror" {
    start_web "$MIRROR"
    good=$WEB
    for fault in status=500 html redirect_loop reset cut_headers endless; do
        start_web "$MIRROR" --fault "$fault,only=latest-releases.yaml"
        fresh_store
        use_mirrors "$WEB"
        assert_refused
        assert_contains "$fault: $stderr" "$WEB/v3.20/releases/x86_64/latest-releases.yaml"
        use_mirrors "$WEB" "$good"
        assert_pulled
    done
}

@test "an archive that is not what the list says is refused" {
    cp -R "$MIRROR" mirror
    list=mirror/v3.20/releases/x86_64/latest-releases.yaml
    start_web mirror
    zeros=$(printf 0%.0s {1..64})
    for change in "s/^  sha256: .*/  sha256: $zeros/" "s/^  sha512: .*/  sha512: $zeros$zeros/" 's/^  size: .*/  size: 1234/'; do
        cp "$MIRROR/v3.20/releases/x86_64/latest-releases.yaml" $list
        sed -i "$change" $list
        fresh_store
        use_mirrors "$WEB"
        assert_refused
        assert_contains "$stderr" "$WEB"
    done
    # A list that leads elsewhere is none: the name of the file follows from the version.
    for file in ../../../../../etc/passwd /etc/passwd http://127.0.0.1/x; do
        sed "s|^  file: .*|  file: $file|" "$MIRROR/v3.20/releases/x86_64/latest-releases.yaml" >$list
        fresh_store
        use_mirrors "$WEB"
        assert_refused
        assert_contains "$stderr" "its file is '$file' instead of 'alpine-minirootfs-3.20.3-x86_64.tar.gz'"
    done
    assert_equal "$(grep -c passwd "$WEB_LOG" || true)" 0
}

@test "a download that breaks off at any tenth is resumed" {
    for tenth in 0 1 2 3 4 5 6 7 8 9; do
        start_web "$MIRROR" --fault "break_at_tenth=$tenth,$ARCHIVE,times=1"
        fresh_store
        use_mirrors "$WEB"
        assert_pulled
        # What had come was not sent again.
        sent=$(awk '$4 ~ /tar.gz$/ { n += $2 } END { print n }' "$WEB_LOG")
        [ "$tenth" -eq 0 ] || grep -q 'tar.gz bytes=[1-9]' "$WEB_LOG" || fail "tenth $tenth: no Range: $(cat "$WEB_LOG")"
        [ "$sent" -le $((SIZE + 1)) ] || fail "tenth $tenth: $sent bytes were sent of a file of $SIZE"
    done
}

@test "a download that breaks off again and again comes to its end" {
    start_web "$MIRROR" --fault "break_at_tenth=3,$ARCHIVE,times=6"
    use_mirrors "$WEB"
    assert_pulled
    # A server that cannot resume and always breaks off is left for the next, for good.
    start_web "$MIRROR" --fault "break_at_tenth=5,$ARCHIVE" --fault "no_range,$ARCHIVE"
    other=$WEB
    fresh_store
    use_mirrors "$other"
    assert_refused
    assert_contains "$stderr" "$other"
    start_web "$MIRROR"
    fresh_store
    use_mirrors "$other" "$WEB"
    assert_pulled
    # Where it breaks off once, from the first byte.
    for fault in no_range no_validators new_etag wrong_range; do
        start_web "$MIRROR" --fault "break_at_tenth=5,$ARCHIVE,times=1" --fault "$fault,$ARCHIVE"
        other=$WEB
        start_web "$MIRROR"
        fresh_store
        use_mirrors "$other" "$WEB"
        assert_pulled
    done
}

@test "what one mirror began, the next completes" {
    start_web "$MIRROR" --fault "break_at_tenth=6,$ARCHIVE,times=1" --fault "status=500,$ARCHIVE,skip=1"
    first=$WEB
    start_web "$MIRROR"
    use_mirrors "$first" "$WEB"
    assert_pulled
    grep -q 'tar.gz bytes=[1-9]' "$WEB_LOG" || fail "from the first byte: $(cat "$WEB_LOG")"
}

@test "what a failed pull has got is taken up by the next, also after the daemon went" {
    start_web "$MIRROR" --fault "break_at_tenth=7,$ARCHIVE,times=1" --fault "status=500,$ARCHIVE,skip=1,times=20"
    use_mirrors "$WEB"
    assert_refused 60
    [ -s "$STORE/downloads/sha256-$DIGEST" ] || fail "nothing was kept: $(ls -l "$STORE/downloads")"
    start_web "$MIRROR"
    use_mirrors "$WEB"
    assert_pulled
    sent=$(awk '$4 ~ /tar.gz$/ { n += $2 } END { print n }' "$WEB_LOG")
    [ "$sent" -le $((SIZE * 4 / 10)) ] || fail "$sent bytes of $SIZE were sent again"
    assert_equal "$(ls "$STORE/downloads")" ""
}

@test "mirrors that never answer, that stop, and that crawl are left for the next within the deadline" {
    faults=("silent,$ARCHIVE" "silent_body,$ARCHIVE" "slow=100,$ARCHIVE" "silent,only=latest-releases.yaml")
    mirrors=()
    for fault in "${faults[@]}"; do
        start_web "$MIRROR" --fault "$fault"
        mirrors+=("$WEB")
    done
    start_web "$MIRROR"
    # All at the same time, each with a store of its own. Afterwards the first alone, which must give up.
    for n in 0 1 2 3; do
        (
            export XDG_DATA_HOME=$DIR/d$n XDG_RUNTIME_DIR=$DIR/r$n XDG_CONFIG_HOME=$DIR/c$n
            mkdir -m 0700 "$XDG_RUNTIME_DIR"
            use_mirrors "${mirrors[n]}" "$WEB"
            status=0
            began=$SECONDS
            squish layer pull alpine@3.20 >"out$n" 2>"err$n" || status=$?
            squish layer verify >>"out$n" 2>"verify$n" || status=99
            use_mirrors "${mirrors[n]}"
            export XDG_DATA_HOME=$DIR/e$n
            squish daemon stop
            alone=0
            squish layer pull alpine@3.20 >"alone$n" 2>&1 || alone=$?
            [ -z "$(squish layer ls -q)" ] || alone=0
            squish daemon stop --containers >/dev/null 2>&1 || true
            echo "$status $alone $((SECONDS - began))" >"done$n"
        ) 3>&- &
    done
    wait_for 600 eval '[ -s done0 ] && [ -s done1 ] && [ -s done2 ] && [ -s done3 ]'
    for n in 0 1 2 3; do
        read -r status alone seconds <"done$n"
        assert_equal "${faults[n]}: $status $(cat "out$n")" "${faults[n]}: 0 alpine@3.20.3 $DIGEST
$DIGEST: ok"
        [ "$alone" -ne 0 ] || fail "${faults[n]}: alone it was pulled: $(cat "alone$n")"
        assert_contains "$(cat "alone$n")" "${mirrors[n]}"
        [ "$seconds" -le $((80 * ${E2E_SLOWNESS-1})) ] || fail "${faults[n]}: $seconds s"
    done
}
