# shellcheck shell=bash
# The Debian packages that squish needs, by what they are needed for.

declare -A PACKAGES=(
    [build]="g++ cmake ninja-build pkg-config git libc6-dev libboost1.81-dev libtomlplusplus-dev
        nlohmann-json3-dev libspdlog-dev libcli11-dev libnl-3-dev libnl-route-3-dev libnftables-dev libgtest-dev libgmock-dev
        libcurl4-openssl-dev libarchive-dev libssl-dev zlib1g-dev libyaml-cpp-dev libsodium-dev libseccomp-dev libsystemd-dev
        libncurses-dev libfuse3-dev
        python3 busybox-static musl ca-certificates tzdata"
    [runtime]="slirp4netns uidmap curl"
    [test]="ccache bats minisign zip zstd procps util-linux iproute2 musl-tools mandoc shellcheck clang-19 clang-tidy-19 clang-format-19
        libclang-rt-19-dev nginx-light wrk redis-server redis-tools postgresql-15 nodejs make perl openssl tmux
        openjdk-17-jre-headless python3-psutil"
    [vm]="qemu-system-x86 mmdebstrap e2fsprogs uidmap"
    [bench]="bubblewrap crun runc podman iperf3 wrk nginx-light lxcfs"
    [sdks]="patchelf python3"
)
# npm may have come in another package than Debian's, which would be in its way.
command -v npm >/dev/null || PACKAGES[sdks]+=" npm"

missing_packages() { # GROUP…
    local group names=() package
    for group in "$@"; do
        # shellcheck disable=SC2206 # split into words on purpose
        names+=(${PACKAGES[$group]})
    done
    # One call for all: names that dpkg does not know go to stderr and are missing from its answer.
    local installed
    installed=" $(dpkg-query -W -f='${db:Status-Status}:${Package} ' "${names[@]}" 2>/dev/null || true)"
    for package in "${names[@]}"; do
        [[ $installed == *" installed:$package "* ]] || printf '%s\n' "$package"
    done
}

update_lists() {
    say "apt-get update"
    as_root apt-get -q update || die "apt-get update failed: see its messages above"
}

install_missing() { # GROUP…
    local group
    for group in "$@"; do
        [ -n "${PACKAGES[$group]-}" ] || die "unknown group of packages '$group' (one of: ${!PACKAGES[*]})"
    done
    command -v dpkg-query >/dev/null ||
        die "this is not a Debian system: install by hand what scripts/setup/packages.sh lists, then run './setup.sh build'"
    local missing
    mapfile -t missing < <(missing_packages "$@")
    [ ${#missing[@]} -gt 0 ] || return 0
    may_become_root || die "missing packages: ${missing[*]}
setup: install them with: sudo apt-get install --no-install-recommends ${missing[*]}"
    say "installing ${missing[*]}"
    compgen -G '/var/lib/apt/lists/*_Packages*' >/dev/null || update_lists
    local install=(env DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends "${missing[@]}")
    as_root "${install[@]}" || { # the lists may be older than the archive
        update_lists
        as_root "${install[@]}" || die "apt-get could not install: ${missing[*]}"
    }
}
