"""One connection to the API: requests and streams out, decoded views or Problems back."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, TypeVar
from urllib.parse import quote, urlsplit

import httpx
from pydantic import TypeAdapter, ValidationError

from trimtab.core.errors import Problem, TrimtabError, failure

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 30.0
PATIENCE_S = 3.0
"""An answer that takes longer is worth a word."""
LONGEST_LINE_BYTES = 1024 * 1024
ACTOR_HEADER = "x-trimtab-actor"
NOT_RUNNING = "not-running"

T = TypeVar("T")
Params = Mapping[str, str | int | float | bool | None]


class Transport:
    """Speaks HTTP with one server.

    Every failure is a `TrimtabError` whose problem names the server: `not-running` (nobody listens), `timeout`,
    `connection-lost`, `unexpected-answer`, or what the server itself said.
    """

    def __init__(self, url: str, token: str, actor: str = "", waiting: Callable[[], None] | None = None) -> None:
        """`waiting` is called, from another thread, when an answer takes longer than PATIENCE_S."""
        self._waiting = waiting
        self.url = url.rstrip("/")
        parts = urlsplit(self.url)
        headers = {"authorization": f"Bearer {token}"}
        if actor:
            headers[ACTOR_HEADER] = quote(actor, safe=" @.")
        self._http = httpx.Client(
            base_url=self.url,
            headers=headers,
            timeout=httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S),
            # Loading the certificates takes longer than everything else a command does; http:// has no use for them.
            verify=parts.scheme == "https",
            # A proxy of the network has no way to this machine's own address.
            trust_env=parts.hostname not in ("127.0.0.1", "localhost", "::1"),
        )

    def close(self) -> None:
        self._http.close()

    def get(self, shape: type[T], path: str, **params: str | int | bool) -> T:
        return self._decoded(shape, self._ask("GET", path, params=params))

    def post(self, shape: type[T], path: str, body: Mapping[str, Any] | None = None) -> T:
        return self._decoded(shape, self._ask("POST", path, json=body))

    def put(self, shape: type[T], path: str, body: Mapping[str, Any]) -> T:
        return self._decoded(shape, self._ask("PUT", path, json=body))

    def delete(self, shape: type[T], path: str) -> T:
        return self._decoded(shape, self._ask("DELETE", path))

    @contextmanager
    def stream(self, path: str, *, silence_s: float | None, params: Params) -> Iterator[Iterator[str]]:
        """The lines of an endless answer (see `lines_of`); `silence_s`: how long nothing may come (None: for ever)."""
        timeout = httpx.Timeout(ANSWER_TIMEOUT_S, connect=CONNECT_TIMEOUT_S, read=silence_s)
        with self._failures(), self._http.stream("GET", path, params=params, timeout=timeout) as answer:
            if not answer.is_success:
                answer.read()
                raise self._refusal(answer)
            yield lines_of(answer.iter_bytes())

    def _ask(self, method: str, path: str, **content: Any) -> httpx.Response:
        with self._failures(), self._patience():
            answer = self._http.request(method, path, **content)
        if not answer.is_success:
            raise self._refusal(answer)
        return answer

    def _decoded(self, shape: type[T], answer: httpx.Response) -> T:
        try:
            return decoder(shape).validate_json(answer.content)
        except ValidationError as error:
            said = error.errors()[0]
            detail = f"{'.'.join(str(part) for part in said['loc'])}: {said['msg']}"
            raise self._unexpected(f"an answer that this version does not understand ({detail})") from None

    @contextmanager
    def _patience(self) -> Iterator[None]:
        """Whoever waits is told so."""
        timer = threading.Timer(PATIENCE_S, self._waiting) if self._waiting is not None else None
        if timer is not None:
            timer.daemon = True
            timer.start()
        try:
            yield
        finally:
            if timer is not None:
                timer.cancel()

    @contextmanager
    def _failures(self) -> Iterator[None]:
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout):
            hint = (
                "start it with `trimtab up`, or say where it is with --url; on its machine, `trimtab doctor` tells why"
            )
            raise failure(NOT_RUNNING, "Trimtab is not running", hint, self.url) from None
        except httpx.TimeoutException:
            hint = "it is paused, overloaded or hangs: on its machine, `trimtab doctor` tells which"
            raise failure("timeout", "Trimtab did not answer in time", hint, self.url) from None
        except httpx.TransportError as error:
            hint = "it may have been stopped; `trimtab status` tells whether it is back"
            raise failure("connection-lost", f"the connection to Trimtab broke: {error}", hint, self.url) from None
        except httpx.InvalidURL as error:
            raise failure("invalid-url", str(error), "an address looks like http://127.0.0.1:7070", self.url) from None

    def _refusal(self, answer: httpx.Response) -> TrimtabError:
        if "problem+json" in answer.headers.get("content-type", ""):
            try:
                problems = decoder(tuple[Problem, ...]).validate_python(answer.json()["problems"])
            except (ValueError, KeyError, TypeError):
                problems = ()
            if problems:
                return TrimtabError(*problems)
        return self._unexpected(f"status {answer.status_code}")

    def _unexpected(self, what: str) -> TrimtabError:
        hint = "is it Trimtab that listens there, and of this version? the server's log says more"
        return failure("unexpected-answer", f"the server answered with {what}", hint, self.url)


def lines_of(chunks: Iterable[bytes]) -> Iterator[str]:
    """The lines without their ends. One that is longer than LONGEST_LINE_BYTES comes in pieces, as if it were several:
    what somebody's program writes must not fill our memory."""
    pending = b""
    for chunk in chunks:
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            yield line.removesuffix(b"\r").decode(errors="replace")
        while len(pending) > LONGEST_LINE_BYTES:
            piece, pending = pending[:LONGEST_LINE_BYTES], pending[LONGEST_LINE_BYTES:]
            yield piece.decode(errors="replace")
    if pending:
        yield pending.decode(errors="replace")


def decoder(shape: type[T]) -> TypeAdapter[T]:
    """Reads a view from JSON."""
    key: Any = shape
    adapter: TypeAdapter[T] = _adapter(key)
    return adapter


@cache
def _adapter(shape: Any) -> TypeAdapter[Any]:
    return TypeAdapter(shape)
