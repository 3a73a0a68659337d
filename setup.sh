#!/bin/bash
# setup.sh: from a clone to a running container, in one command. See `./setup.sh help`.
#
# How this works
#   Every command is idempotent and asks before it does: packages are looked up before apt-get is called, the account
#   before it is made, the build is Ninja's. The parts are in scripts/setup/, one file per command; only `deps` and
#   `install` need privileges, and take them through sudo where we are not root.
set -euo pipefail
umask 022
export LC_ALL=C.UTF-8
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly ROOT
cd "$ROOT"

. scripts/setup/common.sh
. scripts/setup/packages.sh
. scripts/setup/machine.sh
. scripts/setup/build.sh
. scripts/setup/demo.sh
. scripts/setup/sdks.sh

usage() {
    cat <<'END'
usage: ./setup.sh COMMAND

  demo              install what is missing, build, install, run examples/web in a container, show the times, clean up
  test [PHASE…]     install what is missing, build, run every test (phases: release lint unit integration e2e vm asan fuzz)

  deps [GROUP…]     install what is missing and prepare the machine (groups: build runtime test sdks vm bench; default: all but bench)
  build [PRESET]    configure and build (presets: release, which is the default, dev, asan, fuzz)
  install           build, then install to PREFIX
  sdks [OPTION…]    make the SDK layers node and python in a layer source, build/sdks/source (options: --to --sign --refresh)
  help              this text

environment:
  PREFIX            where to install: /usr/local as root or with sudo, else ~/.local
  SQUISH_USER       the account that squish switches to when root calls it; default: squish
  CI=true           as on a build machine: warnings are errors, skipped tests are failures
END
}

command=${1-help}
[ $# -eq 0 ] || shift
case $command in
    deps) run_deps "$@" ;;
    build) run_build "$@" ;;
    install) run_install ;;
    demo) run_demo ;;
    sdks) run_sdks "$@" ;;
    test) exec test/run.sh "$@" ;;
    help | -h | --help) usage ;;
    *)
        usage >&2
        die "unknown command '$command'"
        ;;
esac
