#!/bin/bash
# bench/net.sh [OPTIONS]: how fast the network is, beside plain loopback, a bridge made by hand, slirp4netns's own
# forwarding, and, where they are installed, pasta's and podman's; and how much memory squish's network helpers take.
#
# How this works
#   Everybody serves the same things on one port: an iperf3 for throughput (one TCP stream), an nginx of one process for
#   connections (wrk with 20 clients that connect anew for each request) and latency (wrk with one client that asks
#   again and again). In turns: --rounds times, each measurement --seconds long. As root everything runs as the account
#   squish-bench, else as the caller (test/lib/user.sh). The medians are printed, with their ratios to plain loopback:
#   compare within one run only. At the end 100 containers with a published port each are started, and the resident
#   memory (VmRSS) of the helpers is added up.
#
#   --rounds N     of everybody (3)          --seconds N    of each (3)
#   --build DIR    the build folder to measure (build/release, built first)
#   --only NAME    this contestant; may be repeated; "memory" is one
set -euo pipefail
umask 022
export LC_ALL=C.UTF-8
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly ROOT
cd "$ROOT"

# --- measured as an ordinary user: what follows is run a second time, as that ------------------------------------------

HERE=${SQUISH_BENCH_STAGE-}
PORT=$((23000 + RANDOM % 2000))
PIDS=() IDS=() PODMAN='' CLIENT=(/usr/bin/env)

start() { # COMMAND…: in the background; ended by stop_all
    "$@" >>"$HERE/log" 2>&1 &
    PIDS+=($!)
}
stop_all() {
    local pid
    for pid in "${PIDS[@]}"; do
        pkill -P "$pid" 2>/dev/null || true # pasta's command
        kill "$pid" 2>/dev/null || true
    done
    for pid in "${PIDS[@]}"; do wait "$pid" 2>/dev/null || true; done
    PIDS=()
}
# Gbit/s of what an iperf3 client prints as JSON.
gbits() { /usr/bin/python3 -c 'import json, sys; print(round(json.load(sys.stdin)["end"]["sum_received"]["bits_per_second"] / 1e9, 2))'; }
# "1.23ms" of wrk as microseconds.
microseconds() { awk '{ unit = $1; sub(/[0-9.]+/, "", unit); print $1 * (unit == "us" ? 1 : unit == "ms" ? 1000 : 1000000) }'; }

# What a contestant serves: `what` is iperf3 or nginx. $1: the port.
server() { # WHAT PORT → SERVER
    case $1 in
    iperf3) SERVER=(iperf3 -s -p "$2") ;;
    nginx)
        sed "s/@PORT@/$2/" "$HERE/rootfs/etc/nginx.conf" >"$HERE/nginx-$2.conf"
        SERVER=(nginx -c "$HERE/nginx-$2.conf" -p /tmp -e stderr)
        ;;
    esac
}
squishfile() { # FILE WHAT: such a server in a container, on port 5201
    local args='"-s", "-p", "5201"'
    [ "$2" = iperf3 ] || args='"-c", "/etc/nginx-5201.conf", "-p", "/tmp", "-e", "stderr"'
    cat >"$1" <<END
[layers]
rootfs = { path = "$HERE/rootfs", rootfs = true }
[run]
command = "/bin/$2"
args = [$args]
END
}
address_of() { squish inspect "$1" | /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["address"])'; }
host_address() { ip -4 -o addr show scope global up | awk '{ sub("/.*", "", $4); print $4; exit }'; }

