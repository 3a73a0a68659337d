#!/usr/bin/python3
"""malformed.py GROUP…: makes malformed squishfiles in the current folder, gives each to `squish validate` and to
`squish run`, and judges the answer. Prints what is wrong and, last, how many there were; exit code 1 where one failed.

Each case: the command ends with 2 (run: or 125), says so in at most 64 KiB, and names the place: a regular expression,
by default NAME.toml, and NAME.toml:LINE where a line is given. A case that only a start can find (`only_run`) is valid
for `squish validate`. Environment: E2E_TESTBIN, TAKEN_PORT (somebody listens there).
"""
import os, re, shutil, subprocess, sys, time

TESTBIN = os.environ.get("E2E_TESTBIN", "/bin/true")
TAKEN = os.environ.get("TAKEN_PORT", "1")
GOOD = f'[layers]\napp = "{TESTBIN}"\n[run]\ncommand = "/app/testbin"\nargs = ["true"]\n'
DEEP = 100_000

cases = []
group = ""


def add(text, place=None, line=None, only_run=False, file=None):
    """A squishfile with this text (str or bytes); or something else at that path (`file`)."""
    cases.append((group, text, place, line, only_run, file))


def syntax():
    for text in ("=", "[", "[[", "]", "a", "a =", "= 1", 'a = "', "a = '", 'a = """', "a = [", "a = {", "a = {b = 1",
                 "a = 1 b = 2", "[a", "[a]]", "[[a]", "[a]\n[a]", "a = 1\na = 2", "[a.b]\n[a]\nb = 1", "a.b = 1\na = 2",
                 'a = "\\x"', 'a = "\\ud800"', 'a = "\\U00110000"', "a = 01", "a = 1__0", "a = 0xg", "a = 1e", "a = .5",
                 "a = 2020-13-01", "a = 25:00:00", "a = tru", 'a = "x" # \x01', "a = 'x\ny'", "name = \"a\" \"b\"",
                 "[layers\napp = 'x'", "{}", '{"name": "json"}', "<xml/>", "---\nyaml: yes", "#!/bin/sh\nexit 0\n"):
        add(text, line=r"\d+")
    for text in (b"\xff\xfe", b"\xff\xfen\0a\0m\0e\0", b"name = \"\xc3\x28\"", b"name = \"\xed\xa0\x80\"", b"name = \"a\0b\"",
                 b"\0", b"\0" * 4096, b"name = 'x'\0\n", b"\x7fELF\x02\x01\x01" + b"\0" * 200, b"PK\x03\x04" + b"\0" * 40,
                 b"\x1b[2Jname = 1", b"name = \"\xf4\x90\x80\x80\"", b"# \xc0\x80\n", b"\xef\xbb\xbf\xef\xbb\xbfname = 1"):
        add(text)


WRONG = {"a string": '"text"', "an integer": "7", "a float": "1.5", "a boolean": "true", "an array": "[1]",
         "a table": "{ x = 1 }", "a date": "2020-01-01"}


def types():
    wants = {
        ("", "name"): "a string", ("", "layers"): "a table", ("", "run"): "a table", ("", "env"): "a table",
        ("", "ports"): "an array", ("", "network"): "a table", ("[run]\n", "command"): "a string",
        ("[run]\ncommand = '/bin/true'\n", "args"): "an array", ("[run]\ncommand = '/bin/true'\n", "workdir"): "a string",
        ("[run]\ncommand = '/bin/true'\n", "user"): "a string", ("[env]\n", "KEY"): "a string",
        ("[[ports]]\nhost = 20000\n", "container"): "an integer", ("[[ports]]\ncontainer = 80\n", "host"): "an integer",
        ("[[ports]]\ncontainer = 80\nhost = 20000\n", "protocol"): "a string",
        ("[[ports]]\ncontainer = 80\nhost = 20000\n", "address"): "a string", ("[network]\n", "mode"): "a string",
        ("[network]\n", "networks"): "an array", ("[layers.x]\n", "path"): "a string",
        ("[layers.x]\npath = './x'\n", "target"): "a string", ("[layers.x]\npath = './x'\n", "rw"): "a boolean",
        ("[layers.x]\npath = './x'\n", "rootfs"): "a boolean", ("[resources]\n", "memory"): None,
        ("[security]\n", "seccomp"): "a string", ("[procfs]\n", "mode"): "a string",
        ("[restart]\n", "policy"): "a string", ("[health]\ninterval = '5s'\n", "command"): "an array",
    }
    for (before, key), want in wants.items():
        for kind, value in WRONG.items():
            if kind == want or (want is None and kind in ("an integer", "a string")):
                continue
            if want == "an array" and kind == "an array":
                continue
            add(f"{before}{key} = {value}\n", place=key, line=before.count("\n") + 1)


