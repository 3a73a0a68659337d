# Software that nobody here wrote, under the default isolation: the default filter, no capability, what is covered and
# frozen. docs/security.md lists it. nginx and Redis are in 58-real-servers.bats, the SDK layers in 96-sdks.bats.
# shellcheck disable=SC2016 # scripts for the container
load helpers
load layers

setup_file() {
    e2e_setup_file
    MIRROR=$E2E_FILE_DIR/mirror
    if [ -n "$E2E_ALPINE_MIRROR" ]; then MIRROR=$E2E_ALPINE_MIRROR; else make_mirror "$MIRROR" 3.20.3; fi
    export MIRROR
    # This machine's /usr on a rootfs that has nothing else: every program that its packages brought.
    export DEBIAN=$E2E_FILE_DIR/debian
    mkdir -p "$DEBIAN"/{usr,etc/alternatives,tmp,home/user}
    local name
    for name in bin sbin lib lib64; do ln -s "usr/$name" "$DEBIAN/$name"; done
    printf '%s\n' root:x:0:0::/root:/bin/bash user:x:1000:1000:A User:/home/user:/bin/bash >"$DEBIAN/etc/passwd"
    printf '%s\n' root:x:0: user:x:1000: >"$DEBIAN/etc/group"
    printf '%s\n' 'passwd: files' 'group: files' 'hosts: files' >"$DEBIAN/etc/nsswitch.conf"
}

setup() {
    e2e_setup
    WEBS=()
}
teardown() {
    for pid in ${WEBS[@]+"${WEBS[@]}"}; do kill "$pid" 2>/dev/null || true; done
    e2e_teardown
}

# in_debian SCRIPT [RUN]: in bash, with this machine's programs and the file `program` of here at /program; RUN goes
# into [run]. The first step that fails ends it.
in_debian() {
    printf '%s\n' "set -euo pipefail" "$1" >script
    touch program
    cat >in-debian.toml <<END
[layers]
debian = { path = "$DEBIAN", rootfs = true }
usr = { path = "/usr", target = "/usr" }
alternatives = { path = "/etc/alternatives", target = "/etc/alternatives" }
script = { path = "./script", target = "/script" }
program = { path = "./program", target = "/program" }
[run]
command = "/bin/bash"
args = ["/script"]
${2-}
[env]
HOME = "/tmp/home"
LANG = "C.UTF-8"
END
    squish run --rm in-debian.toml
}

