#!/bin/bash
# run.sh [PHASE…]: every test, and one line at the end: "N passed, N failed". Called by `./setup.sh test`.
#
# How this works
#   release      the optimised build, which the end-to-end tests use
#   lint         include directions, clang-format, clang-tidy, shell syntax, man pages
#   unit         ctest, label unit and lint, in release
#   integration  ctest, label integration, in release: real namespaces
#   e2e          test/test-e2e.sh: the installed binaries
#   vm           test/vm/suite.sh: limits and all that hangs on them, in a virtual machine with systemd and cgroup v2
#   asan         the build with ASan and UBSan, and its unit and integration tests
#   fuzz         each target of the fuzz build for SQUISH_FUZZ_SECONDS (20)
#   What needs namespaces runs as an unprivileged user with subordinate ids: as root that is the account squish-test,
#   else it is the caller. A clone which that user cannot read (one below /root, say) is mirrored to a place where it
#   can, and everything happens there.
set -euo pipefail
umask 022
export LC_ALL=C.UTF-8
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly ROOT
cd "$ROOT"
. scripts/setup/common.sh
. scripts/setup/packages.sh
. scripts/setup/machine.sh
. scripts/setup/build.sh
. test/lib/user.sh
. test/lib/phases.sh

ALL_PHASES=(release lint unit integration e2e vm asan fuzz)
if [ "${CI-}" = true ]; then
    export SQUISH_TESTS_MUST_RUN=1 SQUISH_WERROR=ON
fi

# Run again in a copy of the clone, where its user cannot read it. The copy is kept: the second time only what changed is built.
mirror_if_unreadable() { # ARGS…
    [ -z "${SQUISH_TEST_MIRROR-}" ] && is_root || return 0
    local probe
    probe=$(make_test_folder squish-probe)
    if as_test_user "$probe" test -r "$ROOT/test/e2e/helpers.bash" -a -r "$ROOT/CMakeLists.txt" -a -x "$ROOT/test/test-e2e.sh"; then
        rm -rf "$probe"
        return 0
    fi
    rm -rf "$probe"
    local mirror
    mirror=/var/cache/squish-test/$(printf '%s' "$ROOT" | sha256sum | cut -c1-12)
    say "$TEST_USER cannot read '$ROOT': the tests run in the copy '$mirror'"
    mkdir -p "$mirror"
    tar --exclude=./build --exclude=./.git --mode='u=rwX,go=rX' -cf - . | tar -C "$mirror" --no-same-owner -xpf -
    (cd "$mirror" && find . -path ./build -prune -o -type f -print) | while read -r file; do
        [ -e "$file" ] || rm -f "$mirror/$file"
    done
    SQUISH_ALPINE_MIRROR=${SQUISH_ALPINE_MIRROR-$ROOT/../shared/alpine-mirror} SQUISH_TEST_MIRROR=1 exec "$mirror/test/run.sh" "$@"
}

# ctest as the test user. It writes its report beside its top folder, and the build is not the test user's: so the
# top is a folder of theirs that only refers to the build.
run_ctest() { # PRESET LABELS JOBS
    local folder status=0
    folder=$(make_test_folder squish-ctest)
    printf 'subdirs("%s")\n' "$ROOT/build/$1" >"$folder/CTestTestfile.cmake"
    as_test_user "$folder" ctest --test-dir "$folder" -L "^($2)\$" -j "$3" --timeout 180 --output-on-failure \
        --no-tests=error --output-junit "$folder/report.xml" || status=$?
    # shellcheck disable=SC2046 # three numbers
    [ ! -s "$folder/report.xml" ] || count $(read_junit "$folder/report.xml")
    if ! kill_leftovers "$ROOT/build/$1"; then
        count 0 1
        status=1
    fi
    rm -rf "$folder"
    return "$status"
}

# In a subshell: a build that fails ends its phase and not the run.
build_preset() { (run_build "$@"); }

# For phases that are asked for without the phase `release`.
RELEASE=unknown
need_release() {
    if [ $RELEASE = unknown ]; then
        RELEASE=failed
        if build_preset release; then RELEASE=built; fi
    fi
    [ $RELEASE = built ] || { echo "the release build failed" && return 1; }
}

phase_ctest() { # LABELS JOBS
    need_release || return 1
    run_ctest release "$@"
}

# While the end-to-end tests wait for one thing or another, what the phases behind them need is compiled, at the lowest
# priority and with its output put aside: the phase itself builds again, which shows what went wrong.
AHEAD=
WANTED=() # all phases of this run
build_ahead() {
    local one presets=()
    [ -z "$AHEAD" ] || return 0
    for one in "${WANTED[@]}"; do
        case $one in asan | fuzz) presets+=("$one") ;; esac
    done
    [ ${#presets[@]} -gt 0 ] || return 0
    (
        renice -n 19 -p "$BASHPID"
        for one in "${presets[@]}"; do
            if [ "$one" = fuzz ]; then build_preset fuzz fuzz-targets; else build_preset "$one"; fi
        done
    ) >/dev/null 2>&1 </dev/null &
    AHEAD=$!
}
finish_ahead() {
    [ -z "$AHEAD" ] || wait "$AHEAD" || true
    AHEAD=
}

phase_asan() {
    finish_ahead
    build_preset asan || return 1
    run_ctest asan 'unit|integration' 2
}

phase_lint() {
    local name status
    while read -r name status; do
        case $status in
            ok) count 1 0 ;;
            skipped) count 0 0 1 ;;
            *) count 0 1 ;;
        esac
        printf '%-22s %s\n' "$name" "$status"
    done < <(test/lint/lint.sh --report includes format tidy shell man)
    [ "${FAILED:-0}" -eq 0 ]
}

