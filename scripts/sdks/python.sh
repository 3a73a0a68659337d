#!/bin/bash
# python.sh [OPTIONS]: the SDK layer `python`, from Debian's python3.11 and the libraries it needs.
#
# How this works
#   Debian's packages are unpacked, and what they have below /usr comes to stand at the layer's root: Python finds its
#   standard library by looking upwards from its own program, so that no PYTHONHOME is needed (which would reach other
#   Pythons too). The program is linked against glibc, which neither the built-in rootfs nor Alpine has, so the layer
#   carries Debian's, below lib/, and bin/python3.11 is patched to use it. sys.executable is therefore the program
#   itself, and subprocess and multiprocessing work.
#
#   The standard library is compiled here, as Debian does after an installation: in the container the layer is read-only,
#   and every start would compile it anew.
# shellcheck disable=SC2034 # for lib.sh
SDK=python
# shellcheck source=scripts/sdks/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
readonly PYTHON=python3.11 # of Debian 12
readonly PACKAGES=(
    "$PYTHON" "$PYTHON-minimal" "lib$PYTHON-minimal" "lib$PYTHON-stdlib"
    # Debian 12's names of what those link against; check_libraries tells what is missing
    libc6 libgcc-s1 libexpat1 zlib1g libssl3 libbz2-1.0 libcrypt1 libdb5.3 libffi8 liblzma5 libncursesw6
    libreadline8 libtinfo6 libsqlite3-0 libuuid1
)

# unchecked-hash: a compiled file is not compared with its source, and so not by its date: all in a layer are the same.
compile_library() {
    local library=$folder/lib/$PYTHON
    say "compiling the standard library"
    run_here "$folder/bin/$PYTHON" -S -s -m compileall -q --invalidation-mode unchecked-hash \
        -s "$library" -p "/sdk/python/lib/$PYTHON" "$library" || fail "the standard library cannot be compiled"
}

make_layer() {
    local root=$folder.packages/root version
    debian_packages "$root" "${PACKAGES[@]}"
    [ -x "$root/usr/bin/$PYTHON" ] || fail "Debian's packages have no $PYTHON: is this Debian 12?"
    mkdir -p "$folder"/{bin,lib}
    install -m 0755 "$root/usr/bin/$PYTHON" "$folder/bin/$PYTHON"
    ln -s $PYTHON "$folder/bin/python3"
    ln -s $PYTHON "$folder/bin/python"
    cp -R "$root/usr/lib/$PYTHON" "$folder/lib/$PYTHON"
    # NIS needs Kerberos and more, eight libraries, and Python itself gives it up (PEP 594).
    rm -f "$folder/lib/$PYTHON"/lib-dynload/nis.*.so
    # A link into /etc/python3.11: a hook for crash reports of the machine.
    rm -f "$folder/lib/$PYTHON/sitecustomize.py"
    add_libraries "$root"
    patch_program "$folder/bin/$PYTHON"

    version=$(run_here "$folder/bin/$PYTHON" -S -s -c \
        'import sys; print("%d.%d.%d" % sys.version_info[:3])') || fail "the $PYTHON of Debian's packages does not run here"
    compile_library
    cat >"$folder/.squish/layer.toml" <<END
name = "python"
version = "$version"

[env]
SSL_CERT_FILE = "/etc/ssl/certs/ca-certificates.crt" # Debian's OpenSSL looks where only Debian has them

[run]
command = "bin/python3"
args = ["-u"] # what is printed is logged at once
entry = ["main.py", "app.py", "server.py", "__main__.py"]
END
}

main "$@"
