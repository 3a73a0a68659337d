#!/bin/bash
# bench/procfs.sh [OPTIONS]: what reading /proc/meminfo costs through squish-procfs, beside the host's file and lxcfs.
#
# How this works
#   bench-procfs (bench/procfs/main.cpp) mounts a tree of its own in a namespace of its own and starts the server from
#   the release build; squishd has no part in it. As root everything but lxcfs runs as the account squish-bench, and
#   lxcfs, where it is installed, is started for the time of the run. docs/benchmarks.md says how to read the figures.
#
#   --rounds N          reads of each file that count (5000)
#   --build DIR         the build folder to measure (build/release, built first)
#   --install-peers     apt-get install lxcfs
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

BUILD='' ROUNDS=5000
while [ $# -gt 0 ]; do
    case $1 in
    --rounds) ROUNDS=${2?--rounds needs a number} && shift ;;
    --build) BUILD=$(realpath "${2?--build needs a folder}") && shift ;;
    --install-peers) install_missing bench ;;
    -h | --help) sed -n '2,/^set -/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" && exit 0 ;;
    *) die "unknown option '$1' (see bench/procfs.sh --help)" ;;
    esac
    shift
done
# An account of its own: the end-to-end tests may be running as theirs.
# shellcheck disable=SC2034 # used by test/lib/user.sh
if is_root; then TEST_ACCOUNT=squish-bench TEST_USER=squish-bench; fi

STAGE='' LXCFS=''
# shellcheck disable=SC2317 # called by the trap
clean_up() {
    local status=$?
    trap - EXIT
    if [ -n "$LXCFS" ]; then
        kill "$LXCFS" 2>/dev/null || true
        wait "$LXCFS" 2>/dev/null || true
        umount -l "$STAGE/lxcfs" 2>/dev/null || true
    fi
    [ -z "$STAGE" ] || rm -rf --one-file-system "$STAGE"
    exit "$status"
}
if [ -z "$BUILD" ]; then
    run_build release squish-procfs bench-procfs
    BUILD=$ROOT/build/release
fi
make_test_user
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
STAGE=$(make_test_folder squish-bench)
install -m 0755 "$BUILD/bench/bench-procfs" "$BUILD/libexec/squish/squish-procfs" "$STAGE/"

peers=()
if ! is_root; then
    echo "lxcfs: left out, it needs root"
elif ! command -v lxcfs >/dev/null; then
    echo "lxcfs: left out, it is not installed (--install-peers)"
else
    mkdir "$STAGE/lxcfs"
    lxcfs -p "$STAGE/lxcfs.pid" "$STAGE/lxcfs" >"$STAGE/lxcfs.log" 2>&1 &
    LXCFS=$!
    for _ in $(seq 50); do
        [ ! -e "$STAGE/lxcfs/proc/meminfo" ] || break
        sleep 0.1
    done
    if [ -e "$STAGE/lxcfs/proc/meminfo" ]; then
        peers=("lxcfs=$STAGE/lxcfs/proc/meminfo")
    else
        echo "lxcfs: left out, it does not start: $(tail -n 1 "$STAGE/lxcfs.log")"
    fi
fi
as_test_user "$STAGE" "$STAGE/bench-procfs" "$STAGE/squish-procfs" "$ROUNDS" "${peers[@]}"