def keys():
    for text, key in (("nam = 'x'", "nam"), ("Name = 'x'", "Name"), ("[layer]", "layer"), ("[Run]", "Run"),
                      ("[run]\ncomand = 'x'", "comand"), ("[run]\ncommand = '/x'\nargz = []", "argz"),
                      ("[run]\ncommand = '/x'\ncwd = '/'", "cwd"), ("[[port]]\nhost = 1", "port"),
                      ("[[ports]]\ncontainer = 80\nhost = 20000\nproto = 'tcp'", "proto"),
                      ("[[ports]]\ncontainer = 80\nhost = 20000\naddr = '0.0.0.0'", "addr"),
                      ("[network]\nmod = 'none'", "mod"), ("[layers]\nx = { path = './x', targt = '/x' }", "targt"),
                      ("[layers]\nx = { path = './x', readonly = true }", "readonly"), ("[resources]\nmem = '1M'", "mem"),
                      ("[resources.io]\nread = 1", "read"), ("[security]\nprivileged = true", "privileged"),
                      ("[health]\ncmd = ['x']", "cmd"), ("[restart]\npolicies = 'no'", "policies"),
                      ("[procfs]\nmodus = 'host'", "modus"), ("[volumes]", "volumes"), ("'' = 1", ""),
                      ('"\\n" = 1', ""), ('"\\u0000" = 1', ""), ("'a b' = 1", "a b"), ("'../x' = 1", "../x")):
        add(text + "\n", place=re.escape(key) if key else None, line=r"\d+")
    # What is required.
    add("[run]\nargs = ['x']\n", place="command")
    add("[[ports]]\nhost = 20000\n", place="container")
    add("[[ports]]\ncontainer = 80\n", place="host")
    add("[layers]\nx = {}\n", place="x")
    add("[layers]\nx = { target = '/x' }\n", place="x")
    add("[layers]\nx = { path = './x', version = '1' }\n", place="x")
    add("[health]\ninterval = '5s'\n", place="command")


def names():
    for name in ("a/b", "/", "..", ".", "", "-a", ".a", "a b", "a\\tb", "a\\nb", "ü", "a" * 64, "a" * 100000, "a:b", "a*",
                 "\\u001b[31m", "a\\u0000", "../../etc/passwd", "$(reboot)", "`id`", "a;b", "a'b"):
        add(f'name = "{name}"\n' + GOOD, place="name", line=1)
    for name in ("a/b", "..", "", "a b", "x" * 64, "ü", "-x"):
        add(f"[layers]\n'{name}' = './x'\n", line=2)
    for key in ("", "A=B"):
        add(f"[env]\n'{key}' = 'x'\n", line=2)
    add('[env]\n"A\\u0000" = "x"\n', line=2)
    add('[env]\nA = "x\\u0000y"\n', place="A", line=2)
    add("[env]\nA = '" + "x" * 200000 + "'\n", place="A")
    for user in ("root", "-1", "1:2:3", "", ":", "1:", ":1", "4294967296", "4294967295", "1.5", "0x10", "1 "):
        add(f"[run]\ncommand = '/bin/true'\nuser = '{user}'\n", place="user", line=3)
    for folder in ("", "relative", "./x", "../x", "/a/../../b/\\u0000"):
        add(f'[run]\ncommand = "/bin/true"\nworkdir = "{folder}"\n', place="workdir", line=3)
    add("[run]\ncommand = ''\n", place="command", line=2)
    add('[run]\ncommand = "a\\u0000b"\n', place="command", line=2)
    add("[run]\ncommand = '/bin/true'\nargs = ['a', 1]\n", place="args", line=3)
    add("[run]\ncommand = '/bin/true'\nargs = [['a']]\n", place="args", line=3)
    add('[run]\ncommand = "/bin/true"\nargs = ["\\u0000"]\n', place="args", line=3)
    add("[run]\ncommand = '/bin/true'\nargs = ['" + "x" * 140000 + "']\n", place="args")
    add("[run]\ncommand = '/bin/true'\nargs = [" + "'x'," * 5000 + "]\n", place="args")


