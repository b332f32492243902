"""Who signs for this installation, and whose signatures count."""

from __future__ import annotations

from typing import Protocol

from trimtab.core.model.envelope import Signature, Standing


class Signer(Protocol):
    """Errors are `TrimtabError` (`signing-key`, `signing-io`)."""

    async def sign(self, message: bytes) -> Signature:
        """By the installation's own key, which is made at first use."""
        ...


class Verifier(Protocol):
    """Errors are `TrimtabError` (`signing-io`). A key that is damaged is one that is not trusted."""

    async def verify(self, message: bytes, signature: Signature) -> Standing:
        """What the installation's own `Signer` has signed is ``good``, for as long as its key was not revoked."""
        ...
