"""Secrets in files of the commit that SOPS has encrypted; the `sops` program and its keys are the operator's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from trimtab.core.errors import TrimtabError, failure
from trimtab.core.model.secret import SecretSpec
from trimtab.ports.source import Source

LONGEST_FILE_BYTES = 1024 * 1024
TIMEOUT_S = 30.0
"""A key management service that does not answer by then is not waited for."""
_TYPES = {".json": "json", ".yaml": "yaml", ".yml": "yaml", ".env": "dotenv", ".ini": "ini"}
_NO_KEY = 128
"""SOPS's exit code when none of its keys opens the file."""


class SopsSecrets:
    """`Secrets` in the file that `SecretSpec.sops` names. `environment`: where SOPS finds its keys
    (``SOPS_AGE_KEY_FILE`` and the like)."""

    def __init__(
        self, source: Source, environment: Mapping[str, str], program: str = "sops", timeout_s: float = TIMEOUT_S
    ) -> None:
        self._source = source
        # What Trimtab keeps in its environment for steps is none of the program's business.
        self._environment = {n: value for n, value in environment.items() if not n.startswith("TRIMTAB_SECRET_")}
        self._program, self._timeout_s = program, timeout_s

    async def values(self, app: str, commit: str, wanted: Sequence[SecretSpec]) -> dict[str, str]:
        opened: dict[str, Any] = {}
        for path in dict.fromkeys(spec.sops for spec in wanted):
            opened[path] = await self._open(app, commit, path)
        return {spec.name: _found(opened[spec.sops], spec) for spec in wanted}

    async def _open(self, app: str, commit: str, path: str) -> Any:
        content = await self._source.read(app, commit, path)
        if content is None:
            hint = "commit it, or correct `sops` in the `secrets` of trimtab.yaml"
            raise failure("secret-missing", f"the commit has no file {path}", hint, f"{path} in {commit[:8]}")
        if len(content) > LONGEST_FILE_BYTES:
            raise _unreadable(path, f"it is larger than {LONGEST_FILE_BYTES // 1024} KiB", "keep fewer secrets in it")
        kind = _TYPES.get(PurePosixPath(path).suffix, "json")
        text = await self._decrypt(path, kind, content)
        try:
            return json.loads(text)
        except ValueError:
            # The text itself is not shown: it is what must not be seen.
            raise _unreadable(path, "what SOPS gave is no JSON", "is it the real `sops`?") from None

    async def _decrypt(self, path: str, kind: str, content: bytes) -> bytes:
        """Nothing of it is written to any disk: the file goes in by a pipe, and comes out by one."""
        words = ("--decrypt", "--input-type", kind, "--output-type", "json", "/dev/stdin")
        pipe = asyncio.subprocess.PIPE
        try:
            process = await asyncio.create_subprocess_exec(
                self._program, *words, stdin=pipe, stdout=pipe, stderr=pipe, env=self._environment
            )
        except OSError as error:
            message = f"{path} cannot be decrypted: `{self._program}` cannot be started ({error.strerror})"
            hint = "install SOPS on the PATH of Trimtab: https://getsops.io"
            raise failure("secret-store-unreachable", message, hint, path) from None
        try:
            async with asyncio.timeout(self._timeout_s):
                said, complaint = await process.communicate(content)
        except TimeoutError:
            message = f"SOPS gave no answer for {path} within {self._timeout_s:g} s"
            hint = "see that its key management service can be reached"
            raise failure("secret-store-unreachable", message, hint, path) from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != 0:
            raise _refused(path, process.returncode or 0, complaint)
        return said


def _found(document: Any, spec: SecretSpec) -> str:
    value = document
    for part in spec.found_at.split("."):
        if not isinstance(value, dict) or part not in value:
            hint = "correct `key`, or add it with `sops edit`"
            raise failure("secret-missing", f"{spec.sops} has no `{spec.found_at}`", hint, spec.name)
        value = value[part]
    if isinstance(value, (dict, list)) or value is None:
        raise _unreadable(spec.sops, f"`{spec.found_at}` is no text", "name a text in it with `key`")
    return value if isinstance(value, str) else json.dumps(value)


def _refused(path: str, code: int, complaint: bytes) -> TrimtabError:
    if code == _NO_KEY:
        hint = "give Trimtab one of the keys that it is encrypted for (SOPS_AGE_KEY_FILE, for example), and restart it"
        return _unreadable(path, "no key of Trimtab's opens it", hint)
    lines = complaint.decode(errors="replace").strip().splitlines()
    said = lines[-1][:200] if lines else "it said nothing"
    return _unreadable(path, f"SOPS ended with {code}: {said}", "see that `sops decrypt` can read it")


def _unreadable(path: str, why: str, hint: str) -> TrimtabError:
    return failure("secret-unreadable", f"{path} cannot be decrypted: {why}", hint, path)
