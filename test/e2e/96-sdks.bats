# The SDK layers that scripts/sdks/ makes, from a signed source, and the examples that use them.
load helpers

setup_file() {
    e2e_setup_file
    local sdk source=$E2E_FILE_DIR/source folder=$E2E_FILE_DIR/web
    # shellcheck disable=SC2086 # words
    for sdk in node python; do
        env $E2E_SDK_ENV SQUISH="$E2E_PREFIX/bin/squish" "$E2E_SDKS/$sdk.sh" --work "$E2E_SDK_WORK" >"$E2E_FILE_DIR/$sdk.log" 2>&1 ||
            fail "the SDK $sdk cannot be made: $(cat "$E2E_FILE_DIR/$sdk.log")" || return 1
    done
    minisign -G -W -p "$E2E_FILE_DIR/key.pub" -s "$E2E_FILE_DIR/key" >/dev/null
    mkdir -p "$folder"
    for sdk in node python; do
        cp -R "$E2E_SDK_WORK/source/$sdk" "$folder/$sdk"
        minisign -S -W -s "$E2E_FILE_DIR/key" -m "$folder/$sdk/index.json" >/dev/null
    done
    "$E2E_STAGE/test/testweb" "$folder" >"$E2E_FILE_DIR/web.port" 2>/dev/null 3>&- &
    echo $! >"$E2E_FILE_DIR/web.pid"
    wait_for 10 test -s "$E2E_FILE_DIR/web.port"
    mkdir -p "$XDG_CONFIG_HOME/squish"
    cat >"$XDG_CONFIG_HOME/squish/squishd.toml" <<END
[[layers.sources]]
name = "sdks"
url = "http://127.0.0.1:$(cat "$E2E_FILE_DIR/web.port")"
key = "$(tail -1 "$E2E_FILE_DIR/key.pub")"
END
}

teardown_file() {
    [ ! -s "$E2E_FILE_DIR/web.pid" ] || kill "$(cat "$E2E_FILE_DIR/web.pid")" 2>/dev/null || true
    e2e_teardown_file
}

setup() {
    e2e_setup
    cp -R "$E2E_EXAMPLES" examples
    chmod -R u+w examples
}

version_of() { json '["versions"][0]["version"]' <"$E2E_SDK_WORK/source/$1/index.json"; }
commands_of() { sed -n 's/^    \(.*\)$/\1/p' "examples/$1/README.md" | sed 's/  *# .*//'; }