# up_NAME WHAT: serves it; sets ADDRESS and AT, and CLIENT: what a client's command is run by. down() ends it.
up_loopback() {
    server "$1" $PORT
    start "${SERVER[@]}"
    ADDRESS=127.0.0.1 AT=$PORT
}
up_squish_published() {
    squishfile "$HERE/s.toml" "$1"
    IDS=("$(squish create --publish "$PORT:5201" "$HERE/s.toml")")
    ADDRESS=127.0.0.1 AT=$PORT
}
up_squish_siblings() {
    squishfile "$HERE/s.toml" "$1"
    IDS=("$(squish create "$HERE/s.toml")")
    IDS+=("$(squish create "$HERE/s.toml")")
    ADDRESS=$(address_of "${IDS[0]}") AT=5201 CLIENT=(squish exec "${IDS[1]}" /usr/bin/env)
}
up_squish_to_host() {
    ADDRESS=$(host_address) AT=$PORT
    [ -n "$ADDRESS" ] || return 1
    server "$1" $PORT
    start "${SERVER[@]}"
    squishfile "$HERE/s.toml" iperf3
    IDS=("$(squish create "$HERE/s.toml")")
    CLIENT=(squish exec "${IDS[0]}" /usr/bin/env)
}
# A bridge and two veth pairs, with nothing of squish's: all of it ends with the namespaces.
up_bridge_by_hand() {
    rm -f "$HERE/hand"
    # shellcheck disable=SC2016
    start unshare -Urn bash -e -c '
        ip link add br0 type bridge && ip link set br0 mtu 65520 up && ip link set lo up
        for n in 1 2; do
            unshare -n sleep 1000 & pids[$n]=$!
            until [ "$(readlink /proc/${pids[$n]}/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done
            ip link add v$n mtu 65520 type veth peer name eth0 mtu 65520 netns ${pids[$n]}
            ip link set v$n master br0 up
            nsenter -t ${pids[$n]} -n ip address add 10.1.1.$n/24 dev eth0
            nsenter -t ${pids[$n]} -n ip link set eth0 up
        done
        echo ${pids[1]} ${pids[2]} >"$1"
        trap "kill ${pids[1]} ${pids[2]}" EXIT
        wait' bash "$HERE/hand"
    until [ -s "$HERE/hand" ]; do sleep 0.05; done
    local one two
    read -r one two <"$HERE/hand"
    server "$1" 5201
    start nsenter -t "$one" -U -n --preserve-credentials "${SERVER[@]}"
    ADDRESS=10.1.1.1 AT=5201 CLIENT=(nsenter -t "$two" -U -n --preserve-credentials)
}
up_slirp4netns_hostfwd() {
    local api=$HERE/slirp.sock namespace
    start unshare -Urn sleep 1000
    namespace=${PIDS[-1]}
    until [ "$(readlink "/proc/$namespace/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
    rm -f "$api"
    start slirp4netns --configure --mtu=65520 --api-socket "$api" "$namespace" tap0
    server "$1" 5201
    start nsenter -t "$namespace" -U -n --preserve-credentials "${SERVER[@]}"
    until [ -S "$api" ]; do sleep 0.05; done
    sleep 0.5
    /usr/bin/python3 - "$api" $PORT <<'PYTHON'
import json, socket, sys
with socket.socket(socket.AF_UNIX) as s:
    s.connect(sys.argv[1])
    s.send(json.dumps({"execute": "add_hostfwd", "arguments": {"proto": "tcp", "host_addr": "127.0.0.1", "host_port": int(sys.argv[2]), "guest_port": 5201}}).encode())
    s.shutdown(socket.SHUT_WR)
    s.recv(4096)
PYTHON
    ADDRESS=127.0.0.1 AT=$PORT
}
up_pasta() {
    command -v pasta >/dev/null || return 1
    server "$1" 5201
    start pasta --config-net -t "$PORT:5201" -- "${SERVER[@]}"
    ADDRESS=127.0.0.1 AT=$PORT
}
up_podman_rootlessport() {
    command -v podman >/dev/null || return 1
    local command=(/bin/iperf3 -s -p 5201)
    [ "$1" = iperf3 ] || command=(/bin/nginx -c /etc/nginx-5201.conf -p /tmp -e stderr)
    PODMAN=$(podman --cgroup-manager=cgroupfs --events-backend=none run -d --rm --cgroups=disabled --network slirp4netns:port_handler=rootlesskit \
        -p "127.0.0.1:$PORT:5201" --rootfs "$HERE/rootfs" "${command[@]}" 2>>"$HERE/log") || return 1
    ADDRESS=127.0.0.1 AT=$PORT
}
down() {
    [ ${#IDS[@]} -eq 0 ] || squish rm -f "${IDS[@]}" >/dev/null || true
    [ -z "$PODMAN" ] || podman rm -f -t 0 "$PODMAN" >/dev/null 2>&1 || true
    IDS=() PODMAN='' CLIENT=(/usr/bin/env)
    stop_all
}
await_server() { # a client of the kind that measures: a container may be out of our reach
    local i
    for ((i = 0; i < 100; i++)); do
        "${CLIENT[@]}" bash -c "exec 3<>/dev/tcp/$ADDRESS/$AT" 2>/dev/null && return 0
        sleep 0.1
    done
    return 1
}

# Prints "gbits NAME 12.3", "connections NAME 4567", "p50 NAME 89", "p99 NAME 123".
contest() { # NAME
    local out quantile value
    PORT=$((PORT + 1))
    if "up_$1" iperf3 && await_server; then
        out=$("${CLIENT[@]}" iperf3 -J -t "$SECONDS_EACH" -c "$ADDRESS" -p "$AT" | gbits) && echo "gbits $1 $out"
    fi
    down
    PORT=$((PORT + 1))
    if "up_$1" nginx && await_server; then
        out=$("${CLIENT[@]}" wrk -t 1 -c 20 -d "$SECONDS_EACH" -H 'Connection: close' "http://$ADDRESS:$AT/")
        awk -v name="$1" '/Requests\/sec/ && $2 > 0 { print "connections", name, $2 }' <<<"$out"
        out=$("${CLIENT[@]}" wrk -t 1 -c 1 -d "$SECONDS_EACH" --latency "http://$ADDRESS:$AT/")
        for quantile in 50 99; do
            value=$(awk -v which="$quantile%" '$1 == which { print $2 }' <<<"$out" | microseconds)
            [ "${value:-0}" = 0 ] || echo "p$quantile $1 $value"
        done
    fi
    down
}

# Of the processes that all containers share: their VmRSS in MB, with 100 containers and 100 ports.
measure_memory() {
    local files=() i pid name
    for i in $(seq 1 100); do files+=("$HERE/m.toml"); done
    cat >"$HERE/m.toml" <<END
[layers]
rootfs = { path = "$HERE/rootfs", rootfs = true }
[run]
command = "/bin/iperf3"
args = ["-s", "-p", "5201"]
[[ports]]
host = 0
container = 5201
END
    squish create "${files[@]}" >"$HERE/ids"
    for name in squish-stager squish-forward squish-dns slirp4netns; do
        pid=$(pgrep -u "$(id -u)" -x "$name")
        echo "memory $name $(awk '/^VmRSS/ { print $2 / 1024 }' "/proc/$pid/status")"
    done
    xargs squish rm -f <"$HERE/ids" >/dev/null
}

if [ -n "$HERE" ]; then
    # shellcheck disable=SC2153 # from the first run
    for ((round = 0; round < ROUNDS; round++)); do
        for name in $CONTESTANTS; do
            if [ "$name" = memory ]; then
                [ "$round" -gt 0 ] || measure_memory 2>>"$HERE/log"
            else
                contest "$name" 2>>"$HERE/log" || echo "$name could not be measured" >>"$HERE/log"
            fi
        done
    done
    squish daemon stop --containers >/dev/null 2>&1 || true
    kill -KILL "$(cat "$XDG_RUNTIME_DIR/libpod/tmp/pause.pid" 2>/dev/null)" 2>/dev/null || true # podman's
    exit 0
fi

# Where both versions of cgroups are mounted, which crun refuses, podman is to see one of them: a mount namespace of our own.
if [ "$(id -u)" = 0 ] && [ -z "${SQUISH_BENCH_INSIDE-}" ]; then
    SQUISH_BENCH_INSIDE=1 exec unshare --mount --propagation slave "$ROOT/bench/net.sh" "$@"
fi

# --- the first run: prepare, hand over, sum up ---------------------------------------------------------------------------

. scripts/setup/common.sh
. scripts/setup/packages.sh
. scripts/setup/machine.sh
. scripts/setup/build.sh
. test/lib/user.sh

ALL="memory loopback squish_published squish_siblings squish_to_host bridge_by_hand slirp4netns_hostfwd pasta podman_rootlessport"
BUILD='' ROUNDS=3 SECONDS_EACH=3 ONLY=()
while [ $# -gt 0 ]; do
    case $1 in
    --rounds) ROUNDS=${2?--rounds needs a number} && shift ;;
    --seconds) SECONDS_EACH=${2?--seconds needs a number} && shift ;;
    --build) BUILD=$(realpath "${2?--build needs a folder}") && shift ;;
    --only) ONLY+=("${2?--only needs a name}") && shift ;;
    -h | --help) sed -n '2,/^set -/s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" && exit 0 ;;
    *) die "unknown option '$1' (see bench/net.sh --help)" ;;
    esac
    shift
