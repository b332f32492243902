"""Previews of an application's pull requests: who has one, at which port, and until when.

A head that passes gets an environment of its own (`core.decide.environment.preview`), a newer one takes its place
there. Whether pull requests have previews at all, the deployed branch says, not they themselves. A port belongs to a
preview until all of it is gone; who finds none waits for one.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from trimtab.core.decide.pull_requests import PullRequests
from trimtab.core.errors import Problem
from trimtab.core.model.decision import Emit
from trimtab.core.model.facts import (
    PreviewClosed,
    PreviewOpened,
    PreviewRefused,
    PullRequest,
    Recorded,
    ReleaseOffered,
)
from trimtab.core.model.identity import PREVIEW, EnvironmentId, ObjectId, is_name, run_object, short
from trimtab.core.model.specification import AnalysisSpec, EnvironmentSpec, PreviewsSpec, Specification
from trimtab.core.model.strategy import StrategySpec
from trimtab.core.say import duration


@dataclass(frozen=True, slots=True)
class Preview:
    """A preview that is there, or on its way in or out."""

    name: str
    request: PullRequest
    run: int
    """That its newest release comes from."""
    port: int
    until: float
    """When it goes away by itself (seconds since the epoch)."""
    served: bool = False
    """Whether the gateway ever listened for it: then the port is its own."""
    closing: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """A release that has no place yet: no port is free, or what was there before is not gone yet."""

    request: PullRequest
    offer: ReleaseOffered
    told: bool = False
    """Whether it was said that no port is free."""


@dataclass(frozen=True, slots=True)
class Previews:
    """`spec`: the deployed branch's settings; None: there are no previews."""

    spec: PreviewsSpec | None = None
    open: tuple[Preview, ...] = ()
    waiting: tuple[Waiting, ...] = ()

    @property
    def next_at(self) -> float | None:
        """When one goes away by itself."""
        return min((preview.until for preview in self.open if not preview.closing), default=None)

    def get(self, name: str) -> Preview | None:
        return next((preview for preview in self.open if preview.name == name), None)


Step = tuple[Previews, list[Emit]]


def may_have(spec: PreviewsSpec | None, request: PullRequest) -> bool:
    """Whether the pull request may have a preview."""
    return spec is not None and (spec.forks or not request.from_fork)


def name_of(request: PullRequest) -> str:
    """Its environment: ``preview-7``, ``preview-verse`` of ``pr/verse``. No two pull requests have the same: what must
    be changed to be a name, or could be a number of a forge's, gets letters that stand for the whole."""
    if not request.name:
        return f"{PREVIEW}{request.number}"
    plain = f"{PREVIEW}{request.name}"
    if is_name(plain) and not request.name.isdigit():
        return plain
    tamed = re.sub(r"[^a-z0-9]+", "-", request.name.lower())[:24].strip("-")
    token = hashlib.sha256(request.branch.encode()).hexdigest()[:6]
    return f"{PREVIEW}{tamed}-{token}" if tamed else f"{PREVIEW}{token}"


def ports_to_ask(previews: Previews, facts: Iterable[Recorded]) -> tuple[str, range] | None:
    """The host and those of its ports that the next reading should be about; None: no port is needed."""
    spec = previews.spec
    needed = previews.waiting or any(isinstance(recorded.fact, ReleaseOffered) for recorded in facts)
    return (spec.host, range(spec.first_port, spec.last_port + 1)) if spec is not None and needed else None


def offered(previews: Previews, pulls: PullRequests, offer: ReleaseOffered) -> Previews:
    """The run of a pull request has passed. What is closed, or has a newer head by now, needs no preview."""
    request = next((pull.request for pull in pulls.open if pull.run == offer.run), None)
    if request is None or not may_have(previews.spec, request):
        return previews
    others = tuple(waiting for waiting in previews.waiting if waiting.request.branch != request.branch)
    return replace(previews, waiting=(*others, Waiting(request, offer)))


def served(previews: Previews, name: str) -> Previews:
    """The gateway listens for it."""
    return replace(previews, open=tuple(replace(p, served=p.served or p.name == name) for p in previews.open))


def gone(previews: Previews, name: str) -> Previews:
    """Nothing is left of it."""
    return replace(previews, open=tuple(preview for preview in previews.open if preview.name != name))


def close(previews: Previews, app: str, name: str, reason: str) -> Step:
    """Remove a preview; its port is free when it is gone."""
    known = previews.get(name)
    waiting = tuple(waiting for waiting in previews.waiting if name_of(waiting.request) != name)
    previews = replace(previews, waiting=waiting)
    if known is None or known.closing:
        return previews, []
    closing = tuple(replace(preview, closing=preview.closing or preview is known) for preview in previews.open)
    return replace(previews, open=closing), [Emit(PreviewClosed(name), reason, _place(app, name))]


