"""A small support assistant: finds the answer in its prompts' facts, and takes its time as a language model would."""

import json
import os
import random
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

HERE = Path(__file__).parent
SYSTEM_PROMPT = (HERE / "prompts" / "system.txt").read_text()
FACTS = (HERE / "prompts" / "facts.txt").read_text().splitlines()


def answer(question):
    """The fact that shares most words with the question, in the tone that the system prompt asks for."""
    words = set(question.lower().split())
    best = max(FACTS, key=lambda fact: len(words & set(fact.lower().split())))
    return {"answer": f"{greeting()} {best}"}


def greeting():
    return SYSTEM_PROMPT.splitlines()[0]


def think():
    """What a call to a model costs: mostly 20 to 40 ms, sometimes more; now and then it fails."""
    time.sleep(random.uniform(0.020, 0.040) * (2 if random.random() < 0.03 else 1))
    if random.random() < 0.003:
        raise RuntimeError("the model did not answer")


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urlsplit(self.path)
        if url.path == "/healthz":
            return self.reply(200, {"status": "ok"})
        try:
            think()
        except RuntimeError as error:
            return self.reply(500, {"error": str(error)})
        return self.reply(200, answer(parse_qs(url.query).get("q", [""])[0]))

    def reply(self, status, body):
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    Server(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