def layers():
    os.makedirs("folder/inside", exist_ok=True)
    for path in ("file", "second", "noexec"):
        open(path, "w").write("text\n")
    for link, to in (("loop", "loop"), ("ping", "pong"), ("pong", "ping"), ("dangling", "nowhere"), ("through", "file/x")):
        if not os.path.lexists(link):
            os.symlink(to, link)
    os.makedirs("closed", exist_ok=True)
    os.makedirs("closed/inside", exist_ok=True)
    os.chmod("closed", 0)
    if not os.path.lexists("fifo"):
        os.mkfifo("fifo")
    true = "[run]\ncommand = '/bin/true'\n"
    for path in ("./missing", "./missing/deeper", "/no/such/path", "./loop", "./ping", "./loop/x", "./dangling", "./through",
                 "./file/x", "./closed/inside", "", "\\u0000", "./" + "x" * 300, "./" + "d/" * 3000,
                 "~nobody/x", "./folder/../missing"):
        add(f'[layers]\nx = {{ path = "{path}", target = "/x" }}\n' + true, place="x")
    for target in ("", "x", "./x", "../x", "/", "//", "/a/..", "/../x", "/a/./b", "/a//b", "/a/", "/proc", "/proc/1",
                   "/proc/self/mem", "/sys", "/sys/fs", "/dev", "/dev/sda", "/dev/shm", "/a\\u0000b", "/" + "d/" * 3000 + "e"):
        add(f'[layers]\nx = {{ path = "./folder", target = "{target}" }}\n' + true, place="x")
    add('[layers]\nx = { path = "./folder", target = "/' + "x" * 300 + '" }\n' + true, place="x", only_run=None)
    # One on or inside another; two rootfs; what cannot be a rootfs.
    for a, b in (("/m", "/m"), ("/m", "/m/inside"), ("/m/a/b", "/m")):
        add(f"[layers]\nx = {{ path = './folder', target = '{a}' }}\ny = {{ path = './folder', target = '{b}' }}\n" + true, place="/m")
    add("[layers]\nx = { path = './folder', rootfs = true }\ny = { path = './folder', rootfs = true }\n" + true, place="rootfs")
    for path in ("./file", "./missing", "./loop", "./fifo"):
        add(f"[layers]\nroot = {{ path = '{path}', rootfs = true }}\n" + true, place="root", only_run=None)
    # A folder where the rootfs has a file, and the other way round.
    for target, path in (("/etc/passwd", "./folder"), ("/bin/busybox", "./folder"), ("/etc", "./file"), ("/etc/passwd/x", "./file"),
                         ("/usr", "./file")):
        add(f"[layers]\nx = {{ path = '{path}', target = '{target}' }}\n" + true, place=re.escape(target), only_run=True)
    # What is not supported yet says so.
    for text, place in (("[layers]\nalpine = '3.20'\n", "alpine"), ("[layers]\npython = '~3.11'\n", "python"),
                        ("[layers]\nx = { url = 'https://example.org/x.tar', target = '/x' }\n", "x"),
                        ("[layers]\nx = { url = 'ftp://example.org/x.tar', target = '/x' }\n", "x"),
                        ("[procfs]\nmode = 'host'\nmemory = '1M'\n", "procfs"), ("[security]\nseccomp = './missing.json'\n", "missing.json"),
                        ("[network]\nnetworks = ['x']\n", "networks")):
        add(text + true, place=place, only_run=None)
    add("[layers]\nx = '3.x.1'\n" + true, place="x")
    add("[layers]\nx = 'word'\n" + true, place="x")
    add("[layers]\n" + "".join(f"l{i} = {{ path = './folder', target = '/l{i}' }}\n" for i in range(129)) + true, place="layers|l128")
    # Without [run].
    add("", only_run=None, place="run|app|command")
    add("[layers]\napp = './folder'\n", only_run=None, place="app")
    add("[layers]\napp = './noexec'\n", only_run=None, place="app|noexec")


