#!/bin/bash
# test-e2e.sh [bats arguments]: the end-to-end tests, test/e2e/*.bats, against an installation made for them; as root
# also test/e2e-root/*.bats, what is to be seen of squish when root starts it, or on a machine that lacks something.
#
# How this works
#   The release build is installed into a prefix below /tmp, with the tests and their payload beside it, so that an
#   unprivileged user can read everything wherever the clone is. As root the tests run as the account squish-test, else
#   as the caller, in an environment made from nothing (test/lib/user.sh). At the end nothing may be left running; what
#   is left is killed, named, and makes the run fail. The tests of test/e2e-root run as root, who prepares the machine
#   for them and puts it right again; squish itself is then started as root (and must leave it), or as an account that
#   each file makes for itself.
#
#   ./test/test-e2e.sh                          all of them
#   ./test/test-e2e.sh -f 'port'                those whose name matches
#   ./test/test-e2e.sh test/e2e/10-promises.bats
#
#   SQUISH_E2E_REPORT=FILE   where to put a TAP report       SQUISH_E2E_PREPARED=1   packages and build are in order
#   SQUISH_E2E_KEEP=1        keep the folder                 SQUISH_E2E_PREFIX=DIR   test this installation
#   SQUISH_ALPINE_MIRROR=DIR Alpine's files, instead of ../shared/alpine-mirror; empty: none
#   SQUISH_E2E_BUILD=DIR     instead of build/release        SQUISH_E2E_ACCOUNT=NAME instead of squish-test: two runs at
#                                                            once must not share an account
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
BUILD=${SQUISH_E2E_BUILD-build/release}
if is_root; then
    TEST_ACCOUNT=${SQUISH_E2E_ACCOUNT-$TEST_ACCOUNT}
    TEST_USER=$TEST_ACCOUNT
fi

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
[ -x "$BUILD/test/testbin" ] && [ -x "$BUILD/test/testweb" ] || die "$BUILD is not complete (run './setup.sh build')"
if is_root; then make_account "$TEST_ACCOUNT" "/var/lib/$TEST_ACCOUNT"; fi

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
    cmake --install "$BUILD" --prefix "$E2E_PREFIX" >"$STAGE/install.log" 2>&1 || {
        cat "$STAGE/install.log" >&2
        die "the installation into '$E2E_PREFIX' failed"
    }
fi
mkdir -p "$STAGE/test"
cp -R test/e2e test/e2e-root "$STAGE/test/"
install -m 0755 "$BUILD/test/testbin" "$BUILD/test/testweb" "$STAGE/test/"
E2E_STAGE=$STAGE E2E_TESTBIN=$STAGE/test/testbin E2E_TESTWEB=$STAGE/test/testweb
E2E_EXAMPLES=$E2E_PREFIX/share/squish/examples E2E_DOCS=$STAGE/test/docs
# Alpine's own files, where they are at hand; else the tests make such a mirror themselves.
E2E_ALPINE_MIRROR=
alpine_mirror=${SQUISH_ALPINE_MIRROR-$ROOT/../shared/alpine-mirror}
if [ -n "$alpine_mirror" ] && [ -d "$alpine_mirror" ]; then
    E2E_ALPINE_MIRROR=$STAGE/alpine-mirror
    cp -R "$alpine_mirror" "$E2E_ALPINE_MIRROR"
    chmod -R u=rwX,go=rX "$E2E_ALPINE_MIRROR"
