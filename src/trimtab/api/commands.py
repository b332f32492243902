"""Steering: every command becomes a fact that the engine decides on."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from trimtab.api.queries import found
from trimtab.api.releases import chosen
from trimtab.api.reruns import Rerun, rerun_of
from trimtab.api.services import Services, Wired
from trimtab.core.errors import failure
from trimtab.core.model.facts import (
    AbortRequested,
    AppRegistered,
    ApproveRequested,
    Fact,
    FreezeRequested,
    PauseRequested,
    PinRequested,
    PreviewCloseRequested,
    PromoteRequested,
    QuarantineLifted,
    Recorded,
    ResumeRequested,
    RollbackRequested,
    RunCancelRequested,
    ThawRequested,
    UnpinRequested,
)
from trimtab.core.model.forge import ForgeKind
from trimtab.core.model.identity import (
    NAME_PATTERN,
    EnvironmentId,
    app_object,
    rollout_object,
    run_object,
    short,
)
from trimtab.views.model import Accepted, AppView, EnvironmentView, RolloutView


class Forge(BaseModel):
    """A repository at a forge."""

    kind: ForgeKind
    """`github`, `gitlab`, `gitea` (and Forgejo), `bitbucket` or `bitbucket-data-center`."""
    repository: str
    """`org/shop`."""
    api_url: str | None = None
    """Of the forge's API; none: that of GitHub, GitLab or Bitbucket themselves."""


class Application(BaseModel):
    """An application to be deployed from a repository of Trimtab's own, or from one that is polled."""

    name: Annotated[str, Field(pattern=f"^{NAME_PATTERN}$")]
    branch: str = "main"
    poll_url: str | None = None
    """None, with a forge: where Git finds its repository."""
    poll_interval_s: Annotated[float, Field(ge=1.0)] = 30.0
    forge: Forge | None = None
    """Who says at once when something changes, and where runs are reported."""


class Pin(BaseModel):
    """The release to stay on (a digest or the beginning of one); none: the live one."""

    release: str | None = None


class Freeze(BaseModel):
    """`until`: when the freeze ends by itself (seconds since the epoch); none: when it is thawed."""

    until: float | None = None


class Trust(BaseModel):
    """The release to be taken out of quarantine: a digest or the beginning of one."""

    release: str


class Rollback(BaseModel):
    """The release to return to (a digest or the beginning of one); none: the one before the live one."""

    release: str | None = None


routes = APIRouter(prefix="/api/v1", tags=["steer"])
"""The writing half of the API."""


@routes.post("/apps", status_code=201)
async def register(services: Wired, application: Application) -> AppView:
    """Add an application, or change where its changes come from."""
    forge, poll_url = None, application.poll_url
    if application.forge is not None:
        given = application.forge
        forge = services.forges.spec(given.kind, given.repository, given.api_url)
        poll_url = poll_url or services.forges.clone_url(forge)
    await services.source.create(application.name)
    source = AppRegistered(application.branch, poll_url, application.poll_interval_s, forge)
    services.append(Recorded(app_object(application.name), source, reason="asked for by a person"))
    return found(services.board().app(application.name), "the application is gone")


@routes.post("/apps/{app}/runs/{number}/cancel", status_code=202)
async def cancel(services: Wired, request: Request, app: str, number: int) -> Accepted:
    """Stop a run that is under way; nothing is released."""
    run = found(services.board().run(app, number), f"there is no run {number} of {app}")
    if run.status != "running":
        raise failure("conflict", f"run {number} is not running: it {run.status}")
    by = request.state.actor
    return _accept(services, run_object(app, number), RunCancelRequested(by), by, f"run {number} is being cancelled")


@routes.post("/apps/{app}/runs/{number}/rerun", status_code=202)
async def rerun(services: Wired, request: Request, app: str, number: int, wanted: Rerun) -> Accepted:
    """Run a finished run's change once more. What passed is taken over; one of a pull request deploys nothing, and
    neither does one that is not the newest of its branch any more, unless asked to."""
    by = request.state.actor
    fact, said = rerun_of(services, app, number, wanted, by)
    return _accept(services, app_object(app), fact, by, said)


@routes.post("/apps/{app}/environments/{name}/rollout/{command}", status_code=202)
async def steer(services: Wired, request: Request, app: str, name: str, command: str) -> Accepted:
    """Steer the rollout that is under way. `command`: `pause`, `resume`, `abort`, `promote` or `approve`."""
    by: str = request.state.actor
    facts: dict[str, tuple[Fact, str]] = {
        "pause": (PauseRequested(by), "paused: the share stays, a rollback can still happen"),
        "resume": (ResumeRequested(by), "going on"),
        "abort": (AbortRequested(by), "going back to the stable release"),
        "promote": (PromoteRequested(by), "going to 100 % without waiting for evidence"),
        "approve": (ApproveRequested(by), "approved: it goes on when the step's other conditions are met"),
    }
    if command not in facts:
        raise failure("not-found", f"there is no command {command}", f"one of: {', '.join(facts)}")
    rollout = _under_way(services, EnvironmentId(app, name))
    fact, said = facts[command]
    if command == "promote" and rollout.step is None:
        raise failure("conflict", "the candidate is not ready yet", "promote it once its first step has begun")
    if command == "approve" and not rollout.awaiting_approval:
        raise failure("conflict", "no step waits for approval", "`trimtab status` shows what it waits for")
    place = rollout_object(EnvironmentId(app, name), rollout.number)
    return _accept(services, place, fact, by, said)


