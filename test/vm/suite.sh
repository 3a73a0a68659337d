#!/bin/bash
# suite.sh PREFIX [CASE…]: every case of test/vm/cases in one boot, with squish as installed in PREFIX, which is at the same
# place in the guest. Prints TAP. $SQUISH_VM_IMAGE: where the image is kept (default: build/vm).
set -euo pipefail
export LC_ALL=C.UTF-8
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly HERE
[ $# -ge 1 ] || { echo "usage: suite.sh PREFIX [CASE…]" >&2; exit 2; }
prefix=$(cd "$1" && pwd)
shift
image=${SQUISH_VM_IMAGE:-$HERE/../../build/vm}
"$HERE/image.sh" "$image"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/payload/cases" "$work/payload/prefix"
cp -a "$prefix/bin" "$prefix/libexec" "$prefix/share" "$work/payload/prefix/"
cp "$HERE/run-cases.sh" "$work/payload/run.sh"
cases=()
if [ $# -gt 0 ]; then
    for name in "$@"; do cases+=("$HERE/cases/$name.sh"); done
else
    cases=("$HERE"/cases/*.sh)
fi
cp "${cases[@]}" "$work/payload/cases/"
[ ! -x "$prefix/libexec/squish/testbin" ] || cp "$prefix/libexec/squish/testbin" "$work/payload/"
echo "1..${#cases[@]}" # before the boot: what is not reported has failed
"$HERE/boot.sh" "$image" "$work/payload" "$work/results"