done
for program in iperf3 wrk nginx; do
    command -v "$program" >/dev/null || die "$program is not installed (apt install iperf3 wrk nginx-light)"
done
# shellcheck disable=SC2034 # used by test/lib/user.sh
if is_root; then TEST_ACCOUNT=squish-bench TEST_USER=squish-bench; fi
if [ -z "$BUILD" ]; then
    run_build release
    BUILD=$ROOT/build/release
fi
! is_root || [ -z "$(cat /sys/fs/cgroup/unified/cgroup.controllers 2>/dev/null)" ] || umount /sys/fs/cgroup/unified
if is_root; then make_account "$TEST_USER" "/var/lib/$TEST_USER"; fi
STAGE=$(mktemp -d /tmp/squish-bench.XXXXXX)
# shellcheck disable=SC2317 # called by the trap
clean_up() {
    local status=$?
    trap - EXIT
    kill_leftovers "$STAGE" || status=1
    [ -n "${SQUISH_BENCH_KEEP-}" ] || rm -rf "$STAGE"
    exit "$status"
}
trap clean_up EXIT
chmod 0755 "$STAGE"
cmake --install "$BUILD" --prefix "$STAGE/prefix" >/dev/null
# A rootfs of the programs and the libraries that they name.
mkdir -p "$STAGE/w" && mkdir -m 0700 "$STAGE/w/run"
mkdir -p "$STAGE/w/rootfs/bin" "$STAGE/w/rootfs/usr/bin" "$STAGE/w/rootfs/tmp" "$STAGE/w/rootfs/etc"
for program in iperf3 wrk nginx bash env; do
    cp "$(command -v "$program")" "$STAGE/w/rootfs/bin/"
    ldd "$(command -v "$program")" | grep -o '/[^ ]*' | while read -r library; do
        [ -e "$STAGE/w/rootfs$library" ] || install -D "$library" "$STAGE/w/rootfs$library"
    done
