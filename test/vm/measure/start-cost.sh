#!/bin/bash
# start-cost.sh TIMES SQUISHFILE…: how long `squish run --rm` of each takes, by turns, so that what else the machine does
# meets all alike: "FILE: median N ms, least N ms, most N ms".
set -euo pipefail
[ $# -gt 1 ] || { echo "usage: start-cost.sh TIMES SQUISHFILE…" >&2 && exit 2; }
times=$1
shift
W=$(mktemp -d)
trap 'rm -rf "$W"' EXIT
for file in "$@"; do squish run --rm "$file" >"$W/out"; done # what is done once only
for ((i = 0; i < times; i++)); do
    number=0
    for file in "$@"; do
        began=${EPOCHREALTIME/./}
        squish run --rm "$file" >"$W/out"
        echo $((${EPOCHREALTIME/./} - began)) >>"$W/$number"
        number=$((number + 1))
    done
done
number=0
for file in "$@"; do
    sort -n "$W/$number" | awk -v file="$file" '{ all[NR] = $1 }
        END { printf "%s: median %.1f ms, least %.1f ms, most %.1f ms\n", file, all[int((NR + 1) / 2)] / 1000, all[1] / 1000, all[NR] / 1000 }'
    number=$((number + 1))
done