# The README of an example, command by command; what the server says of itself is the version of the index.
follow_readme() { # EXAMPLE SDK LANGUAGE
    local commands url port version
    version=$(version_of "$2")
    port=$(free_port)
    sed -i -E "s/4207[01]/$port/" "examples/$1/squishfile.toml" "examples/$1/README.md"
    mapfile -t commands < <(commands_of "$1")
    run -0 --separate-stderr bash -c "${commands[0]}"
    assert_matches "$output" "$2 +$version +[0-9a-f]{12} +/sdk/$2 +sdks +.*\[layers\] $2"
    run -0 --separate-stderr bash -c "${commands[1]}"
    assert_full_id "$output"
    id=$output
    url=${commands[2]#curl }
    assert_matches "$(fetch "$url")" "^hello from $3 v?$version on "
    run -0 bash -c "${commands[3]/curl /curl -fsS }"
    assert_matches "$output" "^a child says v?$version$"
    run ! curl -fsS --max-time 5 "${url%/}/no-such-page"
    run -0 bash -c "${commands[4]}"
    assert_contains "$output" "GET /"
    # There is no [run]: the SDK's manifest says which program starts which file of the app.
    run -0 squish ps
    assert_contains "$output" "/sdk/$2/bin/$2"
    start=$(now_ms)
    run -0 bash -c "${commands[5]}"
    [ $(($(now_ms) - start)) -lt 9000 ] || fail "it was killed, and did not end by itself"
    assert_no_container
}

@test "node-http: Node.js by version, from a signed source" {
    follow_readme node-http node Node.js
}

@test "python-http: Python by version, from a signed source" {
    follow_readme python-http python Python
}

@test "a version that the source does not have is an error that names what there is" {
    sed -i 's/"^22"/"^99"/' examples/node-http/squishfile.toml
    run ! --separate-stderr squish create examples/node-http
    assert_message "^99"
    assert_contains "$stderr" "$(version_of node)"
    assert_no_container
}

# A folder with a stranger's loader and C library: what Alpine has. Nothing of the SDKs may come from the rootfs.
stranger() {
    mkdir -p root/{bin,dev,proc,tmp,sdk,app,etc,sys,run}
    cp "$E2E_PREFIX/share/squish/base/bin/busybox" root/bin/busybox
    ln -s busybox root/bin/sh
}

@test "the SDKs bring all they need: on a rootfs with a shell and nothing else" {
    stranger
    cat >main.js <<'END'
const { fork, execFileSync } = require('node:child_process');
const { Worker } = require('node:worker_threads');
if (process.argv[2] === 'child') process.send('pong');
else {
    console.log(process.execPath, execFileSync('node', ['-p', '6*7']).toString().trim());
    fork(__filename, ['child']).on('message', (m) => console.log('fork', m));
    new Worker('require("node:worker_threads").parentPort.postMessage("hi")', { eval: true }).on('message', (m) => console.log('worker', m));
}
END
    squishfile node.toml <<'END'
[layers]
root = { path = "./root", rootfs = true }
node = "22"
app = "./main.js"
END
    run -0 --separate-stderr squish run --rm node.toml
    assert_contains "$output" "/sdk/node/bin/node 42"
    assert_contains "$output" "fork pong"
    assert_contains "$output" "worker hi"

    cat >main.py <<'END'
import bz2, ctypes, curses, dbm.ndbm, functools, hashlib, json, lzma, multiprocessing, readline, sqlite3, ssl, subprocess, sys, threading, uuid, zlib

def square(x):
    return x * x

if __name__ == "__main__":
    print(sys.executable, sys.prefix, json.__cached__)
    print("spawned", multiprocessing.get_context("spawn").Pool(1).map(square, [7]))
    print("subprocess", subprocess.run([sys.executable, "-c", "print(6*7)"], capture_output=True, text=True).stdout.strip())
    print("sqlite", sqlite3.connect(":memory:").execute("select 1+1").fetchone()[0])
    print("compiled by hash", [open(m.__cached__, "rb").read(8)[4] for m in (functools, json, subprocess)])
END
    squishfile python.toml <<'END'
[layers]
root = { path = "./root", rootfs = true }
python = ">=3.11"
app = "./main.py"
END
    run -0 --separate-stderr squish run --rm python.toml
    # The real name of the program, and a library that is compiled already.
    assert_matches "$output" '^/sdk/python/bin/python3 /sdk/python /sdk/python/lib/python3.11/json/__pycache__/'
    assert_contains "$output" "spawned [49]"
    assert_contains "$output" "subprocess 42"
    assert_contains "$output" "sqlite 2"
    assert_contains "$output" "compiled by hash [1, 1, 1]"
}

@test "both in one container, each with its own libraries" {
    shell_file both.toml 'node -p process.version; python3 -V; python -c "import sys; print(sys.prefix)"' '
layers = { node = "22", python = "~3.11" }'
    run -0 --separate-stderr squish run --rm both.toml
    assert_equal "$output" "v$(version_of node)
Python $(version_of python)
/sdk/python"
}

@test "making an SDK again does nothing, and an index that nobody signed is refused" {
    run -0 env SQUISH=/bin/false "$E2E_SDKS/node.sh" --work "$E2E_SDK_WORK"
    assert_contains "$output" "up to date"
    rm "$E2E_FILE_DIR/web/python/index.json.minisig"
    squish layer prune >/dev/null
    run ! --separate-stderr squish create examples/python-http
    assert_message "signed"
    assert_no_container
}