done
cp /usr/bin/env "$STAGE/w/rootfs/usr/bin/env"
printf '%s\n' root:x:0:0::/: nobody:x:65534:65534::/: >"$STAGE/w/rootfs/etc/passwd"
printf '%s\n' root:x:0: nogroup:x:65534: >"$STAGE/w/rootfs/etc/group"
cat >"$STAGE/w/rootfs/etc/nginx.conf" <<'END'
user root root;
daemon off;
master_process off;
pid /tmp/nginx-@PORT@.pid;
error_log /dev/stderr;
events { worker_connections 1024; }
http {
    access_log off;
    keepalive_requests 100000000;
    client_body_temp_path /tmp/@PORT@-1; proxy_temp_path /tmp/@PORT@-2; fastcgi_temp_path /tmp/@PORT@-3;
    uwsgi_temp_path /tmp/@PORT@-4; scgi_temp_path /tmp/@PORT@-5;
    server { listen @PORT@; location / { return 200 "hello\n"; } }
}
END
sed 's/@PORT@/5201/' "$STAGE/w/rootfs/etc/nginx.conf" >"$STAGE/w/rootfs/etc/nginx-5201.conf"
cp "$ROOT/bench/net.sh" "$STAGE/net.sh"
mkdir -p "$STAGE/bench" && mv "$STAGE/net.sh" "$STAGE/bench/net.sh"
if is_root; then chown -R "$TEST_USER:" "$STAGE/w"; fi
CONTESTANTS=${ONLY[*]:-$ALL}
export SQUISH_BENCH_STAGE=$STAGE/w ROUNDS SECONDS_EACH CONTESTANTS XDG_RUNTIME_DIR=$STAGE/w/run XDG_DATA_HOME=$STAGE/w/data
export XDG_CONFIG_HOME=$STAGE/w/config PATH=$STAGE/prefix/bin:/usr/bin:/bin:/usr/sbin:/sbin
PASS_ON="SQUISH_BENCH_STAGE ROUNDS SECONDS_EACH CONTESTANTS XDG_RUNTIME_DIR XDG_DATA_HOME XDG_CONFIG_HOME PATH" \
    as_test_user "$STAGE/w" bash "$STAGE/bench/net.sh" | tee "$STAGE/figures" >&2
/usr/bin/python3 - "$STAGE/figures" <<'PYTHON'
import collections, statistics, sys
figures = collections.defaultdict(lambda: collections.defaultdict(list))
memory = {}
for line in open(sys.argv[1]):
    kind, name, *value = line.split()
    if kind == "memory":
        memory[name] = float(value[0])
    elif value:
        figures[name][kind].append(float(value[0]))
kinds = (("gbits", "Gbit/s", 2), ("connections", "connections/s", 0), ("p50", "p50 us", 0), ("p99", "p99 us", 0))
base = {kind: statistics.median(figures["loopback"][kind]) for kind, _, _ in kinds if figures.get("loopback", {}).get(kind)}
if figures:
    print(f"{'':24}" + "".join(f"{title:>15} (ratio)" for _, title, _ in kinds))
for name, of in figures.items():
    row = f"{name:24}"
    for kind, _, digits in kinds:
        if not of.get(kind):
            row += f"{'-':>15}        "
            continue
        median = statistics.median(of[kind])
        row += f"{median:15.{digits}f}" + (f"  {median / base[kind]:5.2f} " if kind in base else "        ")
    print(row)
if memory:
    print("\nmemory of the helpers with 100 containers and 100 ports, MB resident:")
    for name, megabytes in memory.items():
        print(f"{name:24}{megabytes:8.1f}")
    print(f"{'together':24}{sum(memory.values()):8.1f}")
PYTHON
