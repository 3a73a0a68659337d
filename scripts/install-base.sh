#!/bin/bash
# install-base.sh FROM TO: puts the built-in rootfs FROM, and FROM.version, at TO. A tree of the same version stays.
set -euo pipefail
umask 022
from=$1 to=$2
if [ -d "$to" ] && cmp -s "$from.version" "$to.version"; then
    exit 0
fi
mkdir -p "$(dirname "$to")"
rm -rf "$to.new" "$to.old"
cp -a --no-preserve=ownership "$from" "$to.new"
if [ -e "$to" ]; then
    mv "$to" "$to.old"
fi
mv "$to.new" "$to"
install -m 0644 "$from.version" "$to.version"
rm -rf "$to.old"
