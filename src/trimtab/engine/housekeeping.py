"""Removes what nobody needs any more: releases that cannot be returned to, logs of old runs, old routine facts."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

from trimtab.codec import decode_state
from trimtab.core.decide.application import AppState
from trimtab.core.decide.environment import EnvironmentState
from trimtab.core.decide.retention import RECENT, Retention, releases_to_keep
from trimtab.core.decide.rollout import RolloutState
from trimtab.core.decide.run import RunState
from trimtab.core.errors import TrimtabError, failure
from trimtab.core.model.facts import FactOfNewerVersion, ReleaseCut, RolloutRequested, RunRequested
from trimtab.core.model.identity import Digest, app_of, release_in
from trimtab.engine.pruning import Pruner
from trimtab.ports.artifacts import Artifacts
from trimtab.ports.clock import Clock
from trimtab.ports.processes import Processes
from trimtab.ports.source import Source
from trimtab.ports.step_cache import StepCache
from trimtab.ports.store import Store

EVERY_S = 600.0
_RUNS = ("starting", "running", "backing_off")
CACHE_BYTES = 20 * 1024**3
"""How large the cache of steps may be."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Housekeeper:
    """Tidies up now and then until cancelled."""

    store: Store
    artifacts: Artifacts
    processes: Processes
    source: Source
    step_cache: StepCache
    clock: Clock
    retention: Retention = field(default_factory=Retention)

    async def run(self) -> None:
        while True:
            try:
                await self.tidy()
            except TrimtabError as error:
                log.warning("could not tidy up: %s", error)
            await self.clock.sleep(EVERY_S)

    async def tidy(self) -> None:
        """Once through everything."""
        for app in await self.source.apps():
            await self._forget_old_steps(app)
            await self._forget_old_gates(app)
        await self.artifacts.collect(self.keep() | await self._in_use())
        await self.step_cache.trim(CACHE_BYTES, self._worked_on())
        gone = await Pruner(self.store, self.clock, self.retention).go()
        if gone:
            log.info("%d old routine facts were removed", gone)

    def keep(self) -> frozenset[Digest]:
        """The releases that must stay."""
        environments = [row.state for row in self.store.objects("env/")]
        rollouts = [row.state for row in self.store.objects("rollout/") if not row.ended]
        return releases_to_keep(
            [decode_state(EnvironmentState, state) for state in environments if state],
            [decode_state(RolloutState, state) for state in rollouts if state],
            [decode_state(AppState, row.state) for row in self.store.objects("app/") if row.state],
            self._recent(),
        )

    async def _in_use(self) -> frozenset[Digest]:
        """The releases in whose folders instances run. What several releases share may have been started from one
        that is long gone from its environment."""
        known = await self.processes.list("instance/")
        folders = [instance.cwd for instance in known if instance.phase in _RUNS]
        return frozenset(release for folder in folders if (release := release_in(folder)) is not None)

    def _worked_on(self) -> frozenset[Digest]:
        """The outputs that steps of runs which have not ended work on or add to, or may."""
        rows = [row.state for row in self.store.objects("run/") if row.state and not row.ended]
        steps = [step for state in rows for step in decode_state(RunState, state).steps.values()]
        trees = [step.outputs for step in steps]
        trees += [step.documents.taken for step in steps if step.documents is not None]
        return frozenset(tree for tree in trees if tree is not None)

    def _recent(self) -> set[Digest]:
        """The newest releases of each application; those of pull requests are kept only while they run. Raises
        TrimtabError when not all of them can be read."""
        newest: dict[str, list[Digest]] = {}
        for recorded in self.store.facts(kinds=("ReleaseCut",), newest_first=True, limit=10_000):
            if isinstance(recorded.fact, FactOfNewerVersion):
                raise failure("kind-unknown", "releases were cut by a newer version", "it tidies up itself")
            if isinstance(recorded.fact, ReleaseCut) and not recorded.fact.for_preview:
                mine = newest.setdefault(app_of(recorded.object), [])
                if len(mine) < RECENT:
                    mine.append(recorded.fact.release)
        return {release for mine in newest.values() for release in mine}

    async def _forget_old_steps(self, app: str) -> None:
        newest = self.store.facts(object_prefix=f"run/{app}/", kinds=("RunRequested",), newest_first=True, limit=1)
        last = newest[0].fact.run if newest and isinstance(newest[0].fact, RunRequested) else 0
        for step in await self.processes.list(f"step/{app}/"):
            old = int(step.name.split("/")[2]) <= last - RECENT
            if old and step.phase in ("exited", "lost"):
                await self.processes.forget(step.name)

    async def _forget_old_gates(self, app: str) -> None:
        for gate in await self.processes.list(f"gate/{app}/"):
            environment, number = gate.name.split("/")[2:4]
            newest = self.store.facts(
                object_prefix=f"rollout/{app}/{environment}/", kinds=("RolloutRequested",), newest_first=True, limit=1
            )
            last = newest[0].fact.number if newest and isinstance(newest[0].fact, RolloutRequested) else 0
            if int(number) <= last - RECENT and gate.phase in ("exited", "lost"):
                await self.processes.forget(gate.name)
