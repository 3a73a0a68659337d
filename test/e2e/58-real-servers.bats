# Servers and clients that nobody here wrote, in containers: nginx loaded by wrk through a published port, Redis and its
# own benchmark client, which finds it by name over a named network.
load helpers

# rootfs_of FOLDER PROGRAM…: a rootfs with these programs of the machine's, and the libraries that they name.
rootfs_of() {
    local folder=$1 program file
    shift
    mkdir -p "$folder/bin" "$folder/etc" "$folder/tmp"
    printf '%s\n' root:x:0:0::/: nobody:x:65534:65534::/: >"$folder/etc/passwd"
    printf '%s\n' root:x:0: nogroup:x:65534: >"$folder/etc/group"
    for program in "$@"; do
        program=$(PATH=/usr/bin:/bin:/usr/sbin:/sbin command -v "$program") || fail "$program is not installed"
        cp "$program" "$folder/bin/"
        for file in $(ldd "$program" | grep -o '/[^ ]*'); do install -D "$file" "$folder$file"; done
    done
}

@test "nginx in a container, loaded by wrk through a published port: every answer is right" {
    rootfs_of rootfs nginx
    mkdir site
    echo "<p>served by nginx</p>" >site/index.html
    head -c 3000000 /dev/urandom >site/large
    cat >nginx.conf <<'END'
user root root;
daemon off;
master_process off;
pid /tmp/nginx.pid;
error_log /dev/stderr;
events { worker_connections 1024; }
http {
    access_log off;
    keepalive_requests 1000000;
    client_body_temp_path /tmp/body; proxy_temp_path /tmp/proxy; fastcgi_temp_path /tmp/fastcgi;
    uwsgi_temp_path /tmp/uwsgi; scgi_temp_path /tmp/scgi;
    server { listen 8080; location / { root /site; } location /who { return 200 "$remote_addr\n"; } }
}
END
    squishfile nginx.toml <<END
[layers]
debian = { path = "./rootfs", rootfs = true }
site = { path = "./site", target = "/site" }
conf = { path = "./nginx.conf", target = "/etc/nginx.conf" }
[run]
command = "/bin/nginx"
args = ["-c", "/etc/nginx.conf", "-p", "/tmp", "-e", "stderr"]
END
    port=$(free_port)
    id=$(squish create --name nginx --publish "$port:8080" nginx.toml)
    assert_equal "$(fetch "http://127.0.0.1:$port/")" "<p>served by nginx</p>"
    assert_equal "$(curl -fsS "http://127.0.0.1:$port/large" | sha256sum)" "$(sha256sum <site/large)"
    wrk -t 2 -c 100 -d 4 "http://127.0.0.1:$port/" >wrk.out || fail "$(cat wrk.out)"
    grep -E 'Requests/sec|requests in' wrk.out | sed 's/^/# /' >&3
    # wrk says so where an answer was not 2xx or a connection broke.
    run ! grep -E 'Non-2xx|Socket errors' wrk.out
    [ "$(awk '/requests in/ { print $1 }' wrk.out)" -gt $((1000 / ${E2E_SLOWNESS-1})) ] || fail "$(cat wrk.out)"
    # A connection per request.
    wrk -t 1 -c 20 -d 3 -H 'Connection: close' "http://127.0.0.1:$port/" >close.out || fail "$(cat close.out)"
    run ! grep -E 'Non-2xx|Socket errors' close.out
    # Over it all, the port is rebound.
    other=$(free_port)
    wrk -t 1 -c 20 -d 3 "http://127.0.0.1:$port/" >rebound.out &
    load=$!
    sleep 1
    squish port rebind nginx "$port" "$other"
    assert_equal "$(fetch "http://127.0.0.1:$other/")" "<p>served by nginx</p>"
    wait "$load"
    run ! grep -E 'Non-2xx|Socket errors' rebound.out
    squish stop "$id"
}

@test "Redis and its benchmark client in another container, by name over a named network" {
    rootfs_of rootfs redis-server redis-benchmark redis-cli
    squish network create cache
    squishfile redis.toml <<'END'
name = "redis"
[layers]
debian = { path = "./rootfs", rootfs = true }
[run]
command = "/bin/redis-server"
args = ["--save", "", "--appendonly", "no", "--protected-mode", "no", "--dir", "/tmp"]
[network]
networks = ["cache"]
aliases = ["store"]
END
    squish create redis.toml
    wait_for 10 eval 'squish logs redis | grep -q "Ready to accept connections"'
    cat >client.toml <<'END'
[layers]
debian = { path = "./rootfs", rootfs = true }
[run]
command = "/bin/redis-benchmark"
args = ["-h", "store", "-q", "--csv", "-n", "20000", "-c", "20", "-t", "set,get"]
[network]
networks = ["cache"]
END
    run -0 --separate-stderr squish run --rm client.toml
    printf '%s\n' "$output" | sed 's/^/# /' >&3
    assert_matches "$output" '"SET","[0-9]+'
    assert_matches "$output" '"GET","[0-9]+'
    # What it wrote is there; from the default network it is not.
    assert_matches "$(squish exec redis /bin/redis-cli dbsize)" '[1-9]'
    sed -i -e 's/redis-benchmark/redis-cli/' -e 's/^args.*/args = ["-h", "redis", "get", "key:__rand_int__"]/' client.toml
    assert_equal "$(squish run --rm client.toml)" "VXK"
    sed -i '/^\[network\]/,$d' client.toml
    run --separate-stderr squish run --rm client.toml
    assert_contains "$output$stderr" "Could not connect"
    squish rm -f redis
    squish network rm cache
}
