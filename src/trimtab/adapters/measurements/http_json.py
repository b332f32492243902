"""Asks an HTTP endpoint for JSON, and says what is wrong in sentences that name the next step."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator, Mapping

import httpx

from trimtab.adapters.measurements.question import Question, shorten
from trimtab.core.errors import TrimtabError, failure

LIMIT_BYTES = 1024 * 1024
_STATUS_HINTS = {
    400: "see the query",
    401: "see the credentials in `headers`",
    403: "see the credentials in `headers`, and what they may read",
    404: "see the URL",
    422: "see the query",
    429: "read less often: set `every` to more",
}


class HttpJson:
    """One client for all endpoints. No time limit of its own: whoever asks gives up."""

    def __init__(self) -> None:
        self._client: httpx.AsyncClient | None = None

    async def ask(
        self,
        question: Question,
        url: httpx.URL,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> object:
        """The JSON that the URL answers with, at most `LIMIT_BYTES` of it. Redirects are not followed. Raises
        TrimtabError; what it quotes may still have secrets in it (`Question.cleaned`)."""
        sent = {"Accept": "application/json", "Accept-Encoding": "identity", **question.headers(), **(headers or {})}
        auth = httpx.BasicAuth(url.username, url.password) if url.userinfo else None
        bare = url.copy_with(userinfo=b"")
        try:
            async with self._connected().stream(method, bare, headers=sent, content=content, auth=auth) as response:
                body = await _body(response)
                if response.status_code != httpx.codes.OK:
                    raise _refused(response, _said(body), place(url))
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _unreachable(error, url) from None
        return decoded(body)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def _connected(self) -> httpx.AsyncClient:
        if self._client is None:
            trusted = httpx.create_ssl_context(trust_env=False)
            trusted.load_default_certs()
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=20)
            self._client = httpx.AsyncClient(trust_env=False, timeout=None, verify=trusted, limits=limits)
        return self._client


def endpoint(base: str, path: str, params: Mapping[str, str | int]) -> httpx.URL:
    """`path` below the base, with these parameters and those that the base has. Raises TrimtabError."""
    url = parsed(base)
    return url.copy_with(path=url.path.rstrip("/") + path).copy_merge_params(dict(params))


def parsed(url: str) -> httpx.URL:
    """Raises TrimtabError."""
    try:
        return httpx.URL(url)
    except httpx.InvalidURL as error:
        raise failure("metric-query", f"the URL cannot be used: {error}", "write it as https://HOST/PATH") from None


def place(url: httpx.URL) -> str:
    """The URL without user, password and parameters: they may be secret."""
    return str(url.copy_with(userinfo=b"", query=None, fragment=None))


def decoded(body: bytes) -> object:
    """The JSON in `body`. Raises TrimtabError."""
    try:
        found: object = json.loads(body)
    except (ValueError, RecursionError):
        begins = f"it begins with `{shorten(body[:60].decode(errors='replace'), 40)}`" if body else "it is empty"
        hint = "see that the URL is that of an API, and not of a web page"
        raise failure("metric-answer", f"the answer is not JSON: {begins}", hint) from None
    return found


def malformed(kind: str) -> TrimtabError:
    """The error for JSON that does not look as `kind` promises."""
    return failure("metric-answer", f"the answer is not what {kind} answers", f"see that the URL is that of {kind}")


async def _body(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_raw(64 * 1024):
        body += chunk
        if len(body) > LIMIT_BYTES:
            message = f"the answer is larger than {LIMIT_BYTES // 1024} KiB and was cut off"
            raise failure("metric-flood", message, "ask for less: one number, or counts by score")
    return bytes(body)


def _said(body: bytes) -> str:
    """What an error answer says: its message if it has one, else its first characters."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    said = [found.get(name) for name in ("error", "message", "errors")] if isinstance(found, dict) else []
    return next((str(item) for item in said if item), body[:1000].decode(errors="replace"))


def _refused(response: httpx.Response, said: str, where: str) -> TrimtabError:
    status = response.status_code
    if response.is_redirect:
        to = place(response.url.join(response.headers.get("location", "")))
        return failure("metric-status", f"{where} redirects to {to}, which is not followed", "give that URL itself")
    hint = _STATUS_HINTS.get(status, "see the log of that server" if status >= 500 else "see the URL and the query")
    words = f": {said}" if said.strip() else ""
    return failure("metric-status", f"{where} answered with HTTP status {status}{words}", hint)


def _unreachable(error: Exception, url: httpx.URL) -> TrimtabError:
    causes = tuple(_causes(error))
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        why = next(str(cause) for cause in causes if isinstance(cause, ssl.SSLError))
        hint = "see its certificate; SSL_CERT_FILE names further authorities to trust"
        return failure("metric-unreachable", f"no TLS connection to {url.host}: {why}", hint)
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        message = f"the name {url.host} cannot be resolved"
        return failure("metric-unreachable", message, "see the host in the URL, and the DNS of this machine")
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return failure("metric-unreachable", f"{place(url)} refuses connections", "see that it runs, and its port")
    reason = str(error) or type(error).__name__
    return failure("metric-unreachable", f"{place(url)} cannot be reached: {reason}", "see that it runs, and the URL")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, what caused it, and so on."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for part in error.exceptions:
                yield from _causes(part)
        error = error.__cause__ or error.__context__