# Each line is a word and what is expected of it: the word alone is what was wrong.
@test "busybox: its applets, for what they do" {
    cat >script <<'SCRIPT'
cd /tmp
is() { # NAME WANTED COMMAND…
    name=$1 wanted=$2; shift 2
    got=$("$@" 2>&1) || got="$got [status $?]"
    if [ "$got" = "$wanted" ]; then echo "$name ok"; else echo "$name: $got"; fi
}
does() { # NAME COMMAND…
    name=$1; shift
    if got=$("$@" 2>&1); then echo "$name ok"; else echo "$name: [status $?] $got"; fi
}
sh() { /bin/sh -c "$1"; }
has() { which "$1" >/dev/null; } # not every busybox was built with all of them
# files
does mkdir mkdir -p a/b/c
does touch touch a/one
is echo hello echo hello
does cp cp -a /etc/passwd a/passwd
does mv mv a/passwd a/moved
does ln ln -s moved a/link
is readlink moved readlink a/link
is realpath /tmp/a/moved realpath a/link
does hardlink ln a/moved a/second
is stat 2 stat -c %h a/moved
does chmod chmod 0640 a/moved
is mode 640 stat -c %a a/moved
does chown chown 0:0 a/moved
does find find a -name moved
is wc 3 sh 'printf "a\nb\nc\n" | wc -l | tr -d " "'
does mkfifo mkfifo a/fifo
is fifo through sh 'echo through >a/fifo & cat a/fifo'
does mktemp mktemp -d /tmp/x.XXXXXX
does truncate truncate -s 1M a/big
does fallocate fallocate -l 4096 a/alloc
does dd dd if=/dev/zero of=a/zero bs=1k count=16 conv=fsync
does sync sync
does df df /tmp
does du du -s a
does cmp cmp a/moved a/second
is diff '' diff a/moved a/second
does shred shred -u a/alloc
does install cp /bin/busybox a/busybox
is exec-from-tmp works a/busybox echo works
has flock && does flock flock a/one true
does touch-d touch -d '2020-01-01 00:00:00' a/one
is date-r 2020 date -r a/one +%Y
does rm rm -r a/b
does tree-copy cp -a /etc etc
# archives
does tar tar -czf a.tgz a/moved a/one
is tar-t 'a/moved' sh 'tar -tzf a.tgz | head -1'
does gzip sh 'gzip -k a/big && gunzip -t a/big.gz'
does bzip2 sh 'echo x | bzip2 | bunzip2'
does xz sh 'echo x | xz 2>/dev/null | xzcat || true'
does cpio sh 'echo a/one | cpio -o -H newc >a.cpio'
# text
is sed b sh 'echo a | sed s/a/b/'
is awk 6 awk 'BEGIN { print 1 + 2 + 3 }'
is grep b sh 'printf "a\nb\n" | grep b'
is sort 'a b' sh 'printf "b\na\n" | sort | xargs echo'
is uniq 2 sh 'printf "a\na\n" | uniq -c | awk "{ print \$1 }"'
is cut b sh 'echo a:b | cut -d: -f2'
is tr B sh 'echo b | tr a-z A-Z'
is od 0061 sh 'printf a | od -An -x | tr -d " "'
is hexdump 61 sh 'printf a | hexdump -e "\"%x\""'
is base64 aGk= sh 'printf hi | base64'
is sha256sum ok sh 'sha256sum a/moved >sums && sha256sum -c sums >/dev/null && echo ok'
is md5sum ok sh 'md5sum a/moved >sums && md5sum -c sums >/dev/null && echo ok'
is bc 42 sh 'echo 6*7 | bc'
is dc 42 sh 'echo 6 7 \* p | dc'
is expr 3 expr 1 + 2
is seq '1 2 3' sh 'seq 3 | xargs echo'
is rev cba sh 'echo abc | rev'
is factor '6: 2 3' factor 6
is head-tail 2 sh 'seq 3 | head -2 | tail -1'
is tee x sh 'echo x | tee a/t'
has split && does split sh 'cd a && split -b 8k zero part.'
has patch && does patch sh 'cd a && printf "a\n" >f && printf "b\n" >g; diff -u f g >p; patch f p && cmp f g'
# processes
does ps ps
does top top -b -n 1
is kill 143 sh '{ sleep 100 & kill $!; wait $!; } 2>/dev/null; echo $?'
is timeout 143 sh 'timeout 1 sleep 100 2>/dev/null; echo $?'
has nice && is nice 5 nice -n 5 nice
does renice renice -n 3 $$
does ionice ionice
does setsid setsid true
has nohup && does nohup nohup true
does nproc nproc
has taskset && does taskset taskset -p $$
has chrt && does chrt chrt -p $$
does time time true
does usleep usleep 10
does watch timeout 3 sh -c 'watch -n 1 -t true & sleep 0.1; kill $!'
does pidof pidof sh
does free free
does uptime uptime
does vmstat sh 'cat /proc/meminfo /proc/stat /proc/loadavg >/dev/null'
does pipes sh 'yes | head -100000 | wc -l'
has start-stop-daemon && does start-stop start-stop-daemon -S -b -m -p /tmp/pid -x /bin/sleep -- 30
has start-stop-daemon && does start-stop-K start-stop-daemon -K -p /tmp/pid
# users and the system
is id 0 id -u
is whoami root whoami
does uname uname -a
does hostname hostname
does date date
does cal cal
does env env
does tty sh 'tty; true'
does stty-none sh 'stty </dev/null; true'
does which which sh
does mount-list mount
does dmesg-refused sh '! dmesg'
# network
does ifconfig ifconfig lo
does ip ip addr
does route route -n
does netstat netstat -tln
is nc pong sh 'echo pong | nc -l -p 7001 >/dev/null & sleep 0.3; nc 127.0.0.1 7001 </dev/null'
has httpd && is wget page sh 'mkdir w && echo page >w/index.html && httpd -p 127.0.0.1:7002 -h w && wget -qO- http://127.0.0.1:7002/'
does nslookup sh 'nslookup localhost 127.0.0.1 || true'
# the shell itself
is arithmetic 42 sh 'echo $((6 * 7))'
is trap caught sh 'trap "echo caught" USR1; kill -USR1 $$'
is job 0 sh 'sleep 0.1 & wait; echo $?'
is ulimit ok sh 'ulimit -n 64 && ulimit -c 0 && echo ok'
is heredoc a sh 'cat <<X
a
X'
is umask 0077 sh 'umask 077; umask'
is read y sh 'echo y | { read x; echo $x; }'
SCRIPT
    start_web "$MIRROR"
    export XDG_CONFIG_HOME=$DIR/config
    use_mirrors "$WEB"
    for rootfs in base 'alpine = "3.20"'; do
        cat >busybox.toml <<END
[layers]
${rootfs#base}
script = { path = "./script", target = "/script" }
[run]
command = "/bin/sh"
args = ["/script"]
END
        run -0 --separate-stderr squish run --rm busybox.toml
        assert_equal "$rootfs: $(grep -v ' ok$' <<<"$output")" "$rootfs: "
        [ "${#lines[@]}" -ge 95 ] || fail "only ${#lines[@]} were run"
    done
}

@test "apk: what is installed, a new root, a package of one's own" {
    start_web "$MIRROR"
    export XDG_CONFIG_HOME=$DIR/config
    use_mirrors "$WEB"
    apk() { in_shell "$1" $'[layers]\nalpine = "3.20"\npackage = { path = "./hello.apk", target = "/hello.apk", unpack = false }'; }
    # A package is two tars in a row, the first without its end: what it is, and its files.
    /usr/bin/python3 - <<'PYTHON'
import gzip, hashlib, io, tarfile

def tar(files, cut):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            if name.endswith("/"):
                entry.type = tarfile.DIRTYPE
            elif not name.startswith("."):
                entry.pax_headers = {"APK-TOOLS.checksum.SHA1": hashlib.sha1(content).hexdigest()}
            archive.addfile(entry, io.BytesIO(content))
        end = archive.offset
    return gzip.compress(out.getvalue()[:end] if cut else out.getvalue(), mtime=0)

data = tar({"usr/": b"", "usr/bin/": b"", "usr/bin/hello": b"#!/bin/sh\necho hello from a package\n"}, False)
info = f"pkgname = hello\npkgver = 1.0-r0\narch = noarch\nsize = 4096\ndatahash = {hashlib.sha256(data).hexdigest()}\n"
open("hello.apk", "wb").write(tar({".PKGINFO": info.encode()}, True) + data)
PYTHON
    run -0 --separate-stderr apk 'apk --version'
    assert_matches "$output" '^apk-tools [0-9]'
    [ -n "$E2E_ALPINE_MIRROR" ] || return 0 # a mirror that the tests made has no real apk
    run -0 --separate-stderr apk 'apk info | sort | head -3; apk info -e busybox; apk verify /hello.apk 2>&1 | tail -1; apk stats | head -1'
    assert_contains "$output" alpine-baselayout
    assert_contains "$output" busybox
    run -0 --separate-stderr apk 'apk add --root /tmp/root --initdb --no-network --allow-untrusted --force-non-repository --no-chown /hello.apk >/tmp/log 2>&1 || { cat /tmp/log; exit 1; }
        sh /tmp/root/usr/bin/hello; apk info --root /tmp/root -L hello; apk audit --root /tmp/root
        apk del --root /tmp/root --no-network hello >/dev/null && ls /tmp/root/usr/bin 2>/dev/null | wc -l'
    assert_contains "$output" "hello from a package"
    assert_contains "$output" "usr/bin/hello"
    assert_equal "${lines[-1]}" 0
}

@test "bash: jobs, pipes, substitutions, sockets" {
    run -0 --separate-stderr in_debian '
cd /tmp
diff <(seq 3) <(printf "1\n2\n3\n") && echo substituted
coproc CAT { cat; }; echo "through a coprocess" >&"${CAT[1]}"; read -r line <&"${CAT[0]}"; echo "$line"
sleep 30 & sleep 0.05 & wait -n; echo "first: $?"; kill %1; wait %1 || echo "killed: $?"
trap "echo trapped" USR1; kill -USR1 $$; sleep 0.1
mapfile -t words < <(printf "%s\n" a b c); echo "${#words[@]} ${words[-1]}"
python3 -c "import socket; s = socket.create_server((\"127.0.0.1\", 7000)); c, _ = s.accept(); c.send(b\"over tcp\n\")" &
for i in $(seq 100); do { exec 5<>/dev/tcp/127.0.0.1/7000; } 2>/dev/null && break; sleep 0.05; done
read -r line <&5; echo "$line"
(ulimit -v 200000; ulimit -n 32; echo "limits: $(ulimit -n)")
set -m; (exit 7) & wait $! || echo "job control: $?"
printf "%(%Y)T\n" 0; time -p true 2>/dev/null; echo $BASHPID >/dev/null; suspend=no
echo {1..3} "$((2 ** 10))" "$(tr a-z A-Z <<<text)"; [[ -O /tmp || -w /tmp ]] && echo tested'
    assert_equal "$output" "substituted
through a coprocess
first: 0
killed: 143
trapped
3 c
over tcp
limits: 32
job control: 7
1970
1 2 3 1024 TEXT
tested"
}

@test "git: commits, branches, clones, a push, over the file system and over its own protocol" {
    run -0 --separate-stderr in_debian '
export GIT_CONFIG_GLOBAL=/tmp/gitconfig GIT_CONFIG_NOSYSTEM=1
git config --global user.name A; git config --global user.email a@b.c; git config --global init.defaultBranch main
git config --global advice.detachedHead false; git config --global safe.directory "*"
mkdir /tmp/repo && cd /tmp/repo && git init -q && seq 1000 >file && git add . && git commit -q -m one
git checkout -q -b side && echo more >>file && git commit -q -am two && git checkout -q main && git merge -q --ff-only side
git log --format=%s; git tag v1
git clone -q --no-hardlinks /tmp/repo /tmp/clone && git -C /tmp/clone log --oneline | wc -l
git init -q --bare /tmp/bare.git && git push -q /tmp/bare.git main v1
git daemon --base-path=/tmp --export-all --reuseaddr --listen=127.0.0.1 --port=9418 /tmp >/dev/null 2>&1 &
for i in $(seq 100); do git clone -q git://127.0.0.1/bare.git /tmp/over 2>/dev/null && break; sleep 0.05; done
tail -1 /tmp/over/file; git -C /tmp/over describe --tags
git worktree add -q /tmp/tree v1; git stash list | wc -l; git grep -c more; git rebase -q --root; git blame -s file | wc -l
git gc -q --aggressive --prune=now; git fsck --strict 2>&1; git archive --format=tar.gz -o /tmp/a.tgz main; tar -tzf /tmp/a.tgz'
    assert_equal "$output" "two
one
2
more
v1
0
file:1
1001
file"
}

@test "gcc: a program, its threads, a library that is loaded later, make, a backtrace" {
    run -0 --separate-stderr in_debian '
cd /tmp
cat >part.cpp <<C
#include <string>
extern "C" const char* part() { static const std::string text = "from a shared library"; return text.c_str(); }
C
cat >main.cpp <<C
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <stdexcept>
#include <thread>
#include <vector>
int main() {
    std::atomic<int> sum{0};
    std::vector<std::thread> threads;
    for (int i = 1; i <= 8; ++i) threads.emplace_back([&sum, i] { sum += i; });
    for (auto& one : threads) one.join();
    void* library = dlopen("./part.so", RTLD_NOW);
    auto part = reinterpret_cast<const char* (*)()>(dlsym(library, "part"));
    try { throw std::runtime_error("thrown"); } catch (const std::exception& error) { std::printf("%s, ", error.what()); }
    std::printf("hello, %d, %s\n", sum.load(), part());
}
C
cat >Makefile <<C
all: main part.so
main: main.cpp ; g++ -O2 -g -o \$@ \$< -pthread -ldl
part.so: part.cpp ; g++ -shared -fPIC -flto -o \$@ \$<
C
make -s -j2
./main
echo "int main(void) { return 7; }" | gcc -x c -static -o seven - && { ./seven || echo "static: $?"; }
nm main | grep -c " T main"; objdump -d seven >/dev/null; strip seven; ar rc x.a main.cpp; echo ok
g++ -g -fsanitize=address,undefined -o checked -x c++ - <<C && ASAN_OPTIONS=detect_leaks=0 ./checked
#include <cstdio>
int main() { std::puts("sanitized"); }
C'
    assert_equal "$output" "thrown, hello, 36, from a shared library
static: 7
1
ok
sanitized"
}

@test "Python: threads, processes, sockets, events, files" {
    cat >program <<'PYTHON'
import asyncio, concurrent.futures, ctypes, fcntl, glob, mmap, multiprocessing, multiprocessing.shared_memory, os, pty, resource, select, shutil
import signal, socket, socketserver, sqlite3, subprocess, sys, tempfile, threading, time, urllib.request, http.server

def square(x):
    return x * x

def said(what, fine):
    print(what if fine else f"WRONG: {what}", flush=True)

async def talk():
    async def serve(reader, writer):
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"asyncio\n")
    got = await reader.readline()
    child = await asyncio.create_subprocess_exec(sys.executable, "-c", "print(6*7)", stdout=subprocess.PIPE)
    out, _ = await child.communicate()
    loop = asyncio.get_running_loop()
    heard = asyncio.Event()
    loop.add_signal_handler(signal.SIGUSR1, heard.set)
    os.kill(os.getpid(), signal.SIGUSR1)
    await asyncio.wait_for(heard.wait(), 5)
    return got == b"ASYNCIO\n" and out == b"42\n" and await loop.run_in_executor(None, square, 3) == 9

if __name__ == "__main__":
    os.chdir(tempfile.mkdtemp())
    results = []
    threads = [threading.Thread(target=lambda i=i: results.append(square(i))) for i in range(50)]
    [t.start() for t in threads], [t.join() for t in threads]
    said("threads", sorted(results) == [square(i) for i in range(50)])
    said("subprocess", subprocess.run(["sh", "-c", "read x; echo got $x"], input="it\n", text=True, capture_output=True).stdout == "got it\n")
    said("new session", subprocess.run(["true"], start_new_session=True, close_fds=True).returncode == 0)
    with concurrent.futures.ProcessPoolExecutor(2) as pool:
        said("processes", list(pool.map(square, range(5))) == [0, 1, 4, 9, 16])
    for how in ("spawn", "forkserver"):
        said(how, multiprocessing.get_context(how).Pool(1).map(square, [7]) == [49])
    block = multiprocessing.shared_memory.SharedMemory(create=True, size=4096)
    block.buf[0] = 7
    same = multiprocessing.shared_memory.SharedMemory(block.name)
    said("shared memory", same.buf[0] == 7)
    block.unlink()
    said("asyncio", asyncio.run(talk()))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    server.RequestHandlerClass.log_message = lambda *_: None
    threading.Thread(target=server.serve_forever, daemon=True).start()
    open("page", "w").write("x" * 100000)
    said("http", len(urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/page").read()) == 100000)
    a, b = socket.socketpair()
    socket.send_fds(a, [b"x"], [os.open("page", os.O_RDONLY)])
    said("passed descriptors", os.pread(socket.recv_fds(b, 1, 1)[1][0], 3, 0) == b"xxx")
    u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    u.bind(("127.0.0.1", 0)), u.sendto(b"datagram", u.getsockname())
    said("udp", u.recv(64) == b"datagram")
    s6 = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    s6.bind(("::1", 0)), s6.listen()
    said("ipv6", s6.getsockname()[0] == "::1")
    unix = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    unix.bind("socket"), unix.listen()
    client = socket.socket(socket.AF_UNIX)
    client.connect("socket")
    said("credentials", unix.accept()[0].getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)[:4] == os.getpid().to_bytes(4, "little"))
    r, w = os.pipe2(os.O_CLOEXEC)
    e = select.epoll()
    e.register(r, select.EPOLLIN), os.write(w, b"1")
    said("epoll", e.poll(1) == [(r, select.EPOLLIN)])
    m = os.memfd_create("m")
    os.write(m, b"memory")
    said("memfd and mmap", mmap.mmap(m, 6)[:] == b"memory")
    said("sendfile and copy", os.sendfile(w, m, 0, 6) == 6 and shutil.copy("page", "copy") == "copy" and os.copy_file_range(os.open("page", os.O_RDONLY), os.open("copy", os.O_RDWR), 6) == 6)
    libc = ctypes.CDLL(None, use_errno=True)
    notify = libc.inotify_init1(os.O_NONBLOCK)
    libc.inotify_add_watch(notify, b".", 0x100)
    open("new", "w").close()
    said("inotify", len(os.read(notify, 4096)) >= 16)
    timer, event = libc.timerfd_create(1, 0), libc.eventfd(3, 0)
    said("timerfd and eventfd", timer > 0 and os.read(event, 8)[0] == 3)
    with open("lock", "w") as f:
        fcntl.flock(f, fcntl.LOCK_EX), fcntl.lockf(f, fcntl.LOCK_UN), os.posix_fallocate(f.fileno(), 0, 4096)
    said("locks", os.stat("lock").st_size == 4096)
    rung = []
    signal.signal(signal.SIGALRM, lambda *_: rung.append(1))
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    time.sleep(0.2)
    said("timers", rung == [1] and signal.sigtimedwait({signal.SIGUSR2}, 0.01) is None)
    said("limits", resource.getrlimit(resource.RLIMIT_NOFILE)[0] > 0 and not resource.setrlimit(resource.RLIMIT_CORE, (0, 0)))
    said("scheduling", len(os.sched_getaffinity(0)) >= 1 and os.sched_getscheduler(0) == 0 and os.nice(1) == 1)
    said("random", len(os.getrandom(32)) == 32)
    said("spawn by posix", os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)[1] == 0)
    child = subprocess.Popen(["true"])
    said("pidfd", select.select([os.pidfd_open(child.pid)], [], [], 5)[0] != [])
    pid, terminal = pty.fork()
    if pid == 0:
        os.execlp("sh", "sh", "-c", "test -t 0 && stty size >/dev/null && echo on a terminal")
    said("pty", b"on a terminal" in os.read(terminal, 100))
    os.mkfifo("fifo"), os.symlink("page", "link"), os.link("page", "hard"), os.rename("copy", "moved"), os.utime("page", (0, 0)), os.chmod("page", 0o600)
    said("files", os.readlink("link") == "page" and os.stat("hard").st_nlink == 2 and os.path.getmtime("page") == 0)
    database = sqlite3.connect("db")
    database.execute("pragma journal_mode=wal"), database.execute("create table t(x)"), database.executemany("insert into t values (?)", [(i,) for i in range(1000)])
    database.commit()
    said("sqlite", database.execute("select sum(x) from t").fetchone() == (499500,))
    said("/proc", int(open("/proc/self/stat").read().split()[0]) == os.getpid() and len(glob.glob("/proc/[0-9]*")) >= 1)
    os._exit(0)
PYTHON
    run -0 --separate-stderr in_debian 'exec python3 /program'
    assert_lacks "$output" WRONG
    assert_equal "${#lines[@]}" 29
    assert_contains "$output" "/proc"
}

