"""Answers every GET with what it runs on; /child with what a child process of the same program says."""
import os
import platform
import signal
import socket
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path == "/":
            self.answer(200, f"hello from Python {platform.python_version()} on {socket.gethostname()}")
        elif path == "/child":
            code = "import platform; print(platform.python_version())"
            child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
            self.answer(200, f"a child says {child.stdout.strip()}")
        else:
            self.answer(404, "not here")

    def answer(self, status, text):
        body = (text + "\n").encode()
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, form, *values):
        print(form % values)


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
port = int(os.environ["PORT"])
with ThreadingHTTPServer(("", port), Handler) as server:
    server.daemon_threads = True
    print(f"listening on port {port}")
    server.serve_forever()
