"""Secrets in Vault (or OpenBao): the key-value engine, version 2, over HTTP."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

from trimtab.core.errors import TrimtabError, failure
from trimtab.core.model.secret import SecretSpec

PREFIX = "secret/data/trimtab/{app}/"
"""Below this an application finds its secrets, whatever its `trimtab.yaml` says: it cannot read those of others."""
PREFIX_VARIABLE = "TRIMTAB_VAULT_PREFIX"
TIMEOUT_S = 10.0
LONGEST_ANSWER_BYTES = 1024 * 1024
_PATH = re.compile(r"(?!\.{1,2}(/|$))[A-Za-z0-9._-]+(/(?!\.{1,2}(/|$))[A-Za-z0-9._-]+)*")


@dataclass(frozen=True, slots=True)
class VaultSecrets:
    """`Secrets` at ``PREFIX`` + `SecretSpec.vault`. `address` empty: there is no Vault. The token is read anew each
    time: whoever renews it need not tell us."""

    address: str
    token: str = field(default="", repr=False)
    token_file: Path | None = None
    prefix: str = PREFIX
    namespace: str = ""
    certificates: str | None = None
    """The file with those that the server's is signed by; None: the machine's."""
    timeout_s: float = TIMEOUT_S

    async def values(self, app: str, commit: str, wanted: Sequence[SecretSpec]) -> dict[str, str]:
        del commit  # they are the same for all
        read: dict[str, Mapping[str, Any]] = {}
        for path in dict.fromkeys(spec.vault for spec in wanted):
            read[path] = await self._read(app, path)
        return {spec.name: _found(read[spec.vault], spec) for spec in wanted}

    async def _read(self, app: str, path: str) -> Mapping[str, Any]:
        if not self.address:
            hint = "start Trimtab with VAULT_ADDR and VAULT_TOKEN"
            raise failure("secret-unreadable", f"{path} is in Vault, and Trimtab knows none", hint, path)
        if not _PATH.fullmatch(path):
            hint = "letters, digits, `.`, `_` and `-`, with `/` between"
            raise failure("secret-unreadable", f"`{path[:80]}` cannot be a path in Vault", hint)
        place = self.prefix.format(app=app).strip("/") + f"/{path}"
        try:
            async with asyncio.timeout(self.timeout_s):
                status, body = await self._ask(place)
        except TimeoutError:
            raise _unreachable(place, f"gave no answer within {self.timeout_s:g} s") from None
        return _data(place, status, body)

    async def _ask(self, place: str) -> tuple[int, bytes]:
        import httpx  # only who has secrets in Vault waits for it

        try:
            return await self._get(httpx, place)
        except httpx.TimeoutException:
            raise TimeoutError from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _unreachable(place, f"cannot be reached: {type(error).__name__}") from None

    async def _get(self, httpx: ModuleType, place: str) -> tuple[int, bytes]:
        import ssl

        context = ssl.create_default_context(cafile=self.certificates) if self.certificates else True
        headers = {"X-Vault-Token": self._token(place), "X-Vault-Request": "true"}
        headers |= {"X-Vault-Namespace": self.namespace} if self.namespace else {}
        body = bytearray()
        async with (
            httpx.AsyncClient(timeout=self.timeout_s, verify=context, follow_redirects=False) as http,
            http.stream("GET", f"{self.address.rstrip('/')}/v1/{quote(place)}", headers=headers) as answer,
        ):
            async for chunk in answer.aiter_bytes():
                body += chunk
                if len(body) > LONGEST_ANSWER_BYTES:
                    raise _unreadable(place, "Vault's answer is larger than 1 MiB", "keep fewer fields there")
            return answer.status_code, bytes(body)

    def _token(self, place: str) -> str:
        if self.token:
            return self.token
        try:
            token = self.token_file.read_text().strip() if self.token_file is not None else ""
        except (OSError, UnicodeDecodeError):
            token = ""
        if not token or not token.isascii() or not token.isprintable():
            raise _unreadable(
                place, "there is no token for Vault", "start Trimtab with VAULT_TOKEN, or VAULT_TOKEN_FILE"
            )
        return token


def vault_of(environment: Mapping[str, str]) -> VaultSecrets:
    """As the usual variables say: ``VAULT_ADDR``, ``VAULT_TOKEN`` or a file with it, ``VAULT_NAMESPACE``,
    ``VAULT_CACERT``; and ``TRIMTAB_VAULT_PREFIX``, in which ``{app}`` stands for the application."""
    named = environment.get("VAULT_TOKEN_FILE")
    home = environment.get("HOME")
    file = Path(named) if named else Path(home) / ".vault-token" if home else None
    prefix = environment.get(PREFIX_VARIABLE) or PREFIX
    if "{app}" not in prefix or re.sub(r"\{app\}", "", prefix).count("{"):
        hint = f"for example {PREFIX}"
        raise failure("vault-prefix", f"{PREFIX_VARIABLE} must have `{{app}}` in it, and no other braces", hint)
    return VaultSecrets(
        environment.get("VAULT_ADDR", ""),
        environment.get("VAULT_TOKEN", ""),
        file,
        prefix,
        environment.get("VAULT_NAMESPACE", ""),
        environment.get("VAULT_CACERT") or None,
    )


def _data(place: str, status: int, body: bytes) -> Mapping[str, Any]:
    if status == HTTPStatus.NOT_FOUND:
        hint = f"`vault kv put` it there; the path in trimtab.yaml is what follows {place.rpartition('/')[0]}/"
        raise failure("secret-missing", f"Vault has nothing at {place}", hint, place)
    if status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
        hint = f'give the token a policy: path "{place}" {{ capabilities = ["read"] }}'
        raise _unreadable(place, "Vault does not let Trimtab read it", hint)
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        raise _unreachable(place, "is sealed, or not ready")
    if status == HTTPStatus.TOO_MANY_REQUESTS or (status >= 300 and not 400 <= status < 500) or status in (472, 473):
        raise _unreachable(place, f"answers with {status}")
    if status != HTTPStatus.OK:
        raise _unreadable(place, f"Vault answers with {status}", "see what `vault kv get` says")
    try:
        data = json.loads(body)["data"]["data"]
    except (ValueError, KeyError, TypeError):
        data = None
    if not isinstance(data, dict):
        hint = "the engine must be version 2 of key-value: its paths have `data` after the engine's name"
        raise _unreadable(place, "what Vault answers is no secret of it", hint)
    return data


def _found(data: Mapping[str, Any], spec: SecretSpec) -> str:
    if spec.found_at not in data:
        hint = "correct `key`: it is the field's name"
        raise failure("secret-missing", f"{spec.vault} in Vault has no field `{spec.found_at}`", hint, spec.name)
    value = data[spec.found_at]
    if isinstance(value, (dict, list)) or value is None:
        raise _unreadable(spec.vault, f"its field `{spec.found_at}` is no text", "name another field with `key`")
    return value if isinstance(value, str) else json.dumps(value)


def _unreadable(place: str, why: str, hint: str) -> TrimtabError:
    return failure("secret-unreadable", f"{place} cannot be read: {why}", hint, place)


def _unreachable(place: str, why: str) -> TrimtabError:
    hint = "it is tried again; see that Vault is up and unsealed"
    return failure("secret-store-unreachable", f"Vault {why}", hint, place)
