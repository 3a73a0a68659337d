#!/bin/bash
# e2e.sh [FILE.bats…]: end-to-end tests (test/e2e, all or these) in the virtual machine, by hand: everything is 35 times
# slower there, so all of them take hours. With the release build.
#
#   SQUISH_VM_PACKAGES='…'   more Debian packages in the machine (an image of its own, build/vm-e2e)
#   SQUISH_VM_DRIVER=NAME    [limits] driver of squishd.toml, in every file; without: as it is found
#   BATS_FILTER=REGEX        only tests whose name matches           VM_TIMEOUT=SECONDS   14400
set -euo pipefail
umask 022
export LC_ALL=C.UTF-8
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROOT=$(cd "$HERE/../.." && pwd)
BUILD=$ROOT/build/release
image=$ROOT/build/vm-e2e

W=$(mktemp -d "${TMPDIR:-/tmp}/squish-vm.XXXXXX")
trap 'rm -rf "$W"' EXIT
mkdir -p "$W/payload/test"
# shellcheck disable=SC2086 # packages are words
"$HERE/image.sh" "$image" minisign zip zstd openssl iproute2 ${SQUISH_VM_PACKAGES-}
cmake --install "$BUILD" --prefix "$W/payload/prefix" >"$W/install.log" 2>&1 || { cat "$W/install.log" >&2 && exit 1; }
cp -R "$ROOT/test/e2e" "$W/payload/test/"
cp -R "$ROOT/scripts/sdks" "$W/payload/test/sdks"
install -m 0755 "$BUILD/test/testbin" "$BUILD/test/testweb" "$W/payload/test/"
mirror=${SQUISH_ALPINE_MIRROR-$ROOT/../shared/alpine-mirror}
if [ -n "$mirror" ] && [ -d "$mirror" ]; then
    cp -R "$mirror" "$W/payload/alpine-mirror"
    chmod -R u=rwX,go=rX "$W/payload/alpine-mirror"
fi
for file in "$@"; do
    [ -e "$ROOT/test/e2e/$(basename "$file")" ] || { echo "e2e.sh: no such file: $file" >&2 && exit 2; }
    basename "$file"
done >"$W/payload/files"
printf '%s' "${BATS_FILTER-}" >"$W/payload/filter"
printf '%s' "${SQUISH_VM_DRIVER-}" >"$W/payload/driver"
cat >"$W/payload/run.sh" <<'GUEST'
set -u
if [ "$(cat /payload/driver)" = direct ] && [ -z "${E2E_CGROUP-}" ]; then
    # In a scope that was delegated to the user, and out of its own cgroup, so that controllers can be turned on beneath.
    exec systemd-run --user --scope --quiet --collect --unit=e2e -p Delegate=yes sh -c '
        E2E_CGROUP=/sys/fs/cgroup$(sed -n "s/^0:://p" /proc/self/cgroup)
        export E2E_CGROUP
        mkdir "$E2E_CGROUP/tests" && echo $$ >"$E2E_CGROUP/tests/cgroup.procs" && exec bash /payload/run.sh'
fi
export LC_ALL=C.UTF-8 E2E_STAGE=$HOME/e2e E2E_PREFIX=/payload/prefix E2E_ACCOUNT=tester
mkdir -p "$E2E_STAGE/w"
cp -R /payload/test "$E2E_STAGE/test"
export E2E_TESTBIN=$E2E_STAGE/test/testbin E2E_TESTWEB=$E2E_STAGE/test/testweb E2E_EXAMPLES=$E2E_PREFIX/share/squish/examples
export E2E_SDKS=$E2E_STAGE/test/sdks E2E_SDK_WORK=$E2E_STAGE/w/sdks E2E_SDK_ENV='' E2E_ALPINE_MIRROR=''
[ ! -d /payload/alpine-mirror ] || E2E_ALPINE_MIRROR=/payload/alpine-mirror
export TMPDIR=$E2E_STAGE/w BATS_TEST_TIMEOUT=3000 SQUISH_TESTS_MUST_RUN=
export E2E_SLOWNESS=10 # what the bounds of the tests are stretched by
if [ -s /payload/driver ]; then
    limits="[limits]\\\\ndriver = \"$(cat /payload/driver)\"${E2E_CGROUP:+\\\\ncgroup = \"$E2E_CGROUP\"}\\\\n"
    # Every file has a configuration folder of its own, made by the helpers.
    sed -i "s|^    mkdir -p \"\$XDG_DATA_HOME\" \"\$XDG_CONFIG_HOME\"\$|&/squish\\n    printf '$limits' >\"\$XDG_CONFIG_HOME/squish/squishd.toml\"|" \
        "$E2E_STAGE/test/e2e/helpers.bash"
fi
cd "$E2E_STAGE/test/e2e" || exit 1
mapfile -t files </payload/files
[ ${#files[@]} -gt 0 ] || files=(*.bats)
arguments=()
[ ! -s /payload/filter ] || arguments=(-f "$(cat /payload/filter)")
exec bats --formatter tap --print-output-on-failure "${arguments[@]}" "${files[@]}"
GUEST
VM_TIMEOUT=${VM_TIMEOUT:-14400} VM_MEMORY=${VM_MEMORY:-3072} "$HERE/run.sh" "$image" "$W/payload" "${SQUISH_VM_RESULTS-$W/results}"
