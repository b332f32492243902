"""Each application's token and webhook secret, as files that only their owner can read."""

from __future__ import annotations

import base64
import os
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path

from trimtab.adapters.forges.signatures import SIGNING_PREFIX
from trimtab.core.errors import failure
from trimtab.core.model.identity import is_name

TOKEN, WEBHOOK = "forge-token", "forge-webhook"
SECRET_BYTES = 32


class FileForgeSecrets:
    """`ForgeSecrets` in `folder/APP`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def token(self, app: str) -> str | None:
        return self._read(app, TOKEN)

    def keep_token(self, app: str, token: str) -> None:
        token = token.strip()
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            hint = "copy it from the forge's settings as it is: one line, no spaces"
            raise failure("forge-token-form", "this cannot be a token", hint)
        with self._written(app, token) as temporary:
            os.replace(temporary, self._path(app, TOKEN))

    def webhook_secret(self, app: str) -> str | None:
        return self._read(app, WEBHOOK)

    def make_webhook_secret(self, app: str) -> str | None:
        if self.webhook_secret(app) is not None:
            return None
        made = SIGNING_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
        with self._written(app, made) as temporary:
            try:
                os.link(temporary, self._path(app, WEBHOOK))
            except FileExistsError:
                return None  # somebody else was faster, and has said his
        return made

    def _path(self, app: str, name: str) -> Path:
        if not is_name(app):
            raise failure("not-found", f"`{app[:80]}` cannot be an application's name")
        return self._folder / app / name

    def _read(self, app: str, name: str) -> str | None:
        try:
            return self._path(app, name).read_text().strip() or None
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            hint = "it must be a file that the controller's user can read"
            raise failure("forge-secret", f"it cannot be read: {error}", hint, str(self._path(app, name))) from None

    def _written(self, app: str, text: str) -> _Temporary:
        folder = self._path(app, TOKEN).parent
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
            return _Temporary(folder, text)
        except OSError as error:
            hint = "see its permissions and its space"
            raise failure("forge-secret", f"it cannot be written: {error.strerror}", hint, str(folder)) from None


class _Temporary:
    """A new file with mode 0600 in the folder; gone at the end of the block, unless it was moved away."""

    def __init__(self, folder: Path, text: str) -> None:
        handle, self._path = tempfile.mkstemp(dir=folder, prefix=".new-")
        with os.fdopen(handle, "w") as file:
            file.write(f"{text}\n")

    def __enter__(self) -> str:
        return self._path

    def __exit__(self, *_: object) -> None:
        with suppress(FileNotFoundError):
            os.unlink(self._path)