def ports():
    def port(line, number=3, place=None):
        add(f"[[ports]]\ncontainer = 80\n{line}\n" + GOOD, line=number, place=place)

    for value in ("0", "-1", "65536", "4294967296", "9223372036854775807", "20000.5", "'20000'", "0x10000", "true", "inf"):
        if value != "0":  # the kernel chooses
            port(f"host = {value}", place="host")
        add(f"[[ports]]\nhost = 20000\ncontainer = {value}\n" + GOOD, line=3, place="container")
    for value in ("'icmp'", "'TCP '", "''", "'sctp'"):
        port(f"host = 20000\nprotocol = {value}", 4, "protocol")
    for value in ("''", "'localhost'", "'256.0.0.1'", "'1.2.3'", "'127.0.0.1/8'", "'127.0.0.1:80'", "'::g'", "'[::1]'", "'example.org'"):
        port(f"host = 20000\naddress = {value}", 4, "address")
    add("[[ports]]\ncontainer = 80\nhost = 20000\n[[ports]]\ncontainer = 81\nhost = 20000\n" + GOOD, place="20000")
    add("[[ports]]\ncontainer = 80\nhost = 20000\n[[ports]]\ncontainer = 81\nhost = 20000\naddress = '0.0.0.0'\n" + GOOD, place="20000")
    add("[[ports]]\ncontainer = 80\nhost = 20000\n[network]\nmode = 'none'\n" + GOOD, place="ports|bridge")
    add("[[ports]]\ncontainer = 80\nhost = 20000\n[network]\nmode = 'host'\n" + GOOD, place="ports|bridge")
    add("[network]\nmode = 'macvlan'\n" + GOOD, place="mode", line=2)
    add("".join(f"[[ports]]\ncontainer = {i}\nhost = {i + 20000}\n" for i in range(1, 1026)) + GOOD, place="ports")
    add(f"[[ports]]\ncontainer = 80\nhost = {TAKEN}\n" + GOOD, place=TAKEN, only_run=True)
    add("[[ports]]\ncontainer = 80\nhost = 20000\naddress = '192.0.2.99'\n" + GOOD, place="192.0.2.99", only_run=True)
    add("[[ports]]\ncontainer = 80\nhost = 20000\naddress = '2001:db8::1'\n" + GOOD, place="2001:db8::1", only_run=True)


