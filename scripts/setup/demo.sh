# shellcheck shell=bash
# The demonstration: examples/web in a container, a page fetched through its published port, the time of each step.

DEMO_PORT=42069
demo_stage='' demo_id='' demo_daemon_is_ours=no

demo_squish() { "$(prefix)/bin/squish" "$@"; }

# Listening TCP ports from the kernel's own tables (proc(5)): nothing is connected to.
port_is_taken() { # PORT
    awk -v want="$(printf '%04X' "$1")" 'FNR > 1 && $4 == "0A" { split($2, a, ":"); if (a[length(a)] == want) found = 1 }
        END { exit !found }' /proc/net/tcp /proc/net/tcp6 2>/dev/null
}

free_port() { # FIRST
    local port
    for ((port = $1; port < $1 + 200; port++)); do
        if ! port_is_taken "$port"; then
            printf '%s' "$port"
            return 0
        fi
    done
    die "no free port between $1 and $((port - 1))"
}

# Called as root, squish works as its account, which may not be able to read the clone.
stage_example() { # PORT
    if is_root; then
        local home
        home=$(getent passwd "$ACCOUNT" | cut -d: -f6)
        demo_stage=$(mktemp -d "$home/demo.XXXXXX")
    else
        demo_stage=$(mktemp -d "${TMPDIR:-/tmp}/squish-demo.XXXXXX")
    fi
    cp -R build/release/examples/web/. "$demo_stage"
    sed -i -e "s/^name = .*/name = \"web-demo-$$\"/" -e "s/^host = .*/host = $1/" "$demo_stage/squishfile.toml"
    if is_root; then chown -R "$ACCOUNT:" "$demo_stage"; fi
}

clean_up_demo() {
    local status=$?
    trap - EXIT
    if [ -n "$demo_id" ]; then demo_squish rm -f "$demo_id" >/dev/null 2>&1 || warn "the container '$demo_id' may be left"; fi
    if [ "$demo_daemon_is_ours" = yes ]; then demo_squish daemon stop >/dev/null 2>&1 || warn "squishd may be left running"; fi
    if [ -n "$demo_stage" ]; then rm -rf "$demo_stage"; fi
    exit "$status"
}

# Asks until the page comes: the server in the container needs a moment to listen.
fetch_page() { # URL
    local deadline=$(($(now_ms) + 10000))
    until curl -fsS --max-time 5 "$1" 2>/dev/null; do
        [ "$(now_ms)" -lt "$deadline" ] || return 1
        sleep 0.01
    done
}

run_demo() {
    local times=() start port page
    step() { # TEXT: what took the time since `start`
        times+=("$(printf '%-34s %8d ms' "$1" "$(($(now_ms) - start))")")
        start=$(now_ms)
    }
    start=$(now_ms)
    run_deps build runtime
    step "packages and machine"
    run_install
    step "build and install"

    trap clean_up_demo EXIT
    trap 'exit 130' INT TERM
    port=$(free_port "$DEMO_PORT")
    stage_example "$port"
    start=$(now_ms)
    if ! demo_squish daemon status >/dev/null 2>&1; then
        demo_daemon_is_ours=yes
        demo_squish daemon start >/dev/null || die "the daemon does not start (run '$(prefix)/bin/squish doctor')"
    fi
    step "daemon"
    demo_id=$(demo_squish create "$demo_stage") || die "the container does not start (run '$(prefix)/bin/squish doctor')"
    step "container"
    page=$(fetch_page "http://127.0.0.1:$port/") || {
        demo_squish logs "$demo_id" >&2 || true
        die "no answer on http://127.0.0.1:$port/"
    }
    step "first page"
    say "squish ps"
    demo_squish ps
    say "http://127.0.0.1:$port/ answers:"
    printf '%s\n' "$page"
    start=$(now_ms)
    demo_squish stop "$demo_id" >/dev/null || die "the container does not stop"
    step "stop"
    demo_squish rm "$demo_id" >/dev/null || die "the container cannot be removed"
    demo_id=''
    step "remove"
    say "times"
    printf '    %s\n' "${times[@]}"
}
