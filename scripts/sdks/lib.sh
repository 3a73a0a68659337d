# shellcheck shell=bash
# lib.sh: what the makers of SDK layers share. A maker sets SDK, loads this, defines make_layer, and calls main.
#
# How this works
#   An SDK layer is a folder: what the registries' packages hold, patched so that it runs on any rootfs, and a manifest
#   (.squish/layer.toml). `squish layer build` packs it into a layer source. docs/decisions/0010-sdk-layers.md says why
#   the layers are as they are.
#     WORK/downloads/       what the registries sent (npm and apt verify it), used again
#     WORK/NAME.XXXXXX/     the folder while it is made
#     WORK/NAME-*.stamp     what was made last: nothing is downloaded or made where nothing has changed
#   No privileges are needed, and nothing is written elsewhere.
set -euo pipefail
umask 022
export LC_ALL=C.UTF-8

fail() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}
say() { printf '%s: %s\n' "$SDK" "$*"; }

usage() {
    cat <<END
usage: ${0##*/} [--to SOURCE] [--work DIR] [--sign KEY] [--refresh]

Makes the SDK layer '$SDK' and publishes it to a layer source.

  --to SOURCE   the folder of the source (default: DIR/source)
  --work DIR    where downloads and stamps are kept (default: build/sdks of the clone)
  --sign KEY    sign the index with this minisign secret key, which has no password
  --refresh     look for newer packages even where nothing here has changed

environment:
  SQUISH        the squish to call (default: build/release/bin/squish of the clone, else the one in PATH)
END
}

need() { # COMMAND PACKAGE
    command -v "$1" >/dev/null || fail "'$1' is missing: install the package $2 (./setup.sh deps sdks)"
}

SCRIPTS=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly SCRIPTS
work='' source='' key='' refresh=no folder='' stamp=''

# What Debian, npm and the dynamic loader call this machine.
case $(uname -m) in
    x86_64) DEBIAN_ARCH=amd64 MULTIARCH=x86_64-linux-gnu NODE_ARCH=x64 LOADER=ld-linux-x86-64.so.2 ;;
    aarch64) DEBIAN_ARCH=arm64 MULTIARCH=aarch64-linux-gnu NODE_ARCH=arm64 LOADER=ld-linux-aarch64.so.1 ;;
    *) fail "no SDKs for the architecture '$(uname -m)': only x86_64 and aarch64 are known" ;;
esac
# shellcheck disable=SC2034 # NODE_ARCH is for node.sh
readonly DEBIAN_ARCH MULTIARCH NODE_ARCH LOADER

find_squish() {
    [ -z "${SQUISH-}" ] || return 0
    SQUISH=$SCRIPTS/../../build/release/bin/squish
    [ -x "$SQUISH" ] || SQUISH=$(command -v squish) || fail "squish is missing: run './setup.sh build', or set SQUISH"
}

# --- packages ----------------------------------------------------------------------------------------------------

# apt with package lists of our own, for the time when those of the machine are missing or older than the archive.
own_apt=()
use_own_lists() {
    say "the machine's package lists are missing or out of date: fetching lists of our own"
    mkdir -p "$work"/apt/{lists,cache}/partial
    own_apt=(-o "Dir::State::Lists=$work/apt/lists" -o "Dir::Cache=$work/apt/cache" -o APT::Sandbox::User=)
    apt-get -q "${own_apt[@]}" update >"$work/apt/update.log" 2>&1 || {
        cat "$work/apt/update.log" >&2
        fail "apt-get update failed: see its messages above"
    }
}

# Downloads packages and unpacks them below INTO. apt verifies what it downloads, and what is there already.
debian_packages() { # INTO PACKAGE…
    local into=$1 package file version log=$work/$SDK-apt.log
    shift
    need apt-get apt
    need dpkg-deb dpkg
    mkdir -p "$work/downloads" "$into"
    say "fetching $# packages of Debian"
    if ! (cd "$work/downloads" && apt-get -q download "${@/%/:$DEBIAN_ARCH}" >"$log" 2>&1); then
        use_own_lists
        (cd "$work/downloads" && apt-get -q "${own_apt[@]}" download "${@/%/:$DEBIAN_ARCH}" >"$log" 2>&1) || {
            cat "$log" >&2
            fail "apt-get could not download the packages: see its messages above"
        }
    fi
    for package in "$@"; do
        version=$(apt_version "$package")
        file=$work/downloads/${package}_${version//:/%3a}_$DEBIAN_ARCH.deb
        [ -e "$file" ] || fail "apt-get did not leave '$file'"
        dpkg-deb -x "$file" "$into"
    done
    # Of the documentation, the licences.
    for file in "$into"/usr/share/doc/*/copyright; do
        package=$(basename "${file%/copyright}")
        [ ! -f "$file" ] || install -D -m 0644 "$file" "$folder/share/doc/$package/copyright"
    done
}

apt_version() { # PACKAGE: the version that `apt-get download` takes
    apt-cache "${own_apt[@]}" show --no-all-versions "$1:$DEBIAN_ARCH" | awk '$1 == "Version:" && !n++ { print $2 }'
}

# Every shared library of an unpacked tree, under the name that programs ask for, and the loader.
add_libraries() { # TREE
    local file name
    mkdir -p "$folder/lib"
    for file in "$1"/{,usr/}lib/"$MULTIARCH"/*.so*; do
        if [ -f "$file" ] && [ ! -L "$file" ] && name=$(patchelf --print-soname "$file" 2>/dev/null); then
            install -m 0755 "$file" "$folder/lib/${name:-${file##*/}}"
        fi
    done
    [ -x "$folder/lib/$LOADER" ] || fail "the packages hold no $LOADER"
}

