"""Who we are to a registry: Docker's own file of logins, and the tokens that a registry hands out for them.

https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Generator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import httpx

_PARAMETER = re.compile(r'(\w+)="([^"]*)"')


def known_login(host: str, environ: Mapping[str, str] = os.environ) -> tuple[str, str] | None:
    """User and password: of the variables TRIMTAB_REGISTRY_USER and TRIMTAB_REGISTRY_PASSWORD, else what `docker login`
    or `oras login` has left. Helpers that keep logins elsewhere are not asked."""
    if environ.get("TRIMTAB_REGISTRY_USER"):
        return environ["TRIMTAB_REGISTRY_USER"], environ.get("TRIMTAB_REGISTRY_PASSWORD", "")
    folder = environ.get("DOCKER_CONFIG") or str(Path(environ.get("HOME", "/"), ".docker"))
    try:
        logins = json.loads(Path(folder, "config.json").read_bytes())["auths"]
        user, _, password = base64.b64decode(logins[host]["auth"], validate=True).decode().partition(":")
    except (OSError, ValueError, LookupError, TypeError, binascii.Error):
        return None
    return user, password


class RegistryAuth(httpx.Auth):
    """Answers a registry's challenge, whichever of the two it is: `Basic`, or `Bearer` with a token. Other
    hosts, where a registry may send parts of an upload to, get neither."""

    def __init__(self, host: str, login: tuple[str, str] | None, *, secure: bool) -> None:
        self._host = host
        self._login = login
        self._secure = secure
        self._header = ""

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        ours = request.url.netloc.decode() == self._host
        if self._header and ours:
            request.headers["Authorization"] = self._header
        answer = yield request
        if answer.status_code != 401 or not ours:
            return
        challenge = answer.headers.get("www-authenticate", "")
        scheme, parameters = challenge.partition(" ")[0].lower(), dict(_PARAMETER.findall(challenge))
        if scheme == "basic" and self._login is not None:
            self._header = self._basic()
        elif scheme == "bearer" and self._may_ask(parameters.get("realm", "")):
            token = yield self._token_request(parameters)
            token.read()
            self._header = _bearer(token)
        else:
            return
        if self._header:
            request.headers["Authorization"] = self._header
            yield request

    def _may_ask(self, realm: str) -> bool:
        """A password never goes over a line that the registry itself would not have to be reached by."""
        return urlsplit(realm).scheme == "https" or (not self._secure and urlsplit(realm).scheme == "http")

    def _token_request(self, parameters: Mapping[str, str]) -> httpx.Request:
        wanted = {name: parameters[name] for name in ("service", "scope") if name in parameters}
        headers = {"Authorization": self._basic()} if self._login is not None else {}
        return httpx.Request("GET", parameters["realm"], params=wanted, headers=headers)

    def _basic(self) -> str:
        user, password = self._login or ("", "")
        return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def _bearer(answer: httpx.Response) -> str:
    try:
        said = answer.json()
        token = said.get("token") or said.get("access_token") or ""
    except (ValueError, AttributeError):
        token = ""
    return f"Bearer {token}" if answer.is_success and token else ""
