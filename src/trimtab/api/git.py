"""Git over HTTP, and what its hooks ask: a push becomes a Fact, an edit that cannot be done never lands."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from trimtab.api.services import Services, Wired
from trimtab.core.errors import TrimtabError
from trimtab.core.model.desired import environment_of, parse_desired
from trimtab.core.model.facts import (
    AppRegistered,
    ChangeArrived,
    PullRequest,
    PullRequestClosed,
    PullRequestUpdated,
    Recorded,
)
from trimtab.core.model.identity import app_object, short
from trimtab.ports.git_http import GitRequest
from trimtab.views.model import RunView

STATE = "state"
PROPOSED = "pr/"
"""What branches begin with that are run and not deployed."""
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
    """Record what changed and say which runs it gets. They begin even if nobody waits for this answer."""
    app = push.repository
    branch = _deployed_branch(services, app)
    lines: list[str] = []
    for ref in push.refs:
        name = ref.ref.removeprefix("refs/heads/")
        is_gone = set(ref.new) == {"0"}
        if name == branch and not is_gone:
            lines += await _deployed(services, app, branch, push.pusher)
        elif name != branch and name.startswith(PROPOSED):
            request = PullRequest(0, branch, name=name.removeprefix(PROPOSED))
            lines += await (_closed if is_gone else _proposed)(services, app, request, push.pusher)
    if lines or any(ref.ref == f"refs/heads/{branch}" for ref in push.refs):
        return Reply(lines=lines)
    return Reply(lines=[f"Only {branch} is deployed; {PROPOSED}NAME is tried and not deployed. Nothing else follows."])


async def _deployed(services: Services, app: str, branch: str, pusher: str) -> list[str]:
    head = await services.source.head(app, branch)
    if head is None:
        return []
    change = replace(head, actor=pusher or head.actor)
    services.append(Recorded(app_object(app), ChangeArrived(change, "push"), actor=change.actor))
    run = await _run_of(services, app, change.commit, None)
    if run is None:
        return [f"{change.commit[:8]} was accepted; `trimtab runs` shows its run."]
    return [f"Run {run.number} of {app}: {_address(services, run)}"]


async def _proposed(services: Services, app: str, request: PullRequest, pusher: str) -> list[str]:
    head = await services.source.head(app, request.branch)
    if head is None:
        return []
    change = replace(head, actor=pusher or head.actor)
    services.append(Recorded(app_object(app), PullRequestUpdated(request, change), actor=change.actor))
    run = await _run_of(services, app, change.commit, request)
    if run is None:
        return [f"{request} at {change.commit[:8]} was accepted and is not deployed; `trimtab runs` shows its run."]
    return [f"Run {run.number} of {app}, {request}, not deployed: {_address(services, run)}"]


async def _closed(services: Services, app: str, request: PullRequest, pusher: str) -> list[str]:
    services.append(Recorded(app_object(app), PullRequestClosed(request), actor=pusher or "trimtab"))
    return [f"{request} is closed."]


def _address(services: Services, run: RunView) -> str:
    return f"{services.url}/api/v1/apps/{run.app}/runs/{run.number}"


def _deployed_branch(services: Services, app: str) -> str:
    """The branch that is deployed; an application that is pushed for the first time is registered with `main`."""
    registered = services.registered(app)
    if registered is not None:
        return registered.branch
    fact = AppRegistered()
    services.append(Recorded(app_object(app), fact, reason="first push", key=f"registered/{app}"))
    return fact.branch


async def _run_of(services: Services, app: str, commit: str, request: PullRequest | None) -> RunView | None:
    """The change's run, as soon as the engine has given it a number; None when that takes long or others are on."""
    deadline = services.clock.now() + ANSWER_WITHIN_S
    while services.clock.now() < deadline:
        runs = services.board().runs(app)
        mine = [run for run in runs if _branch_of(run.pull_request) == _branch_of(request) and not run.schedule]
        newest = next((run for run in mine if run.change.commit == commit), None)
        if newest is not None:
            return newest
        if request is None and any(run.status == "running" for run in mine):
            return None
        await services.clock.sleep(POLL_S)
    return None


def _branch_of(request: PullRequest | None) -> str:
    return request.branch if request is not None else ""


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
