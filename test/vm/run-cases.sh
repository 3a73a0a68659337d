#!/bin/bash
# In the guest, as tester: each case with its own time-out; a line of TAP for each. What a case prints is shown where it failed.
set -uo pipefail
export LC_ALL=C.UTF-8
export PATH=/payload/prefix/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin
number=0 failed=0
for file in /payload/cases/*.sh; do
    name=$(basename "$file" .sh)
    limit=$(sed -n 's/^# timeout: \([0-9]*\)$/\1/p' "$file" | head -n 1)
    number=$((number + 1))
    work=$(mktemp -d)
    began=$SECONDS
    (cd "$work" && timeout --kill-after=10 "${limit:-120}" bash -euo pipefail "$file") >"$work.log" 2>&1
    status=$?
    if [ $status -eq 0 ]; then
        echo "ok $number $name # $((SECONDS - began)) s"
    else
        echo "not ok $number $name # exit status $status after $((SECONDS - began)) s"
        sed 's/^/# /' "$work.log"
        failed=$((failed + 1))
    fi
    rm -rf "$work" "$work.log"
done
[ $failed -eq 0 ]
