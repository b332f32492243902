"""Git over HTTP, and what its hooks ask: a push becomes a Fact, an edit that cannot be done never lands."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from trimtab.api.services import Services, Wired
from trimtab.core.errors import TrimtabError
from trimtab.core.model.desired import environment_of, parse_desired
from trimtab.core.model.facts import AppRegistered, Change, ChangeArrived, Recorded
from trimtab.core.model.identity import app_object, short
from trimtab.ports.git_http import GitRequest
from trimtab.views.model import RunView

STATE = "state"
ANSWER_WITHIN_S = 2.0
POLL_S = 0.005


class Ref(BaseModel):
    """One updated ref; `files`: the new content of what the push changes (null: removed), on the state repository."""

    old: str
    new: str
    ref: str
    files: dict[str, str | None] = Field(default_factory=dict)


class Push(BaseModel):
    repository: str
    pusher: str = ""
    refs: list[Ref]


class Reply(BaseModel):
    """`lines` go to the pusher's terminal."""

    accept: bool = True
    lines: list[str] = Field(default_factory=list)


routes = APIRouter()
"""`/git/...` for people's Git, `/internal/git/...` for our own hooks."""


@routes.api_route("/git/{path:path}", methods=["GET", "POST"], include_in_schema=False)
async def serve(services: Wired, request: Request, path: str) -> StreamingResponse:
    answer = await services.git_http.serve(
        GitRequest(
            method=request.method,
            path=f"/{path}",
            query=request.url.query,
            headers=dict(request.headers),
            body=request.stream(),
            user=request.state.actor,
        )
    )
    return StreamingResponse(answer.body, answer.status, dict(answer.headers))


@routes.post("/internal/git/{hook}", include_in_schema=False)
async def hook(services: Wired, hook: Literal["pre-receive", "post-receive"], push: Push) -> Reply:
    if hook == "pre-receive":
        return await _check_state(services, push)
    if push.repository == STATE:
        return Reply(lines=["Trimtab compares what runs with what Git says now."])
    return await _pushed(services, push)


async def _pushed(services: Services, push: Push) -> Reply:
    """Record the change and say which run it gets. The run begins even if nobody waits for this answer."""
    app = push.repository
    branch = await _deployed_branch(services, app)
    mine = [ref for ref in push.refs if ref.ref == f"refs/heads/{branch}" and set(ref.new) != {"0"}]
    if not mine:
        return Reply(lines=[f"Only {branch} is deployed; nothing else follows from this push."])
    head = await services.source.head(app, branch)
    if head is None:
        return Reply()
    change = Change(head.commit, head.branch, push.pusher or head.actor, head.subject, head.at)
    services.append(Recorded(app_object(app), ChangeArrived(change, "push"), actor=change.actor))
    run = await _run_of(services, app, change.commit)
    if run is None:
        return Reply(lines=[f"{change.commit[:8]} was accepted; `trimtab runs` shows its run."])
    return Reply(lines=[f"Run {run.number} of {app}: {services.url}/api/v1/apps/{app}/runs/{run.number}"])


async def _deployed_branch(services: Services, app: str) -> str:
    """The branch that is deployed; an application that is pushed for the first time is registered with `main`."""
    registered = services.store.facts(object_prefix=app_object(app), kinds=("AppRegistered",), newest_first=True)
    for recorded in registered:
        if recorded.object == app_object(app) and isinstance(recorded.fact, AppRegistered):
            return recorded.fact.branch
    fact = AppRegistered()
    services.append(Recorded(app_object(app), fact, reason="first push", key=f"registered/{app}"))
    return fact.branch


async def _run_of(services: Services, app: str, commit: str) -> RunView | None:
    """The change's run, as soon as the engine has given it a number; None when that takes long or another run is on."""
    deadline = services.clock.now() + ANSWER_WITHIN_S
    while services.clock.now() < deadline:
        newest = next((run for run in services.board().runs(app) if run.change.commit == commit), None)
        if newest is not None:
            return newest
        if any(run.status == "running" for run in services.board().runs(app)):
            return None
        await services.clock.sleep(POLL_S)
    return None


async def _check_state(services: Services, push: Push) -> Reply:
    """Refuse a push to the state repository that asks for something that cannot be done."""
    problems: list[str] = []
    for ref in push.refs:
        for path, content in ref.files.items():
            if content is not None and path.endswith((".yaml", ".yml")):
                problems += await _check_file(services, path, content)
    if not problems:
        return Reply()
    return Reply(accept=False, lines=["Refused, nothing was changed:", *(f"  {problem}" for problem in problems)])


async def _check_file(services: Services, path: str, content: str) -> list[str]:
    environment = environment_of(path)
    if environment is None or services.board().environment(environment) is None:
        return [f"{path}: there is no such environment (files are named APP/ENVIRONMENT.yaml)"]
    try:
        release = parse_desired(content.encode(), path)
        manifest = await services.artifacts.manifest(release)
    except TrimtabError as error:
        return [str(problem) for problem in error.problems]
    if manifest.app != environment.app:
        return [f"{path}: release {short(release)} is a release of {manifest.app}"]
    return []