phase_e2e() {
    local report status=0
    need_release || return 1
    build_ahead
    report=$(mktemp)
    SQUISH_E2E_REPORT=$report SQUISH_E2E_PREPARED=1 test/test-e2e.sh || status=$?
    # shellcheck disable=SC2046 # three numbers
    [ ! -s "$report" ] || count $(read_tap "$report")
    rm -f "$report"
    return "$status"
}

phase_vm() {
    local program folder status=0
    for program in qemu-system-x86_64 mmdebstrap mke2fs; do
        if ! PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null; then
            echo "no $program here: nothing is run in a virtual machine (remedy: ./setup.sh deps vm)"
            count 0 0 1
            return 0
        fi
    done
    need_release || return 1
    build_ahead
    folder=$(mktemp -d /tmp/squish-vm-phase.XXXXXX)
    if cmake --install build/release --prefix "$folder/prefix" >"$folder/install.log" 2>&1; then
        VM_TIMEOUT=${VM_TIMEOUT-1500} SQUISH_VM_REPORT=$folder/report test/vm/suite.sh "$folder/prefix" || status=$?
    else
        cat "$folder/install.log"
        status=1
    fi
    # shellcheck disable=SC2046 # three numbers
    [ ! -s "$folder/report" ] || count $(read_tap "$folder/report")
    rm -rf "$folder"
    return "$status"
}

# Two targets at a time, each from its corpus, in a folder of the test user's; a crash leaves its input in build/fuzz/crashes.
phase_fuzz() {
    if ! compgen -G 'test/fuzz/*_fuzz.cpp' >/dev/null; then
        echo "no fuzz targets"
        count 0 0
        return 0
    fi
    finish_ahead
    build_preset fuzz fuzz-targets || return 1
    local folder target name running=0
    folder=$(make_test_folder squish-fuzz)
    for target in build/fuzz/bin/fuzz-*; do
        name=$(basename "$target")
        mkdir -p "$folder/$name/new" "$folder/$name/crashes"
        local seeds=()
        [ ! -d "test/fuzz/corpus/${name#fuzz-}" ] || seeds=("$ROOT/test/fuzz/corpus/${name#fuzz-}")
        [ ! -f "test/fuzz/${name#fuzz-}.dict" ] || seeds+=(-dict="$ROOT/test/fuzz/${name#fuzz-}.dict")
        if is_root; then chown -R "$TEST_USER:" "$folder/$name"; fi
        (
            as_test_user "$folder/$name" "$ROOT/$target" -max_total_time="${SQUISH_FUZZ_SECONDS:-20}" -timeout=10 \
                -rss_limit_mb=1024 -print_final_stats=1 -artifact_prefix="$folder/$name/crashes/" \
                "$folder/$name/new" "${seeds[@]}" >"$folder/$name/log" 2>&1
            echo $? >"$folder/$name/status"
        ) &
        running=$((running + 1))
        [ $((running % 2)) -ne 0 ] || wait
    done
    wait
    for target in build/fuzz/bin/fuzz-*; do
        name=$(basename "$target")
        if [ "$(cat "$folder/$name/status" 2>/dev/null)" = 0 ]; then
            count 1 0
            printf '%-32s %s\n' "$name" "$(awk '/number_of_executed_units/ { print $2 " inputs" }' "$folder/$name/log")"
        else
            count 0 1
            mkdir -p build/fuzz/crashes
            cp "$folder/$name"/crashes/* build/fuzz/crashes 2>/dev/null || true
            printf '%-32s FAILED (input in build/fuzz/crashes)\n' "$name"
            tail -n 60 "$folder/$name/log"
        fi
    done
    rm -rf "$folder"
    [ "$FAILED" -eq 0 ]
}

main() {
    local phases=("$@") one
    [ ${#phases[@]} -gt 0 ] || phases=("${ALL_PHASES[@]}")
    for one in "${phases[@]}"; do
        [[ " ${ALL_PHASES[*]} " == *" $one "* ]] || die "unknown phase '$one' (one of: ${ALL_PHASES[*]})"
    done
    WANTED=("${phases[@]}")
    [ -n "${SQUISH_TEST_MIRROR-}" ] || run_deps
    make_test_user
    mirror_if_unreadable "$@"
    for one in "${phases[@]}"; do
        case $one in # a function in a condition: its failure is counted, and the next phase runs
            release) phase release need_release ;;
            lint) phase lint phase_lint ;;
            unit) phase unit phase_ctest 'unit|lint' 2 ;;
            integration) phase integration phase_ctest integration 1 ;;
            e2e) phase e2e phase_e2e ;;
            vm) phase vm phase_vm ;;
            asan) phase asan phase_asan ;;
            fuzz) phase fuzz phase_fuzz ;;
        esac || true
    done
    summary
}
main "$@"
