"""What a run would do: which steps would be taken from the cache, which would run, and why."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from trimtab.adapters.git.working_tree import WorkingTree
from trimtab.app.local.place import Place
from trimtab.app.local.reading import configuration, steps_named
from trimtab.app.local.running import Wishes, actor
from trimtab.app.local.wiring import LocalPorts, open_local, pipeline_of
from trimtab.codec import decode_state
from trimtab.core.decide.run import RunState
from trimtab.core.errors import TrimtabError
from trimtab.core.model.actions import ReadSpecification
from trimtab.core.model.facts import RunRequested, SpecificationRead, SpecificationRefused
from trimtab.core.model.identity import Digest, app_object, run_object
from trimtab.core.model.paths import matching
from trimtab.core.model.pipeline import StepResult, StepSpec, in_order, layers_of, needed_by
from trimtab.core.say import count
from trimtab.engine.loop import Order
from trimtab.engine.steps import Steps

LOOKED_BACK = 20
"""How many earlier runs are asked what has changed since."""
MOST_NAMED = 3
"""How many files that have changed are named."""
_SCOPES = ("branch",)


@dataclass(frozen=True, slots=True)
class Listed:
    """A step, and what a run would make of it."""

    step: str
    status: Literal["cached", "waiting", "left_out"]
    """``waiting``: it would run."""
    why: str


def list_steps(place: Place, wishes: Wishes, say: Callable[[str], None]) -> tuple[Listed, ...]:
    """All steps in the order of their needs. Raises what `run_steps` does."""
    specification = configuration(place.top)
    only = steps_named(specification, wishes.steps)
    with place.alone(say):
        return asyncio.run(_list(place, wishes, specification.app, only))


async def _list(place: Place, wishes: Wishes, app: str, only: tuple[str, ...]) -> tuple[Listed, ...]:
    ports = open_local(place, os.environ)
    try:
        tree = WorkingTree(place.top, place.home / "git", app)
        change = await tree.commit(actor(), ports.clock.now(), wishes.branch)
        pipeline = pipeline_of(ports, place, sandbox=wishes.sandbox)
        asked = ReadSpecification(app, change.commit, branch=change.branch, only=only)
        read = await pipeline.read_specification(Order(asked, app_object(app), "list", 0))
        if not isinstance(read, SpecificationRead):
            assert isinstance(read, SpecificationRefused)
            raise TrimtabError(*read.problems)
        steps = in_order(read.specification.steps)
        look = _Look(ports, pipeline.steps, app, change.commit, steps, read.left_out)
        return tuple([await look.at(step, fresh=wishes.fresh) for step in steps])
    finally:
        await ports.close()


@dataclass(slots=True)
class _Look:
    ports: LocalPorts
    steps: Steps
    app: str
    commit: str
    all: Sequence[StepSpec]
    left_out: Mapping[str, str]
    known: dict[str, StepResult] = field(default_factory=dict)
    _earlier: list[RunState] | None = None

    async def at(self, step: StepSpec, *, fresh: bool) -> Listed:
        if why := self.left_out.get(step.name):
            return Listed(step.name, "left_out", why)
        if fresh:
            return Listed(step.name, "waiting", "asked for afresh")
        if not step.cached:
            return Listed(step.name, "waiting", why_never(step))
        runs = [need for need in step.needs if need not in self.left_out and need not in self.known]
        if runs:
            return Listed(step.name, "waiting", f"needs {' and '.join(runs)}, which {_verb(runs)} first")
        layers = self._layers(step.name)
        try:
            result = await self.steps.known(self.app, self.commit, step, layers, _SCOPES)
            if result is None:
                return Listed(step.name, "waiting", await self._what_changed(step, layers))
        except TrimtabError as error:
            return Listed(step.name, "waiting", f"it would fail: {error.problem}")
        self.known[step.name] = result
        if not result.process:
            return Listed(step.name, "cached", "all its documents are known")
        return Listed(step.name, "cached", f"as in run {result.process.split('/')[2]}")

    def _layers(self, name: str) -> tuple[Digest, ...]:
        return layers_of(self.known[need].outputs for need in needed_by(self.all, name) if need in self.known)

    async def _what_changed(self, step: StepSpec, layers: tuple[Digest, ...]) -> str:
        if step.for_each is not None:
            todo = await self.steps.to_build(self.app, self.commit, step, layers, _SCOPES)
            if todo.taken:
                new = _named([document.path for document in todo.build])
                return f"{len(todo.build):,} of {count(todo.count.all, 'document')} to build: {new}"
        earlier = next((run for run in self._runs() if _passed(run, step.name)), None)
        if earlier is None:
            return "it has not passed here yet"
        assert earlier.specification is not None
        assert earlier.change is not None
        before = next(spec for spec in earlier.specification.steps if spec.name == step.name)
        said = list(_settings_changed(before, step))
        changed = await self.ports.source.changed(self.app, earlier.change.commit, self.commit)
        if changed is None:
            said.append("its files may have changed")
        elif files := matching(changed, step.inputs) if step.inputs else changed:
            said.append(f"{_named(files)} changed")
        if not said and layers != _layers_of(earlier, step.name):
            said.append("the outputs of what it needs have changed")
        if not said:
            tools = " or ".join((*step.tools, "the system"))
            said.append(f"another version of {tools}, another environment, or it is gone from the cache")
        return f"since run {earlier.number}: {'; '.join(said)}"

    def _runs(self) -> list[RunState]:
        """The newest first."""
        if self._earlier is None:
            store = self.ports.store
            asked = store.facts(
                object_prefix=f"run/{self.app}/", kinds=("RunRequested",), newest_first=True, limit=LOOKED_BACK
            )
            numbers = [recorded.fact.run for recorded in asked if isinstance(recorded.fact, RunRequested)]
            rows = [store.get(run_object(self.app, number)) for number in numbers]
            self._earlier = [decode_state(RunState, row.state) for row in rows if row is not None and row.state]
        return self._earlier


def why_never(step: StepSpec) -> str:
    """Why nothing stands for what the step would give."""
    reasons = [
        *(("uses the network",) if step.sandbox.network else ()),
        *(("gets secrets",) if step.secrets else ()),
        *(("is not isolated",) if not step.sandbox.on else ()),
    ]
    return f"never cached: it {' and '.join(reasons)}" if reasons else "never cached: `cache: false`"


def _named(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - MOST_NAMED} more" if len(paths) > MOST_NAMED else ""
    return f"{', '.join(paths[:MOST_NAMED])}{more}"


def _verb(names: Sequence[str]) -> str:
    return "runs" if len(names) == 1 else "run"


def _passed(run: RunState, name: str) -> bool:
    return run.change is not None and name in run.steps and run.steps[name].status == "passed"


def _layers_of(run: RunState, name: str) -> tuple[Digest, ...]:
    assert run.specification is not None
    steps = in_order(run.specification.steps)
    return layers_of(run.steps[need].outputs for need in needed_by(steps, name))


def _settings_changed(before: StepSpec, now: StepSpec) -> Iterator[str]:
    if before.run != now.run:
        yield "its command changed"
    variables = sorted(name for name in {*before.env, *now.env} if before.env.get(name) != now.env.get(name))
    if variables:
        yield f"{', '.join(variables)} changed"
    for setting in ("inputs", "outputs", "tools", "secrets", "services", "sandbox"):
        if getattr(before, setting) != getattr(now, setting):
            yield f"`{setting}` changed"
