"""Which release somebody means."""

from __future__ import annotations

from trimtab.api.services import Services
from trimtab.core.errors import failure
from trimtab.core.model.identity import Digest

MINIMUM_PREFIX = 4


def chosen(services: Services, app: str, wanted: str) -> Digest:
    """The one release of the application whose digest begins so. Raises when there is none, or several."""
    start = wanted.removeprefix("sha256:")
    if len(start) < MINIMUM_PREFIX:
        raise failure("release-unknown", f"{wanted} is too short", f"give at least {MINIMUM_PREFIX} digits")
    matching = [r.release for r in services.board().releases(app) if short_match(r.release, start)]
    if len(matching) != 1:
        what = "is no release" if not matching else "could be several releases"
        raise failure("release-unknown", f"{wanted} {what} of {app}", "`trimtab releases` lists them")
    return matching[0]


def short_match(release: Digest, start: str) -> bool:
    """Whether the digest's hex digits begin with `start`."""
    return release.removeprefix("sha256:").startswith(start)
