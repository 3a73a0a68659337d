# shellcheck shell=bash
# What the machine itself must offer: two devices, user namespaces, ranges of ids, and an account for root's use.

ACCOUNT=${SQUISH_USER:-squish}
RANGE=65536

run_deps() { # [GROUP…]
    if [ $# -eq 0 ]; then
        set -- build runtime test sdks
        # Not every machine can have an emulator, and only one phase of the tests needs it.
        if [ -n "${SQUISH_TESTS_MUST_RUN-}" ]; then
            set -- "$@" vm
        elif ! (install_missing vm); then
            warn "the tests in a virtual machine (phase vm) will be skipped"
        fi
    fi
    install_missing "$@"
    prepare_machine
}

prepare_machine() {
    check_user_namespaces
    open_device /dev/net/tun 10 200 "the network of containers needs it"
    open_device /dev/fuse 10 229 "virtual /proc files need it"
    if is_root; then
        make_account "$ACCOUNT" /var/lib/squish
    elif ! has_range "$(id -un)"; then
        give_range_or_warn "$(id -un)"
    fi
}

check_user_namespaces() {
    local max=/proc/sys/user/max_user_namespaces clone=/proc/sys/kernel/unprivileged_userns_clone
    local apparmor=/proc/sys/kernel/apparmor_restrict_unprivileged_userns
    [ -e /proc/self/ns/user ] || die "this kernel has no user namespaces (CONFIG_USER_NS)"
    [ "$(cat "$max" 2>/dev/null || echo 1)" -gt 0 ] ||
        die "user namespaces are switched off (remedy: sysctl -w user.max_user_namespaces=10000)"
    [ "$(cat "$clone" 2>/dev/null || echo 1)" = 1 ] ||
        die "users may not make user namespaces (remedy: sysctl -w kernel.unprivileged_userns_clone=1)"
    [ "$(cat "$apparmor" 2>/dev/null || echo 0)" = 0 ] ||
        warn "AppArmor restricts user namespaces here: squish needs a profile with 'userns,', or sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
}

device_is_open() { # PATH: to everybody where we are root, to us where we are not
    [ -c "$1" ] && [ -r "$1" ] && [ -w "$1" ] && { ! is_root || [ "$(stat -c %a "$1")" = 666 ]; }
}

open_device() { # PATH MAJOR MINOR WHAT-FOR
    local path=$1
    ! device_is_open "$path" || return 0
    if ! may_become_root; then
        warn "'$path' cannot be used: $4 (remedy, as root: chmod 0666 $path)"
        return 0
    fi
    if [ ! -c "$path" ]; then
        as_root modprobe "$(basename "$path")" 2>/dev/null || true
        as_root mkdir -p "$(dirname "$path")"
        [ -c "$path" ] || as_root mknod -m 0666 "$path" c "$2" "$3" || warn "cannot make '$path': $4"
    fi
    as_root chmod 0666 "$path" || warn "cannot open '$path' to users: $4"
}

has_range() { # USER
    grep -qs "^$1:" /etc/subuid && grep -qs "^$1:" /etc/subgid
}

# The first id of a range that nobody has: behind every range and every account.
free_range() {
    { cat /etc/subuid /etc/subgid 2>/dev/null || true; } |
        awk -F: -v size=$RANGE '
            BEGIN { top = 100000 }
            NF >= 3 && $2 + $3 > top { top = $2 + $3 }
            END { printf "%d\n", 100000 + int((top - 100000 + size - 1) / size) * size }'
}

give_range() { # USER
    local first
    first=$(free_range)
    as_root usermod --add-subuids "$first-$((first + RANGE - 1))" --add-subgids "$first-$((first + RANGE - 1))" "$1" ||
        die "cannot give '$1' a range of subordinate ids (usermod --add-subuids)"
    say "gave $1 the ids $first to $((first + RANGE - 1))"
}

give_range_or_warn() { # USER
    if may_become_root; then
        give_range "$1"
    else
        warn "'$1' has no range in /etc/subuid and /etc/subgid: containers will have a single id (remedy, as root: usermod --add-subuids $(free_range)-$(($(free_range) + RANGE - 1)) --add-subgids $(free_range)-$(($(free_range) + RANGE - 1)) $1)"
    fi
}

# An account without a password or a shell, with a home of its own and a range of ids.
make_account() { # NAME HOME
    if ! getent passwd "$1" >/dev/null; then
        local shell=/usr/sbin/nologin
        [ -x "$shell" ] || shell=/bin/false
        useradd --system --user-group --no-create-home --home-dir "$2" --shell "$shell" "$1" ||
            die "cannot make the account '$1'"
        say "made the account $1"
    fi
    local home
    home=$(getent passwd "$1" | cut -d: -f6)
    [ -d "$home" ] || install -d -m 0750 -o "$1" -g "$(id -gn "$1")" "$home"
    has_range "$1" || give_range "$1"
    setpriv --reuid "$1" --regid "$(id -gn "$1")" --init-groups unshare --user true 2>/dev/null ||
        die "the account '$1' cannot make a user namespace on this machine: is it in a chroot, or in a container that forbids it?"
}
