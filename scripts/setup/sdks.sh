# shellcheck shell=bash
# The SDK layers, made by scripts/sdks/*.sh into a layer source. Needs packages.sh, machine.sh and build.sh.

run_sdks() { # [OPTIONS of the makers]
    case ${1-} in -h | --help) exec scripts/sdks/node.sh --help ;; esac
    install_missing build sdks
    run_build release product
    local maker become=()
    mkdir -p build/sdks
    if is_root; then # like all of squish, this is not root's work
        make_account "$ACCOUNT" /var/lib/squish
        become=(setpriv --reuid "$ACCOUNT" --regid "$(id -gn "$ACCOUNT")" --init-groups env
            HOME="$(getent passwd "$ACCOUNT" | cut -d: -f6)")
        "${become[@]}" test -r "$ROOT/scripts/sdks/lib.sh" ||
            die "'$ACCOUNT' cannot read '$ROOT': run './setup.sh sdks' as the user whose folder it is"
        chown -R "$ACCOUNT:" build/sdks
    fi
    for maker in scripts/sdks/node.sh scripts/sdks/python.sh; do
        "${become[@]}" "$maker" "$@" || die "$maker failed"
    done
    cat <<'END'

To use them, serve the source with any web server, on this machine for example by

    python3 -m http.server --bind 127.0.0.1 --directory build/sdks/source 8100

and name it in squishd.toml (~/.config/squish, see squishd(8)); then 'squish daemon stop', so that it is read again:

    [[layers.sources]]
    name = "local"
    url = "http://127.0.0.1:8100"

or do without a source: squish layer import build/sdks/source/node/node-*.tar.zst, likewise for python.
END
}
