#!/usr/bin/python3
"""hostile_http.py SOCKET ATTACK…: what a hostile client of squishd's socket does; one attack after the other.

Each prints "ATTACK: what came back" and ends with exit code 1 where the server did what it must not. The attacks named
siege-* hold what they have got until stdin ends, after "ready" was printed.
"""
import array, re, resource, socket, sys, time

PATH = sys.argv[1]


def connect(seconds=15):
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(seconds)
    client.connect(PATH)
    return client


def read_all(client):
    got = b""
    try:
        while piece := client.recv(65536):
            got += piece
    except (TimeoutError, ConnectionError):
        pass
    return got


def send_while_taken(client, head, piece, most):
    """Sends head, then pieces, until the other side has enough; how much it took, and its answer."""
    sent = 0
    try:
        client.sendall(head)
        while sent < most:
            client.sendall(piece)
            sent += len(piece)
    except (TimeoutError, ConnectionError):
        pass
    return sent, read_all(client)


def statuses(answer):
    return [int(code) for code in re.findall(rb"(?m)^HTTP/1\.1 (\d+) ", answer)]


def expect(condition, text):
    if not condition:
        raise AssertionError(text)


MEGABYTE = 1 << 20
POST = b"POST /v1/containers HTTP/1.1\r\n"


def endless(head, piece, most=64 * MEGABYTE, allowed=4 * MEGABYTE):
    sent, answer = send_while_taken(connect(), head, piece, most)
    expect(sent <= allowed, f"took {sent} bytes")
    codes = statuses(answer)
    expect(len(codes) <= 1 and all(400 <= code < 500 for code in codes), f"answered {answer[:200]!r}")
    return f"{sent // 1024} KiB were taken, {codes}"


