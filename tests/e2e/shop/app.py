"""A service that behaves as its `behaviour.json` says: version, share of failures, delay, health, streams.

`switch`: a file; while it is there, every request fails. The variable VARIANT is told with the version.
"""

import json
import os
import random
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

BEHAVIOUR = {"version": 1, "fail": 0.0, "delay_ms": 1, "health": 200}
BEHAVIOUR |= json.loads((Path(__file__).parent / "behaviour.json").read_text())
VERSION = f"version {BEHAVIOUR['version']} {os.environ.get('VARIANT', '')}".strip()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urlsplit(self.path)
        if url.path == "/healthz":
            self.reply(BEHAVIOUR["health"], "health")
        elif url.path == "/stream":
            self.stream(float(parse_qs(url.query)["seconds"][0]))
        elif url.path == "/answer":
            said = {"id": random.randrange(10**9), "answer": BEHAVIOUR.get("answer", "42"), "by": VERSION}
            self.reply(200, json.dumps(said), "application/json")
        else:
            time.sleep(BEHAVIOUR["delay_ms"] / 1000)
            failed = random.random() < BEHAVIOUR["fail"] or Path(BEHAVIOUR.get("switch", "/none")).exists()
            self.reply(500 if failed else 200, VERSION)

    def reply(self, status, text, kind="text/plain"):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def stream(self, seconds):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.event(f"data: version {BEHAVIOUR['version']}\n\n")
            time.sleep(0.05)
        self.event("data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")

    def event(self, text):
        self.wfile.write(f"{len(text):x}\r\n{text}\r\n".encode())
        self.wfile.flush()

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256


Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