@test "Perl, and programs that the distribution brings" {
    run -0 --separate-stderr in_debian '
cd /tmp
perl -e "use strict; my \$pid = fork // die; if (!\$pid) { exit 3 } waitpid \$pid, 0; print \$? >> 8, \"\n\""
perl -MIO::Socket::INET -e "my \$s = IO::Socket::INET->new(Listen => 1, LocalAddr => q(127.0.0.1)) or die; print ref \$s, \"\n\""
seq 100000 | sort -R --parallel=2 | sort -n | tail -1
tar -cf - -C /etc . | zstd -q | zstd -dq | tar -tf - | grep -c passwd
find / -xdev -maxdepth 2 -name tmp 2>/dev/null
curl -s file:///etc/group | head -1; openssl rand -hex 8 | wc -c; openssl s_client -help 2>&1 | head -1 | cut -c 1-5
timeout --preserve-status 0.1 tail -f /dev/null || echo "timeout: $?"; stdbuf -oL echo buffered; nproc >/dev/null; nice true; setsid -w true
python3 -m venv --without-pip venv && venv/bin/python -c "print(\"in a venv\")"; prlimit --nofile=100 true; taskset 1 true; flock lock true; script -qc "echo recorded" /dev/null | tr -d "\r"'
    assert_equal "$output" "3
IO::Socket::INET
100000
1
/tmp
root:x:0:
17
Usage
timeout: 143
buffered
in a venv
recorded"
}