# --- making it independent of the rootfs -------------------------------------------------------------------------

# A program of glibc's finds its loader at /sdk/NAME/lib, since the kernel wants an absolute path there, and its
# libraries beside itself. DT_RPATH and not DT_RUNPATH (--force-rpath): that holds for the libraries' own libraries too,
# and for what is loaded later. No LD_LIBRARY_PATH is needed, which would mislead the programs of the rootfs.
patch_program() { # FILE
    patchelf --set-interpreter "/sdk/$SDK/lib/$LOADER" "$1"
    # shellcheck disable=SC2016 # the loader expands it
    patchelf --force-rpath --set-rpath '$ORIGIN/../lib' "$1"
}

# Nothing may be left to be found in the rootfs.
check_libraries() {
    local file name missing=''
    while IFS= read -r -d '' file; do
        for name in $(patchelf --print-needed "$file" 2>/dev/null); do
            [ -e "$folder/lib/$name" ] || missing+=" $name (of ${file#"$folder"/})"
        done
    done < <(find "$folder" -type f \( -path "$folder/bin/*" -o -name '*.so*' \) -print0)
    [ -z "$missing" ] || fail "the layer lacks libraries:$missing"
}

# Runs a program of the layer here, where nothing is mounted at /sdk, the same way for everybody. No Python may write what
# its imports compile: that would bear dates, and this folder's name.
run_here() { # PROGRAM ARGS…
    env -i LC_ALL=C.UTF-8 PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1 "$folder/lib/$LOADER" --library-path "$folder/lib" "$@"
}

# --- the whole ---------------------------------------------------------------------------------------------------

# A digest of everything of ours that the layer is made from.
recipe() {
    {
        uname -m
        env | grep '^SDK_' | sort || true
        cat "$SCRIPTS/lib.sh" "$SCRIPTS/$SDK.sh" "${key:-/dev/null}"
    } | sha256sum | cut -d' ' -f1
}

# The stamp's lines: the recipe, the archive, its digest.
is_up_to_date() {
    local made=() digest
    [ $refresh = no ] && [ -s "$stamp" ] || return 1
    mapfile -t made <"$stamp"
    [ ${#made[@]} -eq 3 ] && [ "${made[0]}" = "$(recipe)" ] && [ -s "${made[1]}" ] || return 1
    digest=$(sha256sum <"${made[1]}")
    [ "${digest%% *}" = "${made[2]}" ] && grep -qs "${made[2]}" "$source/$SDK/index.json" || return 1
    say "up to date: ${made[1]}"
}

publish() {
    local built sign=() reference digest archive
    [ -z "$key" ] || sign=(--sign "$key")
    say "packing"
    # --replace: a new revision of Debian's packages, with their security updates, is the same version of the SDK.
    built=$("$SQUISH" layer build "$folder" --to "$source" --replace "${sign[@]}") || fail "squish could not build the layer"
    read -r reference digest archive <<<"$built"
    printf '%s\n' "$(recipe)" "$archive" "$digest" >"$stamp.new"
    mv "$stamp.new" "$stamp"
    say "made $reference: $archive"
}

main() {
    while [ $# -gt 0 ]; do
        case $1 in --to | --work | --sign) [ $# -ge 2 ] || fail "'$1' needs a value (see --help)" ;; esac
        case $1 in
            --to) source=$2 && shift ;;
            --work) work=$2 && shift ;;
            --sign) key=$2 && shift ;;
            --refresh) refresh=yes ;;
            -h | --help) usage && exit 0 ;;
            *) fail "unknown argument '$1' (see --help)" ;;
        esac
        shift
    done
    : "${work:=$SCRIPTS/../../build/sdks}"
    : "${source:=$work/source}"
    [ -z "$key" ] || [ -r "$key" ] || fail "cannot read the key '$key'"
    mkdir -p "$work" "$source"
    work=$(cd "$work" && pwd) source=$(cd "$source" && pwd)
    stamp=$work/$SDK-$(printf '%s' "$source" | sha256sum | cut -c1-12).stamp
    ! is_up_to_date || return 0
    find_squish
    need patchelf patchelf
    folder=$(mktemp -d "$work/$SDK.XXXXXX")
    chmod 0755 "$folder"
    trap 'rm -rf "$folder" "$folder.packages"' EXIT
    mkdir "$folder/.squish"
    make_layer
    check_libraries
    publish
}
