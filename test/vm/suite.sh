#!/bin/bash
# suite.sh PREFIX [CASE…]: the cases of test/vm/cases (all, or those whose names begin so: "20", "40-cpu") for the
# installation at PREFIX, in one boot of a virtual machine. Prints TAP, and the output of cases that fail.
#
# How this works
#   A case is a bash script that test/vm/lib.sh prepares; two lines of its head say how long it may take and with which
#   cgroup drivers it is run:
#       # timeout: 120
#       # drivers: plain systemd direct
#   "plain" is squishd without a configuration; "direct" runs in a scope of its own that was delegated to the user.
#   What is to happen in the guest is put into a folder (run.sh below is test/vm/guest-run.sh) that the machine mounts.
#
#   SQUISH_VM_IMAGE=DIR      where the machine's system is kept; build/vm        SQUISH_VM_REPORT=FILE    the report
#   SQUISH_VM_TESTBIN=FILE   build/release/test/testbin                          SQUISH_VM_DRIVERS=…      only these
#   SQUISH_VM_PROBE=FILE     build/release/test/limits-probe
#   SQUISH_VM_RESULTS=DIR    keep what came out of the machine                   VM_TIMEOUT=SECONDS       5400
set -euo pipefail
umask 022
export LC_ALL=C.UTF-8
[ $# -gt 0 ] || { echo "usage: suite.sh PREFIX [CASE…]" >&2 && exit 2; }
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
prefix=$(cd "$1" && pwd)
shift
image=${SQUISH_VM_IMAGE-$ROOT/build/vm}
drivers=${SQUISH_VM_DRIVERS-plain systemd direct}
[ -x "$prefix/bin/squish" ] || { echo "suite.sh: no installation of squish at '$prefix'" >&2 && exit 2; }

W=$(mktemp -d "${TMPDIR:-/tmp}/squish-vm.XXXXXX")
trap 'rm -rf "$W"' EXIT
mkdir "$W/payload"
results=${SQUISH_VM_RESULTS-$W/results}

header() { # CASE KEY
    sed -n "s/^# $2: *//p" "$HERE/cases/$1.sh" | head -n 1
}

wanted() { # CASE
    local one
    [ ${#only[@]} -gt 0 ] || return 0
    for one in "${only[@]}"; do
        if [[ $1 == "$one"* ]]; then return 0; fi
    done
    return 1
}

only=("$@")
for driver in $drivers; do
    for file in "$HERE"/cases/*.sh; do
        case_name=$(basename "$file" .sh)
        if wanted "$case_name" && [[ " $(header "$case_name" drivers) " == *" $driver "* ]]; then
            printf '%s %s %s\n' "$driver" "$case_name" "$(header "$case_name" timeout)"
        fi
    done
done >"$W/payload/plan"
[ -s "$W/payload/plan" ] || { echo "suite.sh: no such case: $*" >&2 && exit 2; }

"$HERE/image.sh" "$image"
cp -a "$prefix" "$W/payload/prefix"
cp "${SQUISH_VM_TESTBIN-$ROOT/build/release/test/testbin}" "$W/payload/testbin"
cp "${SQUISH_VM_PROBE-$ROOT/build/release/test/limits-probe}" "$W/payload/limits-probe"
cp -R "$HERE/cases" "$HERE/measure" "$HERE/lib.sh" "$W/payload/"
cp "$HERE/guest-run.sh" "$W/payload/run.sh"
status=0
VM_TIMEOUT=${VM_TIMEOUT:-5400} "$HERE/run.sh" "$image" "$W/payload" "$results" || status=$?
# The plan comes first: what the machine did not come to report counts as failed.
[ -z "${SQUISH_VM_REPORT-}" ] || { echo "1..$(wc -l <"$W/payload/plan")" && grep -E '^(not )?ok ' "$results/stdout"; } >"$SQUISH_VM_REPORT" || true
exit "$status"