def settle(previews: Previews, app: str, pulls: PullRequests, free: Collection[int], now: float) -> Step:
    """Close those whose time is over, and open those that wait. `free`: ports that nobody listens on."""
    emit: list[Emit] = []
    for preview in previews.open:
        over = "" if preview.closing else _why_over(previews.spec, pulls, preview.request)
        if not over and not preview.closing and now >= preview.until:
            over = "its time is over: there was no newer head that passed"
        if over:
            previews, closed = close(previews, app, preview.name, over)
            emit += closed
    for waiting in previews.waiting:
        if _why_over(previews.spec, pulls, waiting.request):
            previews = replace(previews, waiting=tuple(other for other in previews.waiting if other is not waiting))
            continue
        previews, said = _open(previews, app, waiting, free, now)
        emit += said
    return previews, emit


def _why_over(spec: PreviewsSpec | None, pulls: PullRequests, request: PullRequest) -> str:
    if pulls.get(request.branch) is None:
        return f"{request} is not open any more"
    if spec is None:
        return "trimtab.yaml has no `previews` any more"
    return "" if may_have(spec, request) else "trimtab.yaml allows forks no previews any more"


def _open(previews: Previews, app: str, waiting: Waiting, free: Collection[int], now: float) -> Step:
    spec, request, offer, name = previews.spec, waiting.request, waiting.offer, name_of(waiting.request)
    assert spec is not None  # else it would not wait
    known = previews.get(name)
    if known is not None and known.closing:
        return previews, []
    port = known.port if known is not None and (known.served or known.port in free) else None
    port = port or _port(previews, spec, request, free)
    if port is None:
        return _refuse(previews, app, waiting, spec)
    preview = Preview(name, request, offer.run, port, now + spec.keep_s, known is not None and known.served)
    previews = replace(
        previews,
        open=(*(other for other in previews.open if other.name != name), preview),
        waiting=tuple(other for other in previews.waiting if other is not waiting),
    )
    opened = PreviewOpened(
        pull_request=request,
        run=offer.run,
        release=offer.release,
        specification=specification_of(offer.specification, spec, name, port),
        url=_url(spec, name, port),
        until=preview.until,
        commit=offer.commit,
        subject=offer.subject,
    )
    why = f"run {offer.run} of {request} passed: {short(offer.release)} stays for {duration(spec.keep_s)} at most"
    return previews, [Emit(opened, why, _place(app, name))]


def _refuse(previews: Previews, app: str, waiting: Waiting, spec: PreviewsSpec) -> Step:
    if waiting.told:
        return previews, []
    names = ", ".join(preview.name for preview in previews.open) or "others"
    message = f"no port of {spec.first_port}-{spec.last_port} is free for a preview: taken by {names}"
    hint = "it gets the first that is; `trimtab previews close` frees one, `previews.ports` may have more"
    refused = PreviewRefused(Problem("preview-ports", message, hint, f"{spec.host}:{spec.first_port}"))
    told = tuple(replace(other, told=other.told or other is waiting) for other in previews.waiting)
    return replace(previews, waiting=told), [Emit(refused, message, run_object(app, waiting.offer.run))]


def _port(previews: Previews, spec: PreviewsSpec, request: PullRequest, free: Collection[int]) -> int | None:
    """A free port. Where a pull request is looked for first depends on its number alone, so that one that comes back
    has, most of the time, the port that it had."""
    ports = range(spec.first_port, spec.last_port + 1)
    taken = {preview.port for preview in previews.open}
    first = request.number % len(ports)
    return next((port for port in (*ports[first:], *ports[:first]) if port in free and port not in taken), None)


def specification_of(head: Specification, spec: PreviewsSpec, name: str, port: int) -> Specification:
    """The head's specification with the preview as its only environment: there is none where it could go on to."""
    place = EnvironmentSpec(
        name,
        port,
        spec.host,
        strategy=StrategySpec("instant", steps=(), scale_down_delay_s=0.0),
        analysis=AnalysisSpec(errors=None, latency=None),
        env=spec.env,
        replicas=spec.replicas,
    )
    return replace(head, environments=(place,), previews=None)


def _url(spec: PreviewsSpec, name: str, port: int) -> str:
    host = f"[{spec.host}]" if ":" in spec.host else spec.host
    outside = spec.url or f"http://{host}:{port}"
    return outside.replace("{port}", str(port)).replace("{name}", name)


def _place(app: str, name: str) -> ObjectId:
    return EnvironmentId(app, name).object_id