fi
cp -R scripts/sdks "$STAGE/test/sdks"
mkdir "$STAGE/test/docs"
cp docs/procfs.md "$STAGE/test/docs/"
BATS_TEST_TIMEOUT=${BATS_TEST_TIMEOUT-300} # for what hangs: a slow machine is no reason to fail
# Set where the account is the tests' own: every process of it is then the tests' too.
E2E_ACCOUNT=
if is_root; then E2E_ACCOUNT=$TEST_USER; fi
# test/e2e/96-sdks.bats makes the SDKs, as the test user, and what it downloads stays in build/sdks for the next time.
E2E_SDKS=$STAGE/test/sdks E2E_SDK_WORK=$ROOT/build/sdks
mkdir -p "$E2E_SDK_WORK"
if is_root; then chown -R "$TEST_USER:" "$E2E_SDK_WORK"; fi
as_test_user "$STAGE/w" test -w "$E2E_SDK_WORK" || E2E_SDK_WORK=$STAGE/w/sdks
# How npm reaches its registry here; under a name of ours, since squish takes a proxy from its environment too.
E2E_SDK_ENV=npm_config_registry=$(npm config get registry 2>/dev/null || true)
for name in http_proxy https_proxy HTTP_PROXY HTTPS_PROXY no_proxy NO_PROXY NODE_EXTRA_CA_CERTS; do
    [ -z "${!name-}" ] || E2E_SDK_ENV+=" $name=${!name}"
done
export E2E_SDKS E2E_SDK_WORK E2E_SDK_ENV
export E2E_PREFIX E2E_STAGE E2E_TESTBIN E2E_TESTWEB E2E_EXAMPLES E2E_DOCS E2E_ALPINE_MIRROR E2E_ACCOUNT BATS_TEST_TIMEOUT

# Arguments that name files of test/e2e are meant as their staged copies; no file means all.
arguments=() user_files=() root_files=()
for argument in "$@"; do
    case $argument in
        *e2e-root/*.bats) root_files+=("$STAGE/test/e2e-root/$(basename "$argument")") ;;
        *.bats) user_files+=("$STAGE/test/e2e/$(basename "$argument")") ;;
        *) arguments+=("$argument") ;;
    esac
done
if [ ${#user_files[@]} -eq 0 ] && [ ${#root_files[@]} -eq 0 ]; then
    user_files=("$STAGE/test/e2e")
    if is_root; then root_files=("$STAGE/test/e2e-root"); fi
fi

formatter=tap
[ ! -t 1 ] || formatter=pretty
status=0
if [ ${#user_files[@]} -gt 0 ]; then
    PASS_ON="E2E_PREFIX E2E_STAGE E2E_TESTBIN E2E_TESTWEB E2E_EXAMPLES E2E_DOCS E2E_ALPINE_MIRROR E2E_ACCOUNT E2E_SDKS E2E_SDK_WORK E2E_SDK_ENV BATS_TEST_TIMEOUT" \
        as_test_user "$STAGE/w" bats --formatter "$formatter" --report-formatter tap --output "$STAGE/w" \
        --print-output-on-failure "${arguments[@]}" "${user_files[@]}" </dev/null || status=$?
fi
if [ ${#root_files[@]} -gt 0 ]; then
    is_root || die "the tests of test/e2e-root need root"
    mkdir "$STAGE/r"
    TMPDIR=$STAGE/r bats --formatter "$formatter" --report-formatter tap --output "$STAGE/r" \
        --print-output-on-failure "${arguments[@]}" "${root_files[@]}" </dev/null || status=$?
fi
# One report of both: one plan, numbers that go on.
report=$STAGE/report.tap
cat "$STAGE"/[wr]/report.tap 2>/dev/null | awk '
    /^1\.\.[0-9]+/ { split($1, plan, /\.\./); planned += plan[2]; next }
    /^ok / { sub(/^ok [0-9]+/, "ok " ++n) } /^not ok / { sub(/^not ok [0-9]+/, "not ok " ++n); bad++ } { print }
    END { print "1.." planned; printf "# %d tests, %d failures\n", n, bad }' >"$report"
[ -z "${SQUISH_E2E_REPORT-}" ] || cp "$report" "$SQUISH_E2E_REPORT"
[ $formatter = pretty ] || awk '/^# [0-9]+ tests, / { print "\n" substr($0, 3) }' "$report"
if [ -n "${SQUISH_TESTS_MUST_RUN-}" ] && grep -q '^ok .*# skip' "$report"; then
    grep '^ok .*# skip' "$report" >&2
    echo "test-e2e: skipped tests count as failed here (SQUISH_TESTS_MUST_RUN)" >&2
    [ "$status" -ne 0 ] || status=1
fi
exit "$status"