def many_requests():
    """200 MiB of good requests in one connection: all are read, none is kept."""
    client = connect()
    body = b" " * MEGABYTE
    for _ in range(200):
        client.sendall(b"POST /v1/nothing HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        got = client.recv(4096)
        expect(statuses(got) == [404], got[:100])
    return "200 MiB were taken"


def pipeline():
    """Requests without end, and no answer is read."""
    client = connect(3)
    request = b"GET /v1/status HTTP/1.1\r\n\r\n" * 1000
    sent = 0
    try:
        while sent < 64 * MEGABYTE:
            sent += client.send(request)
    except TimeoutError:
        pass
    expect(sent < 16 * MEGABYTE, f"took {sent} bytes while nobody read the answers")
    return f"{sent // 1024} KiB were taken"


def smuggled():
    """A request within another: nobody answers it."""
    inner = b"GET /v1/version HTTP/1.1\r\n\r\n"
    told = []
    for lines in (b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n", b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
                  b"Content-Length: 0\r\nContent-Length: 40\r\n", b"Transfer-Encoding: chunked, identity\r\n",
                  b"Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n", b"Content-Length: 5 5\r\n"):
        client = connect()
        client.sendall(b"POST /v1/networks HTTP/1.1\r\n" + lines + b"\r\n0\r\n\r\n" + inner)
        client.shutdown(socket.SHUT_WR)
        answer = read_all(client)
        expect(200 not in statuses(answer), f"{lines!r}: {answer[:200]!r}")
        told.append(statuses(answer))
    client = connect()
    client.sendall(b"GET /v1/version HTTP/1.1\r\n\r\n" + inner[:-2] + b"Connection: close\r\n\r\n")
    expect(statuses(read_all(client)) == [200, 200], "two requests in a row are answered")
    return str(told)


def descriptors():
    """Hundreds of descriptors with each request, none of which is kept."""
    client = connect()
    fds = array.array("i", [0] * 200)
    for _ in range(50):
        client.sendmsg([b"GET /v1/version HTTP/1.1\r\n\r\n"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
        got = client.recv(4096)
        if not got:
            client = connect()
            continue
        expect(statuses(got)[0] in (200, 400), got[:100])
        if statuses(got)[0] != 200:
            client = connect()
    return "taken and closed"


def paths():
    """Names that lead elsewhere, as every kind of thing that has a name."""
    names = ["..", "../..", "%2e%2e", "..%2f..%2f..%2fetc%2fpasswd", "%2fetc%2fpasswd", "a%2fb", "a%00b", "%00", "%", "%2", "%zz", ".",
             "%0a", "%1b%5b31m", "*", "%25", "a" * 5000, "%c0%af..%c0%af", "..%5c..", "~", "$(id)", "%ff%fe", "-rf"]
    for name in names:
        for method, path in (("GET", "/v1/containers/@"), ("DELETE", "/v1/containers/@?force=true"), ("GET", "/v1/containers/@/logs"),
                             ("POST", "/v1/containers/@/kill"), ("GET", "/v1/exec/@/wait"), ("DELETE", "/v1/layers/@"),
                             ("POST", "/v1/layers/@/verify"), ("GET", "/v1/networks/@"), ("DELETE", "/v1/networks/@"),
                             ("POST", "/containers/stop/@"), ("GET", "/@"), ("DELETE", "/v1/containers/@/layers/@")):
            target = path.replace("@", name)
            client = connect()
            client.sendall(f"{method} {target} HTTP/1.1\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{{}}".encode())
            answer = read_all(client)
            codes = statuses(answer)
            expect(len(codes) == 1 and 400 <= codes[0] < 500, f"{method} {target}: {answer[:200]!r}")
            head, _, body = answer.partition(b"\r\n\r\n")
            expect(not any(byte < 32 and byte != 10 for byte in body), f"{method} {target}: control characters in {body[:200]!r}")
    for body in ('{"name": "../x"}', '{"name": "a/b"}', '{"name": ""}', '{"name": "a\\u0000b"}', '{"name": 7}', '{"name": ".."}'):
        client = connect()
        client.sendall(f"POST /v1/networks HTTP/1.1\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        codes = statuses(read_all(client))
        expect(len(codes) == 1 and 400 <= codes[0] < 500, f"network {body}: {codes}")
    return f"{len(names)} names"


def depth():
    """Lists within lists, deeper than any stack."""
    n = 900_000
    for body in (b'{"squishfile":{"x":' + b"[" * n + b"]" * n + b"}}", b'{"squishfile":{"run":{"command":"/x"}},"args":' + b"[" * n + b"]" * n + b"}",
                 b'{"x":' * 200_000 + b"1" + b"}" * 200_000):
        client = connect()
        client.sendall(POST + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        answer = read_all(client)
        expect(statuses(answer) == [400], f"{body[:40]!r}: {answer[:200]!r}")
    return "refused"


def siege(open_one):
    """As many as there is room for, and more."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    held = []
    for _ in range(1500):
        try:
            held.append(open_one())
        except BlockingIOError:  # its queue is full
            time.sleep(0.002)
        except (ConnectionError, TimeoutError):
            pass
    print("ready", flush=True)
    sys.stdin.read()
    return f"{len(held)} were held"


def idle():
    return connect()


def slow():
    client = connect()
    client.sendall(b"GET /v1/ver")
    return client


ATTACKS = {
    "line": lambda: endless(b"GET /", b"a" * 65536),
    "header": lambda: endless(b"GET / HTTP/1.1\r\nX: ", b"a" * 65536),
    "headers": lambda: endless(b"GET / HTTP/1.1\r\n", b"X: y\r\n" * 10000),
    "empty-lines": lambda: endless(b"", b"\r\n" * 30000),
    "body": lambda: endless(POST + b"Content-Length: 67108864\r\n\r\n", b" " * 65536),
    "chunks": lambda: endless(POST + b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b" " * 65536 + b"\r\n"),
    "chunk-header": lambda: endless(POST + b"Transfer-Encoding: chunked\r\n\r\n1;", b"a" * 65536),
    "chunk-size": lambda: endless(POST + b"Transfer-Encoding: chunked\r\n\r\n", b"0" * 65536),
    "trailers": lambda: endless(POST + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n" * 10000),
    "many-requests": many_requests,
    "pipeline": pipeline,
    "smuggled": smuggled,
    "descriptors": descriptors,
    "paths": paths,
    "depth": depth,
    "siege-idle": lambda: siege(idle),
    "siege-slow": lambda: siege(slow),
}


def main():
    good = True
    for name in sys.argv[2:]:
        try:
            print(f"{name}: {ATTACKS[name]()}", flush=True)
        except (AssertionError, OSError) as problem:
            print(f"{name}: BROKEN IN: {problem}", flush=True)
            good = False
    return 0 if good else 1


sys.exit(main())
