"""A small forge over real HTTP on loopback: for our tests of the adapters, and for yours of what you build on them.

It checks the token, keeps commit statuses, comments and pull requests, and can misbehave as real ones do.
"""

from __future__ import annotations

import json
import re
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from trimtab.core.model.forge import ForgeKind, ForgeSpec
from trimtab.testing.forge_manners import (
    MANNERS,
    Proposal,
    Remark,
    Said,
    comment_json,
    listing,
    pull_json,
    repository_in_path,
)
from trimtab.testing.forge_messages import Message, Messenger

SECRET = "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


@dataclass(frozen=True, slots=True)
class Mischief:
    """What one request gets in place of its answer. `hang`: nothing, until the forge closes."""

    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"<html>We are sorry.</html>"
    hang: bool = False
    after: bool = False
    """The request is carried out, and only its answer is spoilt."""


GARBAGE = Mischief(200, body=b"<html>Please come back later.</html>")
HANG = Mischief(hang=True)


class ForgeDouble:
    """A forge with one repository. Use it as a context manager."""

    def __init__(self, kind: ForgeKind, repository: str = "org/shop", token: str = "the-token") -> None:
        self.kind, self.repository, self.token = kind, repository, token
        self.manners = MANNERS[kind]
        self.statuses: list[Said] = []
        self.comments: dict[int, list[Remark]] = {}
        self.pulls: dict[int, Proposal] = {}
        self.requests: list[str] = []
        """Verb and path of each, as they come."""
        self.mischief: deque[Mischief] = deque()
        """For the next requests, one each."""
        self.per_page = 100
        self._closing = threading.Event()
        self._ids = 0
        self._lock = threading.Lock()
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def api_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}{self.manners.prefix}"

    @property
    def spec(self) -> ForgeSpec:
        return ForgeSpec(self.kind, self.repository, self.api_url)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()

    # --- webhooks ---

    def messenger(self, secret: str = SECRET, now: float | None = None) -> Messenger:
        """Writes signed messages about the repository."""
        return Messenger(self.kind, self.repository, secret, time.time() if now is None else now)

    @staticmethod
    def deliver(url: str, message: Message) -> tuple[int, str]:
        """Post a message; status and body of the answer."""
        request = urllib.request.Request(url, message.body, message.headers, method="POST")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read().decode()

    # --- the API ---

    def answer(self, verb: str, path: str, body: Any) -> tuple[int, Any]:
        """Status and JSON for a request that shows the right token."""
        manners, address = self.manners, urlsplit(path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        for template, verbs in (
            (manners.status, "POST"),
            (manners.pulls, "GET"),
            (manners.comments, "GET"),
            (manners.new_comment, "POST"),
            (manners.edit_comment, manners.edit_verb),
        ):
            found = self._match(template, address.path)
            if found is not None and verb == verbs:
                with self._lock:
                    return self._do(template, found, body, query)
        return 404, {"message": "Not Found"}

    def _do(self, template: str, found: dict[str, str], body: Any, query: dict[str, str]) -> tuple[int, Any]:
        manners = self.manners
        if template == manners.status:
            return self._say(found["commit"], body)
        if template == manners.pulls:
            there = [pull for pull in self.pulls.values() if pull.is_open]
            shown = [pull_json(self.kind, self.repository, pull) for pull in there[: self.per_page]]
            return 200, listing(self.kind, shown, len(there) > self.per_page)
        if template == manners.edit_comment:
            return self._edit(int(found["id"]), body)
        if int(found["number"]) not in self.pulls:
            return 404, {"message": "Not Found"}
        remarks = self.comments.setdefault(int(found["number"]), [])
        if body is None:
            return self._list(remarks, query)
        self._ids += 1
        remarks.append(Remark(self._ids, self._text(body)))
        return 201, comment_json(self.kind, remarks[-1])

    def _list(self, remarks: list[Remark], query: dict[str, str]) -> tuple[int, Any]:
        start = int(query.get("start", (int(query.get("page", 1)) - 1) * self.per_page))
        if self.kind == "gitea":
            return 200, [comment_json(self.kind, remark) for remark in remarks]
        page = [comment_json(self.kind, remark) for remark in remarks[start : start + self.per_page]]
        if self.kind == "bitbucket-data-center":
            page = [{"action": "COMMENTED", "comment": one} for one in page]
            page.insert(0, {"action": "OPENED"})
        return 200, listing(self.kind, page, len(remarks) > start + self.per_page)

    def _edit(self, wanted: int, body: Any) -> tuple[int, Any]:
        for remark in (remark for remarks in self.comments.values() for remark in remarks):
            if remark.id == wanted:
                if self.kind == "bitbucket-data-center" and body.get("version") != remark.version:
                    return 409, {"errors": [{"message": "out of date"}]}
                remark.text, remark.version = self._text(body), remark.version + 1
                return 200, comment_json(self.kind, remark)
        return 404, {"message": "Not Found"}

    def _say(self, commit: str, body: dict[str, str]) -> tuple[int, Any]:
        manners = self.manners
        state, link = body.get("state", ""), body.get(manners.link, "")
        too_long = len(body.get("description", "")) > manners.longest
        if state not in manners.words.values() or too_long or any(not body.get(name) for name in manners.missing):
            return 422, {"message": f"Validation Failed: {body}"}
        last = next((said for said in reversed(self.statuses) if said.commit == commit), None)
        if self.kind == "gitlab" and last is not None and last.state == state:
            return 400, {"message": f"Cannot transition status via :run from :{state}"}
        self.statuses.append(Said(commit, state, body.get(manners.context, ""), body.get("description", ""), link))
        return 201, {"id": len(self.statuses)}

    def _text(self, body: Any) -> str:
        for name in self.manners.text:
            body = body[name]
        return str(body)

    def _match(self, template: str, path: str) -> dict[str, str] | None:
        repository = repository_in_path(self.kind, self.repository)
        pattern = re.escape(self.manners.prefix + template).replace(r"\{repository\}", re.escape(repository))
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", pattern)
        found = re.fullmatch(pattern, path)
        return found.groupdict() if found else None

    def checked(self, verb: str, path: str, token: str | None, body: Any) -> tuple[int, Any]:
        """Status and JSON for any request. `token`: what the header says that shows it."""
        if token != self.manners.token_format.format(token=self.token):
            return 401, {"message": "Bad credentials"}
        return self.answer(verb, path, body)

    def wait_for_the_end(self) -> None:
        """Until the forge is closed."""
        self._closing.wait()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server = self.server
        assert isinstance(server, _Server)
        forge = server.forge
        content = self.rfile.read(int(self.headers.get("content-length", 0)))
        forge.requests.append(f"{self.command} {self.path}")
        mischief = forge.mischief.popleft() if forge.mischief else None
        if mischief is not None and mischief.hang:
            forge.wait_for_the_end()
            self.close_connection = True
            return
        status, answer = 0, None
        if mischief is None or mischief.after:
            token, body = self.headers.get(forge.manners.token), json.loads(content) if content else None
            status, answer = forge.checked(self.command, self.path, token, body)
        if mischief is not None:
            self._send(mischief.status, mischief.body, mischief.headers)
        else:
            self._send(status, json.dumps(answer).encode(), {"content-type": "application/json"})

    do_POST = do_PUT = do_PATCH = do_GET  # noqa: N815

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "content-length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, forge: ForgeDouble) -> None:
        self.forge = forge
        super().__init__(("127.0.0.1", 0), _Handler)
