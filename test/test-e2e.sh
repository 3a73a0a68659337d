#!/bin/bash
# test-e2e.sh [bats arguments]: the end-to-end tests, test/e2e/*.bats, against an installation made for them.
#
# How this works
#   The release build is installed into a prefix below /tmp, with the tests and their payload beside it, so that an
#   unprivileged user can read everything wherever the clone is. As root the tests run as the account squish-test, else
#   as the caller, in an environment made from nothing (test/lib/user.sh). At the end nothing may be left running; what
#   is left is killed, named, and makes the run fail.
#
#   ./test/test-e2e.sh                          all of them
#   ./test/test-e2e.sh -f 'port'                those whose name matches
#   ./test/test-e2e.sh test/e2e/10-promises.bats
#
#   SQUISH_E2E_REPORT=FILE   where to put a TAP report       SQUISH_E2E_PREPARED=1   packages and build are in order
#   SQUISH_E2E_KEEP=1        keep the folder                 SQUISH_E2E_PREFIX=DIR   test this installation
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

STAGE=''
# shellcheck disable=SC2317 # called by the trap
clean_up() {
    local status=$?
    trap - EXIT
    if [ -n "$STAGE" ]; then
        if ! kill_leftovers "$STAGE"; then
            echo "test-e2e: the tests left processes behind: that is a failure" >&2
            [ "$status" -ne 0 ] || status=1
        fi
        if [ -n "${SQUISH_E2E_KEEP-}" ]; then
            echo "test-e2e: kept $STAGE" >&2
        else
            remove_tree "$STAGE"
        fi
    fi
    exit "$status"
}

# shellcheck disable=SC2317
# Containers may leave files of subordinate ids in the tests' folders; only their user namespace may remove those.
remove_tree() {
    rm -rf "$1" 2>/dev/null || unshare --map-root-user --map-auto rm -rf "$1" 2>/dev/null || rm -rf "$1"
}

if [ -z "${SQUISH_E2E_PREPARED-}" ]; then
    run_deps
    run_build release
fi
[ -x build/release/test/testbin ] || die "build/release is not complete (run './setup.sh build')"
make_test_user

trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
STAGE=$(mktemp -d /tmp/squish-e2e.XXXXXX)
chmod 0755 "$STAGE"
mkdir "$STAGE/w"
if is_root; then chown "$TEST_USER:" "$STAGE/w"; fi

if [ -n "${SQUISH_E2E_PREFIX-}" ]; then
    E2E_PREFIX=$SQUISH_E2E_PREFIX
else
    E2E_PREFIX=$STAGE/prefix
    cmake --install build/release --prefix "$E2E_PREFIX" >"$STAGE/install.log" 2>&1 || {
        cat "$STAGE/install.log" >&2
        die "the installation into '$E2E_PREFIX' failed"
    }
fi
mkdir -p "$STAGE/test"
cp -R test/e2e "$STAGE/test/"
install -m 0755 build/release/test/testbin "$STAGE/test/testbin"
E2E_STAGE=$STAGE E2E_TESTBIN=$STAGE/test/testbin E2E_EXAMPLES=$E2E_PREFIX/share/squish/examples
BATS_TEST_TIMEOUT=${BATS_TEST_TIMEOUT-120}
export E2E_PREFIX E2E_STAGE E2E_TESTBIN E2E_EXAMPLES BATS_TEST_TIMEOUT

# Arguments that name files of test/e2e are meant as their staged copies; no file means all.
arguments=() files=no
for argument in "$@"; do
    case $argument in
        *.bats)
            arguments+=("$STAGE/test/e2e/$(basename "$argument")")
            files=yes
            ;;
        *) arguments+=("$argument") ;;
    esac
done
[ $files = yes ] || arguments+=("$STAGE/test/e2e")

formatter=tap
[ ! -t 1 ] || formatter=pretty
status=0
PASS_ON="E2E_PREFIX E2E_STAGE E2E_TESTBIN E2E_EXAMPLES BATS_TEST_TIMEOUT" \
    as_test_user "$STAGE/w" bats --formatter "$formatter" --report-formatter tap --output "$STAGE/w" --print-output-on-failure \
    "${arguments[@]}" </dev/null || status=$?
report=$STAGE/w/report.tap
if [ -s "$report" ]; then
    [ -z "${SQUISH_E2E_REPORT-}" ] || cp "$report" "$SQUISH_E2E_REPORT"
    [ $formatter = pretty ] ||
        awk '/^(not )?ok / { n++ } /^not ok / { bad++ } END { printf "\n%d tests, %d failures\n", n, bad }' "$report"
    if [ -n "${SQUISH_TESTS_MUST_RUN-}" ] && grep -q '^ok .*# skip' "$report"; then
        grep '^ok .*# skip' "$report" >&2
        echo "test-e2e: skipped tests count as failed here (SQUISH_TESTS_MUST_RUN)" >&2
        [ "$status" -ne 0 ] || status=1
    fi
fi
exit "$status"
