"""What a release is made of, and what it changes against another one."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter

from trimtab.api.releases import chosen
from trimtab.api.services import Services, Wired
from trimtab.core.errors import failure
from trimtab.core.model.identity import Digest
from trimtab.views.diffing import Side, diff, to_read
from trimtab.views.release_diff import ReleaseDetailView, ReleaseDiffView
from trimtab.views.releases import detail

LIVE = "live"
"""The base that stands for what is live in the last environment."""

routes = APIRouter(prefix="/api/v1", tags=["read"])


@routes.get("/apps/{app}/releases/{release}")
async def release_detail(services: Wired, app: str, release: str) -> ReleaseDetailView:
    """One release (a digest or the beginning of one): its parts, prompts and model, and where it is live."""
    wanted = chosen(services, app, release)
    view = next(one for one in services.board().releases(app) if one.release == wanted)
    return detail(view, await services.artifacts.manifest(wanted))


@routes.get("/apps/{app}/releases/{release}/diff/{base}")
async def release_diff(services: Wired, app: str, release: str, base: str, full: bool = False) -> ReleaseDiffView:
    """What the release changes against `base`: another one, or `live`, which is what is live in the last environment.
    `full`: with the texts of all files. Files of more than 1 MiB, and what is more than 20 MiB in all, are not read."""
    new = chosen(services, app, release)
    old = _live(services, app) if base == LIVE else chosen(services, app, base)
    before, now = await _side(services, old), await _side(services, new)
    wanted = await asyncio.to_thread(to_read, before, now)
    contents: dict[Digest, bytes] = {}
    for each, digests in zip((old, new), wanted, strict=True):
        contents |= await services.artifacts.read(each, digests)
    return await asyncio.to_thread(diff, before, now, contents, full=full)


async def _side(services: Services, release: Digest) -> Side:
    return Side(await services.artifacts.manifest(release), await services.artifacts.files(release))


def _live(services: Services, app: str) -> Digest:
    view = services.board().app(app)
    places = view.environments if view is not None else ()
    if not places or places[-1].live is None:
        where = f"{app}/{places[-1].name}" if places else app
        raise failure("release-unknown", f"nothing is live in {where} yet", "name the release to compare with")
    return places[-1].live
