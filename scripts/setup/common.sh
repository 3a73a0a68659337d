# shellcheck shell=bash
# What every part of setup uses: messages, and the way to privileges.

say() { printf '==> %s\n' "$*"; }
warn() { printf 'setup: warning: %s\n' "$*" >&2; }
die() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

is_root() { [ "$(id -u)" -eq 0 ]; }

# Can we become root? Asks for a password only where there is somebody to ask.
may_become_root() {
    is_root && return 0
    command -v sudo >/dev/null || return 1
    sudo -n true 2>/dev/null && return 0
    [ -t 0 ] && [ -t 2 ] && sudo -v
}

as_root() {
    if is_root; then "$@"; else sudo "$@"; fi
}

now_ms() { printf '%s' "$(($(date +%s%N) / 1000000))"; }
