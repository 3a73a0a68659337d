#!/bin/bash
# bench/start.sh [OPTIONS] [-- OPTIONS OF bench-start]: how long a start takes, beside bwrap, crun, runc and podman.
#
# How this works
#   The release build is installed into a folder below /tmp, with a rootfs that holds nothing but the payload. As root
#   everything runs as the account squish-bench, else as the caller, in an environment made from nothing
#   (test/lib/user.sh), all contestants alike. At the end the daemon is stopped, and what is left running is killed by
#   its number, named, and makes the run fail. docs/benchmarks.md says how to read the figures.
#
#   --rounds N          starts of each contestant that count (50; the least for a figure to be quoted)
#   --pause MS          rest after each start (10)
#   --only NAME         this contestant; may be repeated
#   --json FILE         write the figures there as well
#   --priority N        nice value of everything measured (0; below 0 only as root)
#   --realtime          everything measured goes before everything else (chrt --rr 1; only as root), for a busy machine
#   --steps N           afterwards, of N starts by the API, how long each step took
#   --before DIR        another build folder, such as that of an earlier commit: its squish takes part as well
#   --build DIR         the build folder to measure (build/release, built first)
#   --install-peers     apt-get install the peers that are missing
set -euo pipefail
umask 022
export LC_ALL=C.UTF-8
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly ROOT
CALLED_FROM=$PWD
# As root we go on in a mount namespace of our own: XDG_RUNTIME_DIR becomes a tmpfs, as it is where a user is logged in;
# and where both versions of cgroups are mounted, which crun refuses, one of them is not.
if [ "$(id -u)" -eq 0 ] && [ -z "${SQUISH_BENCH_INSIDE-}" ]; then
    SQUISH_BENCH_INSIDE=1 exec unshare --mount --propagation slave "$ROOT/bench/start.sh" "$@"
fi
cd "$ROOT"
. scripts/setup/common.sh
. scripts/setup/packages.sh
. scripts/setup/machine.sh
. scripts/setup/build.sh
. test/lib/user.sh

BUILD='' BEFORE='' STAGE='' JSON='' PRIORITY=0 REALTIME='' INSTALL_PEERS=''
MEASURE=()
while [ $# -gt 0 ]; do
    case $1 in
    --rounds | --warm-up | --pause | --only | --steps) MEASURE+=("$1" "${2?$1 needs a value}") && shift ;;
    --json) JSON=$(cd "$CALLED_FROM" && realpath -m -s -- "${2?--json needs a file}") && shift ;;
    --priority) PRIORITY=${2?--priority needs a number} && shift ;;
    --realtime) REALTIME=1 ;;
    --before) BEFORE=$(cd "$CALLED_FROM" && realpath "${2?--before needs a folder}") && shift ;;
    --build) BUILD=$(cd "$CALLED_FROM" && realpath "${2?--build needs a folder}") && shift ;;
    --install-peers) INSTALL_PEERS=1 ;;
    -h | --help) sed -n '2,/^set -/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" && exit 0 ;;
    --) shift && MEASURE+=("$@") && break ;;
    *) die "unknown option '$1' (see bench/start.sh --help)" ;;
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
        [ ! -x "$STAGE/before/bin/squish" ] || as_test_user "$STAGE" env XDG_RUNTIME_DIR="$STAGE/run/before" \
            "$STAGE/before/bin/squish" daemon stop >/dev/null 2>&1 || true
        local pause # podman's, which keeps its user namespace
        if pause=$(cat "$STAGE/run/libpod/tmp/pause.pid" 2>/dev/null); then kill -KILL "$pause" 2>/dev/null || true; fi
        if ! kill_leftovers "$STAGE"; then
            echo "bench: processes were left behind: that is a failure" >&2
            [ "$status" -ne 0 ] || status=1
        fi
        ! is_root || umount -l "$STAGE/run" 2>/dev/null || true
        rm -rf "$STAGE" 2>/dev/null || as_test_user "$STAGE" unshare --map-root-user --map-auto rm -rf "$STAGE/home" "$STAGE/run" || true
        rm -rf "$STAGE"
    fi
    exit "$status"
}

[ -z "$INSTALL_PEERS" ] || install_missing bench
if [ -z "$BUILD" ]; then
    run_build release product bench-start bench-floor bench-true
    BUILD=$ROOT/build/release
fi
for program in bin/squish bin/squishd bench/bench-start bench/bench-floor bench/bench-true; do
    [ -x "$BUILD/$program" ] || die "$BUILD/$program is missing (run './setup.sh build release')"
done
make_test_user

trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
STAGE=$(make_test_folder squish-bench)
cmake --install "$BUILD" --prefix "$STAGE" >/dev/null || die "the installation to $STAGE failed"
if [ -n "$BEFORE" ]; then
    cmake --install "$BEFORE" --prefix "$STAGE/before" >/dev/null || die "the installation of $BEFORE failed"
    MEASURE+=(--before "$STAGE/before/bin/squish")
fi
as_test_user "$STAGE" mkdir -p "$STAGE"/{bench,run,work} "$STAGE"/rootfs/{bin,dev,etc,proc,sys,tmp}
if is_root; then
    mount -t tmpfs -o "mode=0700,uid=$(id -u "$TEST_USER"),gid=$(id -g "$TEST_USER")" tmpfs "$STAGE/run"
    [ -z "$(cat /sys/fs/cgroup/unified/cgroup.controllers 2>/dev/null)" ] || umount /sys/fs/cgroup/unified
fi
for program in bench-start bench-floor; do install -m 0755 "$BUILD/bench/$program" "$STAGE/bench/$program"; done
install -m 0755 "$BUILD/bench/bench-true" "$STAGE/rootfs/bin/true"

arguments=(--squish "$STAGE/bin/squish" --floor "$STAGE/bench/bench-floor" --rootfs "$STAGE/rootfs" --work "$STAGE/work"
    --json "$STAGE/work/figures.json" "${MEASURE[@]}")
status=0
if [ "$PRIORITY" -ne 0 ]; then renice -n "$PRIORITY" -p $$ >/dev/null || die "cannot set the priority $PRIORITY"; fi
if [ -n "$REALTIME" ]; then chrt --rr --all-tasks --pid 1 $$ >/dev/null || die "cannot become a real-time process"; fi
as_test_user "$STAGE" "$STAGE/bench/bench-start" "${arguments[@]}" || status=$?
if [ -n "$JSON" ]; then cp "$STAGE/work/figures.json" "$JSON"; fi
exit "$status"
