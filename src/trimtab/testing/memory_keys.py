"""Signatures without asymmetric keys: whoever verifies could sign. For tests, which need no more, and fast ones."""

from __future__ import annotations

import hashlib
import hmac

from trimtab.core.model.envelope import Signature, Standing


class MemoryKeys:
    """`Signer` and `Verifier`. Keys are numbered, so that the same test signs the same."""

    def __init__(self) -> None:
        self._trusted: dict[str, bytes] = {}
        self._revoked: set[str] = set()
        self._own = self._made()

    async def sign(self, message: bytes) -> Signature:
        return Signature(self._own, hmac.digest(self._trusted[self._own], message, "sha256"))

    async def verify(self, message: bytes, signature: Signature) -> Standing:
        if signature.keyid in self._revoked:
            return "revoked"
        key = self._trusted.get(signature.keyid)
        if key is None:
            return "unknown"
        return "good" if hmac.compare_digest(hmac.digest(key, message, "sha256"), signature.signature) else "bad"

    def new(self) -> None:
        """Sign with another key from now on."""
        self._own = self._made()

    def revoke(self, keyid: str) -> None:
        self._revoked.add(keyid)
        self._trusted.pop(keyid, None)
        if keyid == self._own:
            self.new()

    def _made(self) -> str:
        key = f"key {len(self._trusted) + len(self._revoked)}".encode()
        keyid = hashlib.sha256(key).hexdigest()
        self._trusted[keyid] = key
        return keyid