@routes.post("/apps/{app}/environments/{name}/rollback", status_code=202)
async def rollback(services: Wired, request: Request, app: str, name: str, wanted: Rollback) -> Accepted:
    """Return to an earlier release at once."""
    environment = EnvironmentId(app, name)
    place = _lasting(services, environment)
    release = chosen(services, app, wanted.release) if wanted.release else place.previous
    if release is None:
        raise failure("conflict", f"{environment} has run no other release yet")
    if release == place.live:
        raise failure("conflict", f"{short(release)} is live in {environment} already")
    await services.artifacts.manifest(release)
    by = request.state.actor
    said = f"{environment} returns to {short(release)}"
    return _accept(services, environment.object_id, RollbackRequested(release, by), by, said)


@routes.post("/apps/{app}/environments/{name}/pin", status_code=202)
async def pin(services: Wired, request: Request, app: str, name: str, wanted: Pin) -> Accepted:
    """Stay on a release until unpinned; another one than the live release is moved to at once."""
    environment = EnvironmentId(app, name)
    place = _lasting(services, environment)
    release = chosen(services, app, wanted.release) if wanted.release else place.live
    if release is None:
        raise failure("conflict", f"{environment} runs no release yet")
    if release != place.live:
        await services.artifacts.manifest(release)
    by, said = request.state.actor, f"{environment} stays on {short(release)}"
    return _accept(services, environment.object_id, PinRequested(release, by), by, said)


@routes.post("/apps/{app}/environments/{name}/unpin", status_code=202)
async def unpin(services: Wired, request: Request, app: str, name: str) -> Accepted:
    """Let newer releases in again."""
    environment = EnvironmentId(app, name)
    place = _lasting(services, environment)
    if place.pinned is None:
        raise failure("conflict", f"{environment} is not pinned")
    by = request.state.actor
    return _accept(services, environment.object_id, UnpinRequested(by), by, f"{environment} is not pinned any more")


@routes.post("/apps/{app}/environments/{name}/freeze", status_code=202)
async def freeze(services: Wired, request: Request, app: str, name: str, wanted: Freeze) -> Accepted:
    """Let no rollout begin by itself, until then or until it is thawed."""
    environment = EnvironmentId(app, name)
    _lasting(services, environment)
    if wanted.until is not None and wanted.until <= services.clock.now():
        raise failure("conflict", "the freeze would be over already", "name a time that is yet to come")
    by, said = request.state.actor, f"nothing is deployed to {environment} by itself"
    return _accept(services, environment.object_id, FreezeRequested(wanted.until, by), by, said)


@routes.post("/apps/{app}/environments/{name}/thaw", status_code=202)
async def thaw(services: Wired, request: Request, app: str, name: str) -> Accepted:
    """End a freeze that was made by hand."""
    environment = EnvironmentId(app, name)
    place = _lasting(services, environment)
    if not place.frozen:
        raise failure("conflict", f"{environment} was not frozen by hand")
    by = request.state.actor
    return _accept(services, environment.object_id, ThawRequested(by), by, f"{environment} is not frozen any more")


@routes.post("/apps/{app}/environments/{name}/quarantine/lift", status_code=202)
async def lift_quarantine(services: Wired, request: Request, app: str, name: str, wanted: Trust) -> Accepted:
    """Trust a release again that was proven worse; it is deployed when it is offered next."""
    environment = EnvironmentId(app, name)
    place = _lasting(services, environment)
    release = chosen(services, app, wanted.release)
    if release not in place.quarantined:
        raise failure("conflict", f"{short(release)} is not in quarantine in {environment}")
    by, said = request.state.actor, f"{short(release)} may be deployed to {environment} again"
    return _accept(services, environment.object_id, QuarantineLifted(release, by), by, said)


@routes.post("/apps/{app}/previews/{name}/close", status_code=202)
async def close_preview(services: Wired, request: Request, app: str, name: str) -> Accepted:
    """Remove the preview of a pull request; a newer head that passes brings it back."""
    place = services.board().environment(EnvironmentId(app, name))
    if place is None or place.preview is None:
        raise failure("not-found", f"{app} has no preview {name}", "`trimtab previews` lists them")
    by = request.state.actor
    asked = PreviewCloseRequested(name, by)
    return _accept(services, app_object(app), asked, by, f"{name} ({place.preview.url}) is being removed")


def _lasting(services: Services, environment: EnvironmentId) -> EnvironmentView:
    """The environment, if it is no preview: what runs in those follows their pull requests and nothing else."""
    place = found(services.board().environment(environment), f"{environment.app} has no environment {environment.name}")
    if place.preview is not None:
        hint = f"push to {place.preview.pull_request}, or `trimtab previews close {environment.name}`"
        raise failure("conflict", f"{environment} is a preview: it runs the newest head that passed", hint)
    return place


def _accept(services: Services, place: str, fact: Fact, by: str, said: str) -> Accepted:
    services.append(Recorded(place, fact, reason=f"{by} asked for it", actor=by))
    return Accepted(object=place, said=said)


def _under_way(services: Services, environment: EnvironmentId) -> RolloutView:
    place = found(services.board().environment(environment), f"{environment.app} has no such environment")
    if place.rollout is None or place.rollout.ended:
        hint = "`trimtab rollback` returns to an earlier release; a push starts a new rollout"
        raise failure("conflict", f"no rollout is under way in {environment}", hint)
    return place.rollout
