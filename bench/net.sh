#!/bin/bash
# bench/net.sh [OPTIONS]: how fast the network is, beside plain loopback, a bridge made by hand, slirp4netns's own
# forwarding, and, where they are installed, pasta's and podman's.
#
# How this works
#   Everybody runs the same iperf3, in turns: --rounds times, each --seconds long, one TCP stream. As root everything
#   runs as the account squish-bench, else as the caller (test/lib/user.sh). The median of each is printed, in Gbit/s,
#   with its ratio to plain loopback: compare within one run only.
#
#   --rounds N     of everybody (3)          --seconds N    of each (3)
#   --build DIR    the build folder to measure (build/release, built first)
#   --only NAME    this contestant; may be repeated
set -euo pipefail
umask 022
export LC_ALL=C.UTF-8
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
readonly ROOT
cd "$ROOT"

# --- measured as an ordinary user: what follows is run a second time, as that ------------------------------------------

HERE=${SQUISH_BENCH_STAGE-}
PORT=$((23000 + RANDOM % 2000))
PIDS=()

start() { # COMMAND…: in the background; ended by stop_all
    "$@" >>"$HERE/log" 2>&1 &
    PIDS+=($!)
}
stop_all() {
    local pid
    for pid in "${PIDS[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${PIDS[@]}"; do wait "$pid" 2>/dev/null || true; done
    PIDS=()
}
listens() { (exec 3<>"/dev/tcp/$1/$2") 2>/dev/null; }
await() { # ADDRESS PORT
    local i
    for ((i = 0; i < 100; i++)); do
        listens "$1" "$2" && return 0
        sleep 0.1
    done
    echo "nobody listens at $1 port $2" >&2
    return 1
}
# Gbit/s of what an iperf3 client prints as JSON.
gbits() { /usr/bin/python3 -c 'import json, sys; print(round(json.load(sys.stdin)["end"]["sum_received"]["bits_per_second"] / 1e9, 2))'; }
measure() { iperf3 -J -t "$SECONDS_EACH" -c "$@" | gbits; }

squishfile() { # FILE [MORE]: an iperf3 server in a container
    cat >"$1" <<END
[layers]
rootfs = { path = "$HERE/rootfs", rootfs = true }
[run]
command = "/bin/iperf3"
args = ["-s", "-p", "5201"]
END
}

