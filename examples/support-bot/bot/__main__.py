"""The server: POST /ask {"question": ...}, GET / for a page to ask from, GET /healthz. Listens at $PORT."""

import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from bot import settings
from bot.answering import Assistant
from bot.embedding import Embedder
from bot.index import Index

PAGE = (Path(__file__).parent / "page.html").read_bytes()
LONGEST_BYTES = 10_000


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path == "/healthz":
            self.reply(200, {"status": "ok", "passages": len(self.server.index.passages)})
        elif self.path == "/":
            self.send(200, "text/html; charset=utf-8", PAGE)
        else:
            self.reply(404, {"error": "there is / and /healthz, and POST /ask"})

    def do_POST(self):
        length = int(self.headers.get("Content-Length") or 0)
        if self.path != "/ask" or length > LONGEST_BYTES:
            self.close_connection = True  # what was sent with it is not read
            return self.reply(404 if self.path != "/ask" else 413, {"error": f"POST /ask takes {LONGEST_BYTES} bytes"})
        question = asked(self.rfile.read(length))
        if not question:
            return self.reply(400, {"error": 'send a question: {"question": "..."}'})
        try:
            return self.reply(200, self.server.assistant.answer(question))
        except Exception as error:  # a broken prompt, for example: the canary is to see it, and the log to say why
            self.log_error("%r: %s: %s", question, type(error).__name__, error)
            return self.reply(500, {"error": "this question cannot be answered now"})

    def reply(self, status, body):
        self.send(status, "application/json", json.dumps(body, ensure_ascii=False).encode())

    def send(self, status, kind, content):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_request(self, *_):
        pass  # the gateway logs requests


def asked(body):
    """The question in a request's body; empty if there is none."""
    try:
        question = json.loads(body)["question"]
    except (ValueError, LookupError, TypeError):
        return ""
    return question.strip() if isinstance(question, str) else ""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address):
        self.index = Index("index", Embedder())
        self.assistant = Assistant(self.index, *settings.read())
        super().__init__(address, Handler)


if __name__ == "__main__":
    Server(("127.0.0.1", int(os.environ["PORT"]))).serve_forever()