def size():
    noise = bytes((i * i * 31 + i // 7) % 256 for i in range(65536))
    add(noise * 160)  # 10 MB of junk
    add(b"x" * 10_000_000)
    add(b"\n" * 10_000_000)
    add(b"#" * 10_000_000)
    add(b"a = '" + b"x" * 10_000_000 + b"'")
    add(b"\0" * 10_000_000)
    add("a = " + "[" * DEEP)
    add("a = " + "[" * DEEP + "]" * DEEP)
    add("a = " + "{a = " * DEEP)
    add("a = " + "{a = " * DEEP + "1" + "}" * DEEP)
    add("a" + ".a" * DEEP + " = 1")
    add("[a" + ".a" * DEEP + "]")
    add("[[a" + ".a" * DEEP + "]]")
    add("a = " + "[" * 200 + "]" * 200)
    add("[x" + ".x" * 40 + "]")
    add("".join(f"k{i} = {i}\n" for i in range(70000)))
    add("[env]\n" + "".join(f"k{i} = '{i}'\n" for i in range(70000)))
    add("[env]\n" + "".join(f"k{i} = '{i}'\n" for i in range(4097)), place="env")
    add("[run]\ncommand = '/bin/true'\nargs = [" + "''," * 70000 + "]\n")
    add("a = " + "1" * 500_000)
    add("'" + "k" * 500_000 + "' = 1")
    add("a = \"" + "\\u0041" * 100_000 + "\"")


def things():
    """Not a file with text at all."""
    add(None, file="missing.toml")
    add(None, file="no/such/folder.toml")
    os.makedirs("empty-folder", exist_ok=True)
    add(None, file="empty-folder")
    os.makedirs("wrong-folder/squishfile.toml", exist_ok=True)
    add(None, file="wrong-folder")
    for link, to in (("loop.toml", "loop.toml"), ("dangling.toml", "nowhere"), ("folder.toml", "empty-folder")):
        if not os.path.lexists(link):
            os.symlink(to, link)
        add(None, file=link)
    os.makedirs("loop-folder", exist_ok=True)
    if not os.path.lexists("loop-folder/squishfile.toml"):
        os.symlink("squishfile.toml", "loop-folder/squishfile.toml")
    add(None, file="loop-folder")
    open("closed.toml", "w").write(GOOD)
    os.chmod("closed.toml", 0)
    add(None, file="closed.toml")
    os.makedirs("closed-folder", exist_ok=True)
    os.chmod("closed-folder", 0)
    add(None, file="closed-folder")
    add(None, file="closed-folder/x.toml")
    if not os.path.lexists("pipe.toml"):
        os.mkfifo("pipe.toml")
    add(None, file="pipe.toml")
    add(None, file="/dev/null")
    add(None, file="/dev/zero")
    add(None, file="/proc/self/mem")
    add(None, file="/proc/self/environ", place="environ")
    add(None, file=TESTBIN)
    add(None, file="x" * 300 + ".toml", place="x{20}")
    add(None, file="d/" * 3000 + "x", place="d/d/d")
    add(None, file="", place="''")
    add(None, file="new\nline.toml", place="line.toml")
    add(None, file="\x1b[31mred.toml", place="red.toml")
    open("archive.tar", "wb").write(b"\0" * 10240)
    add(None, file="archive.tar")
    open("empty.zip", "wb").write(b"PK\x05\x06" + b"\0" * 18)
    add(None, file="empty.zip")


GROUPS = {f.__name__: f for f in (syntax, types, keys, names, layers, ports, size, things)}


def squish(verb, file):
    begin = time.monotonic()
    try:
        done = subprocess.run(["squish", *verb, file], stdin=subprocess.DEVNULL, capture_output=True, timeout=20)
    except subprocess.TimeoutExpired:
        return "hangs", "", 20
    return done.returncode, (done.stderr + done.stdout).decode(errors="replace"), time.monotonic() - begin


def judge(name, verb, file, codes, place, line):
    code, told, took = squish(verb, file)
    wrong = []
    if code not in codes:
        wrong.append(f"exit code {code}, not {' or '.join(map(str, codes))}")
    if len(told) > 65536:
        wrong.append(f"{len(told)} characters of message")
    if took > 5:
        wrong.append(f"took {took:.1f} s")
    if any(ord(c) < 32 and c not in "\n\t" for c in told):
        wrong.append("control characters in the message")
    if 0 not in codes:
        label = re.escape(os.path.basename(file.rstrip("/")) or file) if place is None else place
        if not re.search(label, told):
            wrong.append(f"the message does not name the place ({label[:60]})")
        if line is not None and verb[0] == "validate" and not re.search(rf"\.toml:{line}:\d+: ", told):
            wrong.append(f"the message does not name line {line}")
    if wrong:
        print(f"{name}: squish {verb[0]}: {'; '.join(wrong)}\n    it said: {told[:300].strip()!r}")
    return not wrong


def main():
    global group
    for group in sys.argv[1:] or GROUPS:
        GROUPS[group]()
    good = True
    for number, (which, text, place, line, only_run, file) in enumerate(cases):
        name = f"{which}-{number}"
        path = file
        if file is None:
            path = name + ".toml"
            with open(path, "wb") as out:
                out.write(text if isinstance(text, bytes) else text.encode("utf-8", "surrogateescape"))
        shown = name if text is None else f"{name} ({(text if isinstance(text, str) else repr(text))[:70]!r})"
        if only_run is not None:  # None: either answer of `validate` is right
            good &= judge(shown, ["validate"], path, [0] if only_run else [2], place, line)
        good &= judge(shown, ["run", "--rm"], path, [2, 125], place, None)
        if file is None:
            os.remove(path)
    for folder in ("closed", "closed-folder"):
        if os.path.isdir(folder):
            os.chmod(folder, 0o755)
    print(f"{len(cases)} malformed squishfiles")
    return 0 if good else 1


sys.exit(main())
