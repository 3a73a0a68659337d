"""rebind.py SOCKET CONTAINER COUNT CLIENTS: rebinds the container's one published port COUNT times over the API, while
CLIENTS download through it in a loop. Nobody who is connected may be cut, and every byte must arrive."""
import collections
import hashlib
import http.client
import json
import socket
import sys
import threading
import time

SOCKET, CONTAINER, COUNT, CLIENTS = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
SIZE = 300_000


class Api(http.client.HTTPConnection):
    def __init__(self):
        super().__init__("localhost", timeout=30)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(30)
        self.sock.connect(SOCKET)

    def ask(self, method, path, body=None):
        self.request(method, path, None if body is None else json.dumps(body))
        answer = self.getresponse()
        text = answer.read()
        if answer.status >= 400:
            sys.exit(f"{method} {path}: {text.decode()}")
        return json.loads(text)


chunk = bytes(ord("a") + i % 26 for i in range(64 * 1024))
want = hashlib.sha256((chunk * (SIZE // len(chunk) + 1))[:SIZE]).hexdigest()
api = Api()
path = f"/v1/containers/{CONTAINER}/ports"
current = api.ask("GET", path)[0]["host"]
done = threading.Event()
figures = collections.Counter()
complaints = []


def download():
    connection = socket.create_connection(("127.0.0.1", current), 10)
    # From here on the connection exists: nothing may go wrong any more.
    try:
        with connection:
            connection.settimeout(30)
            connection.sendall(f"GET /bytes/{SIZE} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            head, rest = b"", hashlib.sha256()
            while b"\r\n\r\n" not in head:
                part = connection.recv(65536)
                if not part:
                    return complaints.append(f"ended in the head: {head!r}")
                head += part
            body = head.split(b"\r\n\r\n", 1)[1]
            size = len(body)
            rest.update(body)
            while part := connection.recv(65536):
                rest.update(part)
                size += len(part)
            if rest.hexdigest() != want:
                return complaints.append(f"{size} bytes came, or others than were sent")
            figures["whole"] += 1
    except OSError as error:
        complaints.append(f"cut: {error}")


def client():
    while not done.is_set():
        try:
            download()
        except OSError:
            figures["not connected"] += 1  # a port that is gone


threads = [threading.Thread(target=client, daemon=True) for _ in range(CLIENTS)]
for thread in threads:
    thread.start()
begin = time.monotonic()
for _ in range(COUNT):
    fresh = api.ask("POST", path + "/rebind", {"old": str(current), "new": "0"})["host"]
    if fresh == current:
        sys.exit("the port is the same")
    current = fresh
seconds = time.monotonic() - begin
done.set()
for thread in threads:
    thread.join(60)
print(f"{COUNT} rebinds in {seconds:.1f} s, {figures['whole']} downloads whole, {figures['not connected']} came too late")
if complaints:
    sys.exit(f"{len(complaints)} complaints: {complaints[:5]}")
if figures["whole"] < CLIENTS:
    sys.exit("hardly anybody got through")
