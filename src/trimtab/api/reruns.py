"""What is meant when a run is wanted once more."""

from __future__ import annotations

from dataclasses import replace

from pydantic import BaseModel

from trimtab.api.queries import found
from trimtab.api.services import Services
from trimtab.core.errors import failure
from trimtab.core.model.facts import RerunRequested, RunRequested
from trimtab.core.model.identity import run_object
from trimtab.core.model.pipeline import with_variants
from trimtab.views.model import RunView

_NOT_AGAIN = ("passed", "cached", "left_out")


class Rerun(BaseModel):
    """What of a run is wanted once more: `steps` (a name means all variants of its matrix) with all that need them, or
    `all`; else those that did not pass. `deploy`: also if its change is not the newest any more."""

    steps: list[str] = []
    all: bool = False
    deploy: bool = False


def rerun_of(services: Services, app: str, number: int, wanted: Rerun, by: str) -> tuple[RerunRequested, str]:
    """The fact, and what it means in a sentence. Raises `TrimtabError`: `not-found`, `conflict`."""
    run = found(services.board().run(app, number), f"there is no run {number} of {app}")
    _ensure_possible(services, run)
    asked = _asked(services, app, number)
    names = [step.name for step in run.steps]
    fresh = tuple(names) if wanted.all else with_variants(names, wanted.steps)
    if fresh is None:
        raise failure("not-found", f"run {number} has no such step", f"its steps: {', '.join(names) or 'none'}")
    if not fresh and run.status == "passed" and all(step.status in _NOT_AGAIN for step in run.steps):
        hint = "`--step NAME` runs one afresh, `--all` everything"
        raise failure("conflict", f"all steps of run {number} passed", hint)
    fact = RerunRequested(number, run.change, by, fresh, wanted.deploy, pull_request=run.pull_request)
    if asked is not None:
        fact = replace(fact, base=asked.base, until=asked.until, only=asked.only, schedule=asked.schedule)
    return fact, f"run {number} runs once more{_what_of_it(services, run, fresh, wanted)}"


def _ensure_possible(services: Services, run: RunView) -> None:
    if run.status == "running":
        hint = f"`trimtab cancel {run.number}` stops it"
        raise failure("conflict", f"run {run.number} is still running", hint)
    for other in services.board().runs(run.app):
        if other.again_of == run.number and other.status == "running":
            hint = f"`trimtab logs {other.number} --follow` watches it"
            raise failure("conflict", f"run {run.number} runs once more already, as run {other.number}", hint)


def _asked(services: Services, app: str, number: int) -> RunRequested | None:
    """How the run was asked for; None when that was pruned."""
    place = run_object(app, number)
    recorded = services.store.facts(object_id=place, kinds=("RunRequested",), limit=1)
    fact = recorded[0].fact if recorded else None
    return fact if isinstance(fact, RunRequested) else None


def _what_of_it(services: Services, run: RunView, fresh: tuple[str, ...], wanted: Rerun) -> str:
    again = f": {', '.join(fresh)} afresh" if fresh else ": what passed is taken over"
    view = services.board().app(run.app)
    head = view.head if view is not None else None
    if run.pull_request is not None or wanted.deploy or head is None or head.commit == run.change.commit:
        return again
    return f"{again}; {run.change.branch} is at {head.commit[:8]} by now, so nothing is released (`--deploy` does)"