@test "PostgreSQL, as a user with a number: a new cluster, queries, a dump, a crash" {
    run -0 --separate-stderr in_debian '
export PATH=$(echo /usr/lib/postgresql/*/bin):$PATH PGDATA=/tmp/data PGHOST=/tmp
id -u
initdb -A trust -U user --no-instructions >/tmp/log 2>&1 || { cat /tmp/log; exit 1; }
pg_ctl -w -o "-k /tmp -c listen_addresses=127.0.0.1 -c shared_buffers=16MB" -l /tmp/server.log start >/dev/null || { cat /tmp/server.log; exit 1; }
createdb shop
psql -qAt shop -c "create table t(id serial primary key, x text); insert into t(x) select md5(i::text) from generate_series(1, 20000) i; create index on t(x)"
psql -qAt shop -c "select count(*), max(id) from t" -c "set max_parallel_workers_per_gather = 2; set parallel_setup_cost = 0; set min_parallel_table_scan_size = 0; select count(distinct x) from t"
psql -qAt -h 127.0.0.1 shop -c "select 6 * 7"
pgbench -q -i -s 1 shop >/dev/null 2>&1; pgbench -c 4 -j 2 -t 50 shop 2>/dev/null | grep "actually processed"
pg_dump shop | grep -c "^COPY public.t "
pg_ctl -m immediate stop >/dev/null; pg_ctl -w -o "-k /tmp -c listen_addresses=" -l /tmp/server.log start >/dev/null
psql -qAt shop -c "vacuum full t" -c "select count(*) from t"; pg_ctl -m fast stop >/dev/null && echo stopped' 'user = "1000:1000"'
    assert_equal "$output" "1000
20000|20000
20000
42
number of transactions actually processed: 200/200
1
20000
stopped"
}

@test "Node.js: a server and its clients, workers, processes, files, timers" {
    cat >program <<'JS'
const { spawn, fork, exec } = require('node:child_process'), { Worker, isMainThread, parentPort } = require('node:worker_threads');
const fs = require('node:fs'), os = require('node:os'), net = require('node:net'), http = require('node:http'), dgram = require('node:dgram'), zlib = require('node:zlib'), crypto = require('node:crypto'), cluster = require('node:cluster');
const { once } = require('node:events');
async function main() {
    if (cluster.isWorker) return process.send('clustered', () => process.exit(0));
    if (process.argv[2] === 'child') return process.send('forked');
    process.chdir(fs.mkdtempSync('/tmp/node-'));
    const server = http.createServer((q, a) => q.pipe(a)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const answer = await fetch(`http://127.0.0.1:${server.address().port}/`, { method: 'POST', body: 'x'.repeat(100000) });
    console.log('http', (await answer.text()).length);
    const [message] = await once(fork(__filename, ['child']), 'message');
    console.log(message);
    cluster.setupPrimary({ exec: __filename });
    console.log((await once(cluster.fork(), 'message'))[0]);
    const worker = new Worker('require("node:worker_threads").parentPort.postMessage(6*7)', { eval: true });
    console.log('worker', (await once(worker, 'message'))[0]);
    const child = spawn('cat');
    child.stdin.end('spawned');
    console.log(String((await once(child.stdout, 'data'))[0]));
    console.log('watched', await new Promise((done) => { const w = fs.watch('.', (e, f) => { w.close(); done(f); }); fs.writeFileSync('file', 'x'); }));
    fs.renameSync('file', 'moved'); fs.symlinkSync('moved', 'link'); fs.copyFileSync('moved', 'copy'); fs.truncateSync('copy', 100);
    console.log('files', fs.readdirSync('.').sort().join(), (await fs.promises.stat('copy')).size);
    console.log('zlib', zlib.gunzipSync(zlib.gzipSync('text')).toString(), 'brotli', zlib.brotliDecompressSync(zlib.brotliCompressSync('text')).toString());
    console.log('crypto', crypto.randomBytes(8).length, crypto.pbkdf2Sync('a', 'b', 1000, 16, 'sha256').length);
    const u = dgram.createSocket('udp4').bind(0, '127.0.0.1');
    await once(u, 'listening');
    u.send('datagram', u.address().port, '127.0.0.1');
    console.log(String((await once(u, 'message'))[0]));
    const unix = net.createServer((c) => c.end('unix')).listen('./socket');
    console.log(String((await once(net.connect('./socket'), 'data'))[0]));
    console.log('system', os.cpus().length > 0, os.totalmem() > 0, Object.keys(os.networkInterfaces()).includes('lo'));
    process.on('SIGUSR2', () => { console.log('signalled'); process.exit(0); });
    setTimeout(() => process.kill(process.pid, 'SIGUSR2'), 20);
}
main();
JS
    node=$(PATH=/usr/bin:/usr/local/bin command -v node) || fail "node is not installed"
    [[ $node == /usr/* ]]
    run -0 --separate-stderr in_debian "exec $node /program"
    assert_equal "$output" "http 100000
forked
clustered
worker 42
spawned
watched file
files copy,link,moved 100
zlib text brotli text
crypto 8 16
datagram
unix
system true true true
signalled"
}