net_loopback() {
    start iperf3 -s -p $PORT
    await 127.0.0.1 $PORT
    measure 127.0.0.1 -p $PORT
    stop_all
}
net_squish_published() {
    squishfile "$HERE/s.toml"
    local id
    id=$(squish create --publish "$PORT:5201" "$HERE/s.toml")
    await 127.0.0.1 $PORT
    measure 127.0.0.1 -p $PORT
    squish rm -f "$id" >/dev/null
}
net_squish_siblings() {
    squishfile "$HERE/s.toml"
    local one two
    one=$(squish create --publish "$PORT:5201" "$HERE/s.toml")
    two=$(squish create "$HERE/s.toml")
    await 127.0.0.1 $PORT
    squish exec "$two" /bin/iperf3 -J -t "$SECONDS_EACH" -c "$(squish inspect "$one" |
        /usr/bin/python3 -c 'import json, sys; print(json.load(sys.stdin)[0]["address"])')" | gbits
    squish rm -f "$one" "$two" >/dev/null
}
net_squish_to_host() {
    local address id
    address=$(ip -4 -o addr show scope global up | awk '{ sub("/.*", "", $4); print $4; exit }')
    [ -n "$address" ] || return 1
    squishfile "$HERE/s.toml"
    start iperf3 -s -p $PORT
    await 127.0.0.1 $PORT
    id=$(squish create "$HERE/s.toml")
    squish exec "$id" /bin/iperf3 -J -t "$SECONDS_EACH" -c "$address" -p $PORT | gbits
    squish rm -f "$id" >/dev/null
    stop_all
}
# A bridge and two veth pairs, with nothing of squish's: all of it ends with the namespaces.
net_bridge_by_hand() {
    # shellcheck disable=SC2016
    unshare -Urn bash -e -c '
        ip link add br0 type bridge && ip link set br0 mtu 65520 up && ip link set lo up
        for n in 1 2; do
            unshare -n sleep 1000 & pids[$n]=$!
            until [ "$(readlink /proc/${pids[$n]}/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done
            ip link add v$n mtu 65520 type veth peer name eth0 mtu 65520 netns ${pids[$n]}
            ip link set v$n master br0 up
            nsenter -t ${pids[$n]} -n ip address add 10.1.1.$n/24 dev eth0
            nsenter -t ${pids[$n]} -n ip link set eth0 up
        done
        nsenter -t ${pids[1]} -n iperf3 -s -1 >/dev/null & server=$!
        sleep 1.5
        nsenter -t ${pids[2]} -n iperf3 -J -t "$1" -c 10.1.1.1
        kill ${pids[1]} ${pids[2]} $server 2>/dev/null || true' bash "$SECONDS_EACH" | gbits
}
net_slirp4netns_hostfwd() {
    local api=$HERE/slirp.sock namespace
    start unshare -Urn sleep 1000
    namespace=${PIDS[-1]}
    until [ "$(readlink "/proc/$namespace/ns/net")" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.05; done
    rm -f "$api"
    start slirp4netns --configure --mtu=65520 --api-socket "$api" "$namespace" tap0
    start nsenter -t "$namespace" -U -n --preserve-credentials iperf3 -s -p 5201
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
    await 127.0.0.1 $PORT
    measure 127.0.0.1 -p $PORT
    stop_all
}
net_pasta() {
    command -v pasta >/dev/null || return 1
    start pasta --config-net -t "$PORT:5201" -- iperf3 -s -p 5201
    await 127.0.0.1 $PORT
    measure 127.0.0.1 -p $PORT
    stop_all
}
net_podman_rootlessport() {
    command -v podman >/dev/null || return 1
    local id
    id=$(podman --cgroup-manager=cgroupfs run -d --rm --cgroups=disabled --network slirp4netns:port_handler=rootlesskit \
        -p "127.0.0.1:$PORT:5201" --rootfs "$HERE/rootfs" /bin/iperf3 -s -p 5201 2>>"$HERE/log") || return 1
    await 127.0.0.1 $PORT
    measure 127.0.0.1 -p $PORT
    podman rm -f -t 0 "$id" >/dev/null 2>&1
}

if [ -n "$HERE" ]; then
    # shellcheck disable=SC2153 # from the first run
    for ((round = 0; round < ROUNDS; round++)); do
        for name in $CONTESTANTS; do
            PORT=$((PORT + 1))
            if figure=$("net_$name" 2>>"$HERE/log"); then echo "$name $figure"; else echo "$name -"; fi
            stop_all
        done
    done
    squish daemon stop --containers >/dev/null 2>&1 || true
    exit 0
fi

# --- the first run: prepare, hand over, sum up ---------------------------------------------------------------------------

. scripts/setup/common.sh
. scripts/setup/packages.sh
. scripts/setup/machine.sh
. scripts/setup/build.sh
. test/lib/user.sh

ALL="loopback squish_published squish_siblings squish_to_host bridge_by_hand slirp4netns_hostfwd pasta podman_rootlessport"
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
command -v iperf3 >/dev/null || die "iperf3 is not installed (apt install iperf3)"
# shellcheck disable=SC2034 # used by test/lib/user.sh
if is_root; then TEST_ACCOUNT=squish-bench TEST_USER=squish-bench; fi
if [ -z "$BUILD" ]; then
    run_build release
    BUILD=$ROOT/build/release
fi
if is_root; then make_account "$TEST_USER" "/var/lib/$TEST_USER"; fi
STAGE=$(mktemp -d /tmp/squish-bench.XXXXXX)
# shellcheck disable=SC2317 # called by the trap
clean_up() {
    local status=$?
    trap - EXIT
    kill_leftovers "$STAGE" || status=1
    rm -rf "$STAGE"
    exit "$status"
}
trap clean_up EXIT
chmod 0755 "$STAGE"
cmake --install "$BUILD" --prefix "$STAGE/prefix" >/dev/null
# A rootfs of iperf3 and the libraries that it names.
mkdir -p "$STAGE/w/rootfs/bin" "$STAGE/w/rootfs/tmp" "$STAGE/w/rootfs/etc"
cp "$(command -v iperf3)" "$STAGE/w/rootfs/bin/"
ldd "$(command -v iperf3)" | grep -o '/[^ ]*' | while read -r library; do install -D "$library" "$STAGE/w/rootfs$library"; done
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
figures = collections.defaultdict(list)
for line in open(sys.argv[1]):
    name, value = line.split()
    if value != "-":
        figures[name].append(float(value))
    else:
        figures[name]
base = statistics.median(figures["loopback"]) if figures.get("loopback") else None
print(f"{'':24}{'Gbit/s':>8}{'of loopback':>13}")
for name, values in figures.items():
    if not values:
        print(f"{name:24}{'-':>8}")
        continue
    median = statistics.median(values)
    print(f"{name:24}{median:8.2f}" + (f"{median / base:13.2f}" if base else ""))
PYTHON
