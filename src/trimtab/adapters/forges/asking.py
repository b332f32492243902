"""One question to a forge's API, and what its answer means: well, no for good, or not now."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import urlsplit

import httpx

from trimtab.adapters.forges.dialect import Ask
from trimtab.adapters.forges.patience import Again
from trimtab.core.errors import Problem, TrimtabError, failure
from trimtab.ports.clock import Clock

LIMIT_BYTES = 16 * 1024 * 1024
QUOTED = 200
"""How much of an answer is quoted (characters)."""
_RESETS = ("x-ratelimit-reset", "ratelimit-reset")
"""When one may ask again (seconds since the epoch)."""
_SCOPES = {
    "github": "`statuses`, `pull requests` (write) and `contents` (read); a classic token: `repo`",
    "gitlab": "`api`, with the role Developer or more",
    "gitea": "`write:repository` and `write:issue`",
    "bitbucket": "`repository` and `pullrequest:write`",
    "bitbucket-data-center": "`repository write`",
}


class Asker:
    """Asks with one client for all forges."""

    def __init__(self, clock: Clock, timeout_s: float) -> None:
        self._clock, self._timeout_s = clock, timeout_s
        self._client: httpx.AsyncClient | None = None

    async def ask(self, kind: str, api_url: str, headers: Mapping[str, str], ask: Ask) -> object:
        """The JSON of the answer; None where it has none. Raises `TrimtabError`, or `Again` for what passes."""
        url = httpx.URL(f"{api_url}{ask.path}")
        sent = {"User-Agent": "trimtab", **headers}
        try:
            request = self._connected().stream(ask.method, url, params=dict(ask.params), headers=sent, json=ask.json)
            async with request as response:
                body = await _body(response)
        except (httpx.TransportError, httpx.DecodingError) as error:
            said = str(error) or type(error).__name__
            hint = "see that it is up, and that this machine reaches it; nothing is lost meanwhile"
            raise Again(_problem("forge-unreachable", url, f"cannot be reached: {said}", hint)) from None
        if response.is_success:
            return _decoded(body, url)
        text = _said(body)
        if ask.settled and ask.settled in text:
            return None
        raise self._refused(kind, response, url, text)

    async def aclose(self) -> None:
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def _connected(self) -> httpx.AsyncClient:
        if self._client is None:
            self._client = httpx.AsyncClient(timeout=self._timeout_s)
        return self._client

    def _refused(self, kind: str, response: httpx.Response, url: httpx.URL, text: str) -> Exception:
        status, answered = response.status_code, f"answered with HTTP status {response.status_code}"
        words = f"{answered}: {text}" if text else answered
        if status == 429 or (status == 403 and _is_limited(response)):
            hint = "it lets nobody ask more often; nothing is lost meanwhile"
            return Again(_problem("forge-unreachable", url, words, hint), self._told_s(response))
        if status >= 500 or status in (408, 409):
            hint = "see the forge's own status page; nothing is lost meanwhile"
            return Again(_problem("forge-unreachable", url, words, hint), self._told_s(response))
        if status in (401, 403):
            hint = f"the token needs {_SCOPES[kind]}: give a new one with `trimtab apps add`"
            return TrimtabError(_problem("forge-token", url, words, hint))
        if status == 404:
            hint = f"is `--repository` right, and may the token see it? It needs {_SCOPES[kind]}"
            return TrimtabError(_problem("forge-missing", url, words, hint))
        if response.is_redirect:
            hint = "was the repository renamed? Give its new name with `trimtab apps add`"
            return TrimtabError(_problem("forge-refused", url, f"{answered}, a redirect", hint))
        return TrimtabError(_problem("forge-refused", url, words, "see what it says"))

    def _told_s(self, response: httpx.Response) -> float:
        """For how long the forge wants to be left alone (seconds)."""
        after = response.headers.get("retry-after", "")
        if after.isdigit():
            return float(after)
        reset = next((response.headers[name] for name in _RESETS if name in response.headers), "")
        return max(0.0, float(reset) - self._clock.now()) if reset.isdigit() and _is_limited(response) else 0.0


def _is_limited(response: httpx.Response) -> bool:
    """Whether a refusal is about how often it was asked, and not about who asks."""
    left = [response.headers.get(name) for name in ("x-ratelimit-remaining", "ratelimit-remaining")]
    return response.status_code == 429 or "0" in left or "retry-after" in response.headers


async def _body(response: httpx.Response) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes(64 * 1024):
        body += chunk
        if len(body) > LIMIT_BYTES:
            message = f"{_place(response.url)} answered with more than {LIMIT_BYTES // 1024**2} MiB"
            raise failure("forge-answer", message, "see that `--api-url` is that of the forge's API")
    return bytes(body)


def _decoded(body: bytes, url: httpx.URL) -> object:
    if not body.strip():
        return None
    try:
        found: object = json.loads(body)
    except (ValueError, RecursionError):
        raise Again(garbled(url, "it is not JSON")) from None
    return found


def garbled(url: httpx.URL | str, why: str) -> Problem:
    """The problem with an answer that is none: that of a proxy or a maintenance page."""
    hint = "see that `--api-url` is that of the forge's API, and not of its pages"
    return _problem("forge-answer", httpx.URL(url), f"gave an answer that cannot be read: {why}", hint)


def _problem(code: str, url: httpx.URL, said: str, hint: str) -> Problem:
    return Problem(code, f"{_place(url)} {said}", hint)


def _place(url: httpx.URL) -> str:
    """The address without what may be secret in it."""
    parts = urlsplit(str(url))
    return f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}{parts.path}"


def _said(body: bytes) -> str:
    """What a refusal says: its message if it has one, else how it begins."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    said = [found.get(name) for name in ("message", "error", "errors")] if isinstance(found, dict) else []
    text = next((str(item) for item in said if item), body[:1000].decode(errors="replace"))
    return " ".join(text.split())[:QUOTED]
