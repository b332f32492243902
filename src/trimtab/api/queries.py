"""Reading: everything that is shown, as JSON."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, TypeVar

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import TypeAdapter

from trimtab.api.releases import chosen
from trimtab.api.services import Services, Wired
from trimtab.core.errors import failure
from trimtab.core.model.facts import FACTS
from trimtab.core.model.identity import EnvironmentId, app_of
from trimtab.core.model.traffic import Instance
from trimtab.views.history import ROUTINE, entry, is_routine
from trimtab.views.model import (
    AppView,
    EnvironmentView,
    HistoryEntry,
    InstanceView,
    OverviewView,
    ReleaseView,
    RolloutView,
    RunView,
    StatusView,
)
from trimtab.views.verification import VerificationView

FOLLOW_POLL_S = 0.2
KEEP_ALIVE_S = 15.0

T = TypeVar("T")


routes = APIRouter(prefix="/api/v1", tags=["read"])
"""The reading half of the API."""


@routes.get("/status")
async def status(services: Wired) -> StatusView:
    """Everything: applications with their environments, rollouts and problems, and the instances that run."""
    apps = services.board().apps()
    places = [EnvironmentId(place.app, place.name) for app in apps for place in (*app.environments, *app.previews)]
    instances = {str(place): await _instances(services, place) for place in places}
    return StatusView(services.version, apps, services.troubles(), instances, services.controllers())


@routes.get("/apps/{app}")
async def app_view(services: Wired, app: str) -> AppView:
    """One application: its newest change and run, and its environments."""
    return found(services.board().app(app), f"there is no application {app}")


@routes.get("/apps/{app}/overview")
async def overview(services: Wired, app: str, limit: Annotated[int, Query(ge=1, le=100)] = 5) -> OverviewView:
    """One application with its newest `limit` runs, and as many rollouts of each environment."""
    return found(services.board().overview(app, limit), f"there is no application {app}")


@routes.get("/apps/{app}/runs")
async def runs(services: Wired, app: str, limit: Annotated[int, Query(ge=1, le=1000)] = 20) -> tuple[RunView, ...]:
    """The runs of an application, newest first."""
    await app_view(services, app)
    return services.board().runs(app)[:limit]


@routes.get("/apps/{app}/runs/{number}")
async def run(services: Wired, app: str, number: int) -> RunView:
    """One run with its steps."""
    return found(services.board().run(app, number), f"there is no run {number} of {app}")


@routes.get("/apps/{app}/releases")
async def releases(
    services: Wired, app: str, limit: Annotated[int, Query(ge=1, le=1000)] = 20
) -> tuple[ReleaseView, ...]:
    """The releases of an application, newest first."""
    await app_view(services, app)
    return services.board().releases(app)[:limit]


@routes.get("/apps/{app}/releases/{release}/verification")
async def verification(services: Wired, app: str, release: str) -> VerificationView:
    """A release (its digest, or how that begins), verified to the last byte: what is signed by whom, what each step
    found, and whether each environment would let it in now."""
    await app_view(services, app)
    return await services.verify(app, chosen(services, app, release))


@routes.get("/previews")
async def previews(services: Wired, app: str = "") -> tuple[EnvironmentView, ...]:
    """The previews of pull requests that are there now: of one application, or of all."""
    if app:
        return (await app_view(services, app)).previews
    return tuple(place for view in services.board().apps() for place in view.previews)


@routes.get("/apps/{app}/environments/{name}")
async def environment(services: Wired, app: str, name: str) -> EnvironmentView:
    """What is live and what should be, with the rollout under way or else the last one."""
    known = services.board().environment(EnvironmentId(app, name))
    return found(known, f"{app} has no environment {name}")


@routes.get("/apps/{app}/environments/{name}/rollouts")
async def rollouts(
    services: Wired, app: str, name: str, limit: Annotated[int, Query(ge=1, le=1000)] = 20
) -> tuple[RolloutView, ...]:
    """The rollouts of an environment, newest first."""
    await environment(services, app, name)
    return services.board().rollouts(EnvironmentId(app, name))[:limit]


@routes.get("/apps/{app}/environments/{name}/logs")
async def instance_logs(services: Wired, app: str, name: str) -> tuple[str, ...]:
    """The names under which `/logs/` has what instances wrote, newest first: those that run, and the last ones that
    did."""
    await environment(services, app, name)
    known = await services.processes.list(f"instance/{app}/{name}/")
    return tuple(process.name for process in sorted(known, key=lambda process: -process.started_at))


@routes.get("/history")
async def history(
    services: Wired,
    app: str = "",
    after: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 50,
    routine: bool = False,
) -> tuple[HistoryEntry, ...]:
    """What happened, oldest first: the newest `limit` entries, or the first ones `after` a number. `routine`: also the
    facts that say how, not what."""
    return _history(services, app, after, limit, routine)


@routes.get("/events")
async def events(services: Wired, request: Request, after: int | None = None) -> StreamingResponse:
    """Server-sent events: one for each fact from now on (or `after` a number); `data` is a history entry."""
    begin = services.board().seq if after is None else after
    return StreamingResponse(_events(services, request, begin), media_type="text/event-stream")


def found(value: T | None, message: str) -> T:
    """The value, or a 404 that says what is missing."""
    if value is None:
        raise failure("not-found", message, "`trimtab status` shows what there is")
    return value


async def _instances(services: Services, environment: EnvironmentId) -> tuple[InstanceView, ...]:
    return tuple(_instance_view(instance) for instance in await services.runtime.instances(environment))


def _instance_view(instance: Instance) -> InstanceView:
    return InstanceView(
        id=instance.id,
        release=instance.release,
        address=f"{instance.endpoint.host}:{instance.endpoint.port}",
        phase=instance.phase,
        started_at=instance.started_at,
        restarts=instance.restarts,
        cpu_s=instance.cpu_s,
        rss_bytes=instance.rss_bytes,
        log=instance.log,
        problem=str(instance.problem) if instance.problem else "",
    )


def _history(services: Services, app: str, after: int, limit: int, routine: bool) -> tuple[HistoryEntry, ...]:
    kinds = () if routine else tuple(sorted(FACTS.keys() - ROUTINE))
    prefixes = [f"{kind}/{app}" for kind in ("app", "run", "env", "rollout")] if app else [""]
    newest = after == 0
    # Every echo has its original: twice the number is enough for what remains without them.
    enough = limit if routine else 2 * limit
    found_facts = [
        recorded
        for prefix in prefixes
        for recorded in services.store.facts(
            after=after, limit=enough, object_prefix=prefix, kinds=kinds, newest_first=newest
        )
        if (not app or app_of(recorded.object) == app) and (routine or not is_routine(recorded.kind, recorded.object))
    ]
    found_facts.sort(key=lambda recorded: recorded.seq)
    chosen = found_facts[-limit:] if newest else found_facts[:limit]
    return tuple(entry(recorded) for recorded in chosen)


async def _events(services: Services, request: Request, after: int) -> AsyncIterator[str]:
    to_json = TypeAdapter(HistoryEntry)
    quiet_s = 0.0
    while not await request.is_disconnected():
        facts = services.store.facts(after=after, limit=500)
        for recorded in facts:
            after = recorded.seq
            yield f"id: {recorded.seq}\nevent: fact\ndata: {to_json.dump_json(entry(recorded)).decode()}\n\n"
        quiet_s = 0.0 if facts else quiet_s + FOLLOW_POLL_S
        if quiet_s >= KEEP_ALIVE_S:
            quiet_s = 0.0
            yield ": still here\n\n"
        await services.clock.sleep(FOLLOW_POLL_S)
