"""Each place of secrets with somebody who sets them: files, memory, a double of `sops`, a double of Vault."""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from trimtab.adapters.secrets import FileSecrets, SopsSecrets, VaultSecrets
from trimtab.core.model.secret import SecretSpec
from trimtab.testing.memory_secrets import MemorySecrets
from trimtab.testing.memory_source import File, MemorySource
from trimtab.testing.secrets_contract import APP

# Speaks sops's command line: "encrypted" is rot13 of JSON with the word SOPS before it. Its key is a file, as age's is.
SOPS = f"""#!{sys.executable}
import codecs, os, sys
assert sys.argv[1:3] == ["--decrypt", "--input-type"], sys.argv
assert sys.argv[4:] == ["--output-type", "json", "/dev/stdin"], sys.argv
text = open("/dev/stdin").read()
if not os.path.exists(os.environ.get("SOPS_AGE_KEY_FILE", "")):
    print("Failed to get the data key required to decrypt the SOPS file.", file=sys.stderr); sys.exit(128)
if text.startswith("HANG"):
    import time; time.sleep(1000)
if not text.startswith("SOPS"):
    print("Error unmarshalling input file: not encrypted", file=sys.stderr); sys.exit(1)
assert not [name for name in os.environ if name.startswith("TRIMTAB_SECRET_")]
print(codecs.decode(text[4:], "rot13"))
"""


def encrypted(document: object) -> bytes:
    import codecs

    return b"SOPS" + codecs.encode(json.dumps(document), "rot13").encode()


class FileBench:
    commit = "c" * 40

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.home = folder / "secrets"
        self.secrets = FileSecrets(self.home, environment or {})

    async def put(self, name: str, value: str) -> SecretSpec:
        self.secrets.keep(APP, name, value)
        return SecretSpec(name)

    async def absent(self, name: str) -> SecretSpec:
        return SecretSpec(name)

    async def broken(self, name: str) -> SecretSpec:
        (self.home / APP).mkdir(parents=True, exist_ok=True)
        (self.home / APP / name).write_bytes(b"\xff\xfe\x00")
        return SecretSpec(name)


class MemoryBench:
    commit = "c" * 40

    def __init__(self, _: Path) -> None:
        self.secrets = MemorySecrets()

    async def put(self, name: str, value: str) -> SecretSpec:
        self.secrets.known[APP, name] = value
        return SecretSpec(name)

    async def absent(self, name: str) -> SecretSpec:
        return SecretSpec(name)

    async def broken(self, name: str) -> SecretSpec:
        self.secrets.known[APP, name] = None
        return SecretSpec(name)


class SopsBench:
    """Each change of the file is a commit."""

    def __init__(self, folder: Path, timeout_s: float = 30.0) -> None:
        program, self.key = folder / "bin" / "sops", folder / "age.key"
        program.parent.mkdir()
        program.write_text(SOPS)
        program.chmod(0o755)
        self.key.touch()
        self.environment = {
            "PATH": os.environ["PATH"],
            "SOPS_AGE_KEY_FILE": str(self.key),
            "TRIMTAB_SECRET_X": "not for it",
        }
        self.source = MemorySource()
        self.secrets = SopsSecrets(self.source, self.environment, str(program), timeout_s)
        self.document: dict[str, object] = {"db": {}}
        self.commit = ""

    async def push(self, **files: bytes) -> None:
        if APP not in await self.source.apps():
            await self.source.create(APP)
        named = {name.replace("__", "."): File(content) for name, content in files.items()}
        self.commit = self.source.commit(APP, {"secrets.yaml": File(encrypted(self.document)), **named}).commit

    async def put(self, name: str, value: str) -> SecretSpec:
        self.document["db"] = {**dict(self.document["db"]), name.lower(): value}  # type: ignore[call-overload]
        await self.push()
        return SecretSpec(name, sops="secrets.yaml", key=f"db.{name.lower()}")

    async def absent(self, name: str) -> SecretSpec:
        await self.push()
        return SecretSpec(name, sops="secrets.yaml", key=f"db.{name.lower()}")

    async def broken(self, name: str) -> SecretSpec:
        await self.push(broken__yaml=b"not encrypted")
        return SecretSpec(name, sops="broken.yaml")


class Vault:
    """A Vault on a free port of this machine: `kept` by path. `answer`: a status, and a body, in place of the truth.
    `hang`: an answer that never comes."""

    token = "hvs.the-token"

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}
        self.answer: tuple[int, bytes] | None = None
        self.hang: threading.Event | None = None
        self.asked: list[tuple[str, str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.asked.append((self.path, self.headers.get("X-Vault-Namespace")))
                if outer.hang is not None:
                    outer.hang.wait()
                status, body = outer.answer or outer.truth(self.path, self.headers.get("X-Vault-Token"))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                if status in (301, 302, 307):
                    self.send_header("Location", "http://127.0.0.1:9/elsewhere")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def truth(self, path: str, token: str | None) -> tuple[int, bytes]:
        if token != self.token:
            return 403, b'{"errors": ["permission denied"]}'
        data = self.kept.get(path.removeprefix("/v1/"))
        if data is None:
            return 404, b'{"errors": []}'
        return 200, json.dumps({"data": {"data": data, "metadata": {"version": 3}}}).encode()

    def close(self) -> None:
        if self.hang is not None:
            self.hang.set()
        self._server.shutdown()
        self._server.server_close()


class VaultBench:
    commit = "c" * 40

    def __init__(self, _: Path, timeout_s: float = 30.0) -> None:
        self.vault = Vault()
        self.secrets = VaultSecrets(self.vault.address, self.vault.token, timeout_s=timeout_s)

    async def put(self, name: str, value: str) -> SecretSpec:
        self.vault.kept[f"secret/data/trimtab/{APP}/payments/{name}"] = {"token": value}
        return SecretSpec(name, vault=f"payments/{name}", key="token")

    async def absent(self, name: str) -> SecretSpec:
        return SecretSpec(name, vault=f"payments/{name}", key="token")

    async def broken(self, name: str) -> SecretSpec:
        self.vault.kept[f"secret/data/trimtab/{APP}/payments/{name}"] = {"token": {"not": "text"}}
        return SecretSpec(name, vault=f"payments/{name}", key="token")
