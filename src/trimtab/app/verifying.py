"""Verifies a release as it is kept, and what is attested of it."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.core.errors import Problem, TrimtabError
from trimtab.core.model.identity import Digest
from trimtab.engine.trusting import Trusting
from trimtab.views.verification import VerificationView, verification


async def verified(app: str, release: Digest, trusting: Trusting, keys: Sequence[Problem]) -> VerificationView:
    """`keys`: what is wrong with the keys."""
    damage = await trusting.artifacts.examine(release)
    try:
        manifest = await trusting.artifacts.manifest(release)
    except TrimtabError:
        manifest = None  # `examine` has said why
    found = await trusting.examined(release)
    return verification(app, release, manifest, (*damage, *keys), found, trusting.clock.now())
