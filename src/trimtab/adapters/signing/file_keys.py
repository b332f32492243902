"""Ed25519 keys in a folder: the one that signs, those that are trusted, and those that were once."""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import ParamSpec, TypeVar

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from trimtab.adapters.signing import pem
from trimtab.core.errors import Problem, TrimtabError, failure
from trimtab.core.model.envelope import KnownKey, Signature, Standing

P = ParamSpec("P")
R = TypeVar("R")

SECRET, PUBLIC, TRUSTED, REVOKED = "release.key", "release.pub", "trusted", "revoked"
_KEYID = re.compile(r"[0-9a-f]{64}")


class FileKeys:
    """`Signer` and `Verifier` in the folder `home`.

    - `release.key`: the private key that signs, made at first use; only its owner may read it
    - `release.pub`: its public half, to be handed on; nobody here trusts it for lying there
    - `trusted/KEYID.pub`: keys whose signatures count, the own one among them
    - `revoked/KEYID.pub`: keys whose signatures do not count any more

    A file among the trusted ones counts only if it holds, to the last byte, the key that its name says.
    """

    def __init__(self, home: Path) -> None:
        self._home = home

    async def sign(self, message: bytes) -> Signature:
        return await self._in_thread(self._sign, message)

    async def verify(self, message: bytes, signature: Signature) -> Standing:
        return await self._in_thread(self._verify, message, signature)

    async def _in_thread(self, work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        with self._said():
            return await asyncio.to_thread(work, *args, **kwargs)

    # --- what people do; these block ---------------------------------------------------------------------------------

    def list(self) -> tuple[KnownKey, ...]:
        """All keys, the one that signs first. Raises `TrimtabError`, as all of these do (`signing-io`)."""
        with self._said():
            return tuple(self._listed())

    def damage(self) -> tuple[Problem, ...]:
        """What is wrong with the keys: files that do not hold any more what was written to them."""
        with self._said():
            return tuple(
                Problem("key-damaged", f"a key was changed: {what}", "put it back from a backup", str(path))
                for path, what in self._damaged()
            )

    def new(self) -> KnownKey:
        """Sign with a new key from now on; what the one before has signed still counts."""
        with self._said(), self._locked():
            return KnownKey(pem.keyid_of(self._made().public_key()), "signs")

    def trust(self, content: bytes, name: str) -> KnownKey:
        """Let another installation's signatures count. `content`: its `release.pub`. Raises `TrimtabError`:
        `key-malformed`, `key-revoked`."""
        key = pem.read_public(content)
        if key is None:
            hint = "it must be the `keys/release.pub` of another installation (an Ed25519 key in PEM)"
            raise failure("key-malformed", "this is no public key", hint, name)
        keyid = pem.keyid_of(key)
        with self._said(), self._locked():
            if self._path(REVOKED, keyid).exists():
                hint = f"if that was a mistake, remove {self._path(REVOKED, keyid)} first"
                raise failure("key-revoked", f"key {keyid[:12]} was revoked here", hint, name)
            self._write(self._path(TRUSTED, keyid), pem.write_public(key), 0o644)
        return KnownKey(keyid, "trusted")

    def revoke(self, keyid: str) -> KnownKey:
        """Let no signature of the key count any more, past ones included. Raises `TrimtabError` (`key-unknown`)."""
        with self._said(), self._locked():
            matching = [key.keyid for key in self._listed() if len(keyid) >= 4 and key.keyid.startswith(keyid)]
            if len(matching) != 1:
                what = "is no key that is known here" if not matching else "could be several keys"
                raise failure("key-unknown", f"{keyid[:80]} {what}", "`trimtab keys list` names them", str(self._home))
            whole = matching[0]
            self._write(self._path(REVOKED, whole), b"revoked\n", 0o644)
            self._path(TRUSTED, whole).unlink(missing_ok=True)
            if whole == self._own_keyid():
                (self._home / SECRET).unlink()
                (self._home / PUBLIC).unlink(missing_ok=True)
        return KnownKey(whole, "revoked")

    # --- below, everything blocks ------------------------------------------------------------------------------------

    def _sign(self, message: bytes) -> Signature:
        key = self._own()
        if key is None:
            with self._locked():
                key = self._own() or self._made()
        keyid = pem.keyid_of(key.public_key())
        if self._trusted(keyid) is None:
            hint = "`trimtab keys new` makes another one"
            message_ = f"key {keyid[:12]}, which is to sign, is not among the trusted ones: one of both was changed"
            raise failure("signing-key", message_, hint, str(self._home / SECRET))
        return Signature(keyid, key.sign(message))

    def _verify(self, message: bytes, signature: Signature) -> Standing:
        keyid = signature.keyid
        if not _KEYID.fullmatch(keyid):
            return "unknown"
        if self._path(REVOKED, keyid).exists():
            return "revoked"
        key = self._trusted(keyid)
        if key is None:
            return "unknown"
        try:
            key.verify(signature.signature, message)
        except InvalidSignature:
            return "bad"
        return "good"

    def _listed(self) -> Iterator[KnownKey]:
        mine = self._own_keyid()
        revoked = {path.stem for path in (self._home / REVOKED).glob("*.pub")}
        known = {path.stem for path in (self._home / TRUSTED).glob("*.pub")}
        for keyid in sorted(known - revoked, key=lambda each: (each != mine, each)):
            damaged = self._trusted(keyid) is None
            yield KnownKey(keyid, "damaged" if damaged else "signs" if keyid == mine else "trusted")
        for keyid in sorted(revoked):
            yield KnownKey(keyid, "revoked")

    def _damaged(self) -> Iterator[tuple[Path, str]]:
        for path in sorted((self._home / TRUSTED).glob("*")):
            if not path.name.startswith(".") and (path.suffix != ".pub" or self._trusted(path.stem) is None):
                yield path, "its file does not hold the key that its name says"
        secret, public, mine = self._home / SECRET, self._home / PUBLIC, self._own_keyid()
        key = self._trusted(mine) if mine else None
        if secret.exists() and key is None:
            yield secret, "it is no key that is trusted here, so nothing can be signed"
        if key is not None and public.exists() and public.read_bytes() != pem.write_public(key):
            yield public, "it is not the public half of the key that signs"

    def _own(self) -> Ed25519PrivateKey | None:
        try:
            content = (self._home / SECRET).read_bytes()
        except FileNotFoundError:
            return None
        key = pem.read_private(content)
        if key is None:
            hint = "put it back from a backup that was made with its secrets, or make another one: `trimtab keys new`"
            raise failure("signing-key", "the key that signs cannot be read", hint, str(self._home / SECRET))
        return key

    def _own_keyid(self) -> str:
        """Empty: there is none, or it is damaged; that is said when it is to sign."""
        with suppress(TrimtabError):
            own = self._own()
            return pem.keyid_of(own.public_key()) if own is not None else ""
        return ""

    def _made(self) -> Ed25519PrivateKey:
        """A new key in place of the one that signs. Trusted first: a key that signs and is not would be of no use."""
        key = Ed25519PrivateKey.generate()
        public = pem.write_public(key.public_key())
        self._write(self._path(TRUSTED, pem.keyid_of(key.public_key())), public, 0o644)
        self._write(self._home / SECRET, pem.write_private(key), 0o600)
        self._write(self._home / PUBLIC, public, 0o644)
        return key

    def _trusted(self, keyid: str) -> Ed25519PublicKey | None:
        try:
            content = self._path(TRUSTED, keyid).read_bytes()
        except FileNotFoundError:
            return None
        key = pem.read_public(content)
        whole = key is not None and pem.write_public(key) == content and pem.keyid_of(key) == keyid
        return key if whole else None

    def _path(self, folder: str, keyid: str) -> Path:
        return self._home / folder / f"{keyid}.pub"

    def _write(self, path: Path, content: bytes, mode: int) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".new-")  # with mode 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fchmod(handle, mode)
                os.fsync(handle)
            os.replace(draft, path)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(draft)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """Several controllers may share the folder; one of them makes the key."""
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(self._home / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    @contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise _unusable(error, self._home) from error


def _unusable(error: OSError, home: Path) -> TrimtabError:
    message = f"the keys that sign releases cannot be used: {error.strerror} ({error.filename})"
    return failure("signing-io", message, "see the folder's permissions and its space", str(home))
