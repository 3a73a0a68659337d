# shellcheck shell=bash disable=SC2034,SC2154
# layers.bash: what the files about layers load after helpers: a web server that misbehaves, an Alpine mirror, a store of
# its own for each test. They call layers_setup and layers_teardown in place of e2e_setup and e2e_teardown.

layers_setup() {
    e2e_setup
    WEBS=()
    fresh_store
    export XDG_CONFIG_HOME=$DIR/config
    configure ''
}

layers_teardown() {
    local pid
    for pid in ${WEBS[@]+"${WEBS[@]}"}; do kill "$pid" 2>/dev/null || true; done
    e2e_teardown
    squish daemon stop >/dev/null 2>&1 || true
}

# --- squish's side -------------------------------------------------------------------------------------------------

# An empty store. Containers of the old one go on.
fresh_store() {
    squish daemon stop >/dev/null 2>&1 || true
    STORES=$((${STORES-0} + 1))
    export XDG_DATA_HOME=$DIR/data$STORES
    STORE=$XDG_DATA_HOME/squish
}

# configure TOML: what stands in [layers] of squishd.toml.
configure() {
    mkdir -p "$XDG_CONFIG_HOME/squish"
    # No mirror and no source of the real world is ever asked.
    case $1 in *alpine_mirrors*) ;; *) set -- "alpine_mirrors = []
$1" ;; esac
    printf '[layers]\n%s\n' "$1" >"$XDG_CONFIG_HOME/squish/squishd.toml"
    squish daemon stop >/dev/null 2>&1 || true
}

use_mirrors() { # URL…
    local list='' url
    for url in "$@"; do list+="'$url', "; done
    configure "alpine_mirrors = [${list%, }]"
}

use_source() { # URL [KEY]
    configure "[[layers.sources]]
url = '$1'
${2+key = '$2'}"
}

digest_of() { # NAME[@VERSION]: as `layer ls` says
    squish layer ls --json | /usr/bin/python3 -c 'import json, sys
name, _, version = sys.argv[1].partition("@")
print(*[l["digest"] for l in json.load(sys.stdin) for r in l["refs"] if r["name"] == name and version in ("", r["version"])])' "$1"
}
tree_of() { printf '%s/layers/%s/tree' "$STORE" "$1"; } # DIGEST

# Nothing half-done is there: no layer but these, nothing in staging, no part of what is stored.
assert_stored() { # DIGEST…
    local have want digest
    have=$(squish layer ls -q | sort)
    want=$(printf '%s\n' "$@" | sort)
    assert_equal "$have" "$want"
    assert_equal "$(cd "$STORE/layers" && find . -mindepth 1 -maxdepth 1 -printf '%f\n' | sort)" "$want"
    wait_for 10 staging_is_empty || fail "in staging: $(ls -A "$STORE/staging")"
    for digest in "$@"; do [ ! -e "$STORE/downloads/sha256-$digest" ] || fail "a part of $digest is left"; done
}
staging_is_empty() { [ -z "$(ls -A "$STORE/staging" 2>/dev/null)" ]; }

# --- the web's side ------------------------------------------------------------------------------------------------

# start_web FOLDER [ARGUMENTS OF testweb]: sets WEB (its address), WEB_PID and WEB_LOG (a line per request).
start_web() {
    local folder=$1 port_file=$DIR/web.$RANDOM$RANDOM
    shift
    WEB_LOG=$port_file.log
    : >"$WEB_LOG"
    "$E2E_TESTWEB" "$folder" --log "$WEB_LOG" "$@" >"$port_file" 3>&- &
    WEB_PID=$!
    WEBS+=("$WEB_PID")
    wait_for 5 test -s "$port_file" || fail "testweb does not start"
    WEB=http://127.0.0.1:$(cat "$port_file")
}
stop_web() {
    kill "$WEB_PID"
    wait "$WEB_PID" || true
}
requests() { # [PART]: how many answers were given to requests for it
    grep -c -- "${1-}" "$WEB_LOG" || true
}

# make_mirror FOLDER VERSION…: what Alpine's mirrors have of each release, with the built-in rootfs in its archives.
make_mirror() {
    local folder=$1 version branch place name tree
    shift
    for version in "$@"; do
        branch=v${version%.*}
        place=$folder/$branch/releases/x86_64
        name=alpine-minirootfs-$version-x86_64.tar.gz
        tree=$folder/tree
        mkdir -p "$place"
        cp -a "$E2E_PREFIX/share/squish/base" "$tree"
        chmod u+w "$tree" "$tree/etc" "$tree/sbin"
        echo "$version" >"$tree/etc/alpine-release"
        printf '#!/bin/sh\necho "apk-tools 2.14.4, compiled for x86_64."\n' >"$tree/sbin/apk"
        chmod 0755 "$tree/sbin/apk"
        tar -C "$tree" --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 -cf - . | gzip -n >"$place/$name"
        rm -rf "$tree"
        (cd "$place" && sha256sum "$name" >"$name.sha256" && sha512sum "$name" >"$name.sha512")
        cat >"$place/latest-releases.yaml" <<END_OF_YAML
---
-
  title: "Mini root filesystem"
  desc: |
    Minimal root filesystem.
    For use in containers
    and minimal chroots.
  branch: $branch
  arch: x86_64
  version: $version
  flavor: alpine-minirootfs
  file: $name
  iso: $name
  date: 2024-09-06
  time: 00:00:00
  size: $(stat -c %s "$place/$name")
  sha256: $(cut -d' ' -f1 "$place/$name.sha256")
  sha512: $(cut -d' ' -f1 "$place/$name.sha512")
END_OF_YAML
    done
}

# --- layers to be served -------------------------------------------------------------------------------------------

# make_sdk FOLDER NAME VERSION [TOML]: a tree whose bin/NAME says who it is; TOML goes into its manifest.
make_sdk() {
    rm -rf "$1"
    mkdir -p "$1/bin" "$1/.squish"
    printf '#!/bin/sh\necho "%s %s $*"\n' "$2" "$3" >"$1/bin/$2"
    chmod 0755 "$1/bin/$2"
    printf "name = '%s'\nversion = '%s'\n%s\n" "$2" "$3" "${4-}" >"$1/.squish/layer.toml"
}

# publish SOURCE NAME VERSION [TOML [OPTIONS OF layer build]]
publish() {
    local source=$1 name=$2 version=$3 toml=${4-}
    shift $(($# < 4 ? $# : 4))
    make_sdk "$DIR/sdk-$name" "$name" "$version" "$toml"
    squish layer build "$DIR/sdk-$name" --to "$source" "$@" >/dev/null
}
