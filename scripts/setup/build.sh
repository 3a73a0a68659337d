# shellcheck shell=bash
# Configure, build, install.

# As many compilers as there are processors, but no more than fit into the memory (1 GiB each).
jobs() {
    local cpus memory
    cpus=$(nproc)
    memory=$(awk '/^MemAvailable:/ { print int($2 / 1048576) }' /proc/meminfo)
    if [ "$memory" -lt 1 ]; then memory=1; fi
    printf '%s' "$((cpus < memory ? cpus : memory))"
}

run_build() { # [PRESET [TARGET…]]
    local preset=${1-release}
    [ $# -eq 0 ] || shift
    local missing
    mapfile -t missing < <(missing_packages build)
    [ ${#missing[@]} -eq 0 ] || die "missing packages: ${missing[*]} (run './setup.sh deps')"
    # A build folder that was copied from elsewhere carries the other place in its cache.
    local cache=build/$preset/CMakeCache.txt
    if [ -e "$cache" ] && ! grep -qxF "CMAKE_HOME_DIRECTORY:INTERNAL=$ROOT" "$cache"; then
        say "build/$preset belongs to another folder: starting afresh"
        rm -rf "build/$preset"
    fi
    local log
    log=$(mktemp)
    if ! cmake --preset "$preset" >"$log" 2>&1; then
        cat "$log" >&2
        rm -f "$log"
        die "cmake could not configure the preset '$preset'"
    fi
    rm -f "$log"
    cmake --build "build/$preset" -j "$(jobs)" ${1+--target "$@"} || die "the build of '$preset' failed"
    if [ "$preset" = release ] && [ -w examples/web ] && [ -x build/release/examples/web/web-server ]; then
        cmp -s build/release/examples/web/web-server examples/web/web-server ||
            cp build/release/examples/web/web-server examples/web/web-server
    fi
}

prefix() {
    if [ -n "${PREFIX-}" ]; then
        printf '%s' "$PREFIX"
    elif may_become_root >/dev/null; then
        printf '/usr/local'
    else
        printf '%s/.local' "$HOME"
    fi
}

run_install() {
    local to
    to=$(prefix)
    run_build release product
    say "installing to $to"
    local install=(cmake --install build/release --prefix "$to")
    if { mkdir -p "$to" && [ -w "$to" ]; } 2>/dev/null; then
        "${install[@]}" >/dev/null || die "the installation to '$to' failed"
    else
        may_become_root || die "cannot write to '$to' (set PREFIX to a folder of yours, or run as root)"
        as_root "${install[@]}" >/dev/null || die "the installation to '$to' failed"
    fi
    case :$PATH: in
        *:"$to/bin":*) ;;
        *) warn "'$to/bin' is not in your PATH: call $to/bin/squish, or add it" ;;
    esac
}
