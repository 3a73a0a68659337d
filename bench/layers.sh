#!/bin/bash
# bench/layers.sh [OPTIONS]: how long a layer takes to arrive beside `curl | zstd -d | tar x`, and what a stored layer
# adds to a start.
#
# How this works
#   The release build is installed into a folder below /tmp. As root everything runs as the account squish-bench, else
#   as the caller, in an environment made from nothing (test/lib/user.sh), all contestants alike. bench/layers/measure.py
#   makes an archive, serves it on 127.0.0.1 and lets the contestants take turns. At the end the daemon is stopped, and
#   what is left running is killed by its number, named, and makes the run fail.
#
#   --rounds N          of the arrival of a layer (5)
#   --starts N          of each kind (50)
#   --layers N          that the one kind of start has and the other has not (16)
#   --megabytes N       of the archive's files (200)
#   --files N           in the archive (20000)
#   --json FILE         write the figures there as well
#   --build DIR         the build folder to measure (build/release, built first)
set -euo pipefail
umask 022
export LC_ALL=C.UTF-8
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly ROOT
CALLED_FROM=$PWD
cd "$ROOT"
. scripts/setup/common.sh
. scripts/setup/packages.sh
. scripts/setup/machine.sh
. scripts/setup/build.sh
. test/lib/user.sh

BUILD='' STAGE='' JSON=''
MEASURE=()
while [ $# -gt 0 ]; do
    case $1 in
    --rounds | --starts | --layers | --megabytes | --files) MEASURE+=("$1" "${2?$1 needs a value}") && shift ;;
    --json) JSON=$(cd "$CALLED_FROM" && realpath -m -s -- "${2?--json needs a file}") && shift ;;
    --build) BUILD=$(cd "$CALLED_FROM" && realpath "${2?--build needs a folder}") && shift ;;
    -h | --help) sed -n '2,/^set -/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" && exit 0 ;;
    *) die "unknown option '$1' (see bench/layers.sh --help)" ;;
    esac
    shift
done

# An account of its own: the end-to-end tests may be running as theirs.
# shellcheck disable=SC2034 # used by test/lib/user.sh
if is_root; then TEST_ACCOUNT=squish-bench TEST_USER=squish-bench; fi

# shellcheck disable=SC2317 # called by the trap
clean_up() {
    local status=$?
    trap - EXIT
    if [ -n "$STAGE" ]; then
        [ ! -x "$STAGE/bin/squish" ] || as_test_user "$STAGE" "$STAGE/bin/squish" daemon stop >/dev/null 2>&1 || true
        if ! kill_leftovers "$STAGE"; then
            echo "bench: processes were left behind: that is a failure" >&2
            [ "$status" -ne 0 ] || status=1
        fi
        rm -rf "$STAGE" 2>/dev/null || as_test_user "$STAGE" unshare --map-root-user --map-auto rm -rf "$STAGE/home" "$STAGE/work" || true
        rm -rf "$STAGE"
    fi
    exit "$status"
}

for program in curl zstd tar; do
    command -v "$program" >/dev/null || die "$program is missing (remedy: ./setup.sh deps)"
done
if [ -z "$BUILD" ]; then
    run_build release product testweb
    BUILD=$ROOT/build/release
fi
for program in bin/squish bin/squishd test/testweb; do
    [ -x "$BUILD/$program" ] || die "$BUILD/$program is missing (run './setup.sh build release')"
done
make_test_user

trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
STAGE=$(make_test_folder squish-bench)
cmake --install "$BUILD" --prefix "$STAGE" >/dev/null || die "the installation to $STAGE failed"
install -m 0755 "$BUILD/test/testweb" "$STAGE/bin/testweb"
install -m 0644 bench/layers/measure.py "$STAGE/bin/measure.py"
as_test_user "$STAGE" mkdir -p "$STAGE/work"

status=0
as_test_user "$STAGE" /usr/bin/python3 "$STAGE/bin/measure.py" --prefix "$STAGE" --work "$STAGE/work" \
    --json "$STAGE/work/figures.json" ${MEASURE[@]+"${MEASURE[@]}"} || status=$?
if [ -n "$JSON" ] && [ "$status" -eq 0 ]; then cp "$STAGE/work/figures.json" "$JSON"; fi
exit "$status"
