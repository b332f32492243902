"""Reads metrics in the background: one task for each metric of each rollout."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from trimtab.adapters.measurements.http_json import HttpJson
from trimtab.adapters.measurements.numbers import checked, together
from trimtab.adapters.measurements.question import Question, Role
from trimtab.adapters.measurements.sources import sources
from trimtab.adapters.measurements.totals import Totals
from trimtab.core.errors import Problem, TrimtabError, failure
from trimtab.core.model.identity import ArmId, ObjectId
from trimtab.core.model.measure import ArmMeasure, Measurement
from trimtab.core.model.specification import MetricSpec
from trimtab.ports.clock import Clock
from trimtab.ports.measurements import Watch

_log = logging.getLogger(__name__)
_ROLES: tuple[Role, ...] = ("candidate", "stable")
_ORDER = ("bad", "all", "scores")

_Reading = tuple[Mapping[ArmId, ArmMeasure], float | None]
"""Both arms' numbers, and when the newest of them was true."""


@dataclass(slots=True)
class _Metric:
    """One metric of one rollout."""

    watch: Watch
    spec: MetricSpec
    totals: Totals = field(default_factory=Totals)
    task: asyncio.Task[None] | None = None

    def is_for(self, watch: Watch, spec: MetricSpec) -> bool:
        return replace(self.watch, metrics=()) == replace(watch, metrics=()) and self.spec == spec


@dataclass(slots=True)
class _Asked:
    """How far a reading has come."""

    question: Question


class MeasurementReader:
    """The port on real sources. `variables` is what ``${NAME}`` stands for; by default our own environment."""

    def __init__(self, clock: Clock, variables: Mapping[str, str] | None = None) -> None:
        self._clock = clock
        self._variables = os.environ if variables is None else variables
        self._http = HttpJson()
        self._sources = sources(self._http)
        self._metrics: dict[tuple[ObjectId, str], _Metric] = {}
        self._ending: set[asyncio.Task[Any]] = set()
        """Tasks that were cancelled and may still have something to close."""

    async def latest(self, watch: Watch) -> Mapping[str, Measurement]:
        return {spec.name: self._watched(watch, spec).totals.measurement for spec in watch.metrics}

    async def check(self, watch: Watch) -> Mapping[str, Measurement]:
        """Metrics that are read in the background keep what is found here; no others are begun."""
        metrics = [self._known(watch, spec) or _Metric(watch, spec) for spec in watch.metrics]
        await asyncio.gather(*map(self._read, metrics))
        return {metric.spec.name: metric.totals.measurement for metric in metrics}

    def forget(self, rollout: ObjectId) -> None:
        for key in [key for key in self._metrics if key[0] == rollout]:
            self._cancel(self._metrics.pop(key).task)

    async def close(self) -> None:
        """End all reading and close what is open."""
        for rollout in {rollout for rollout, _ in self._metrics}:
            self.forget(rollout)
        while self._ending:
            await asyncio.wait(self._ending)
        await self._http.close()

    def _known(self, watch: Watch, spec: MetricSpec) -> _Metric | None:
        metric = self._metrics.get((watch.rollout, spec.name))
        return metric if metric is not None and metric.is_for(watch, spec) else None

    def _watched(self, watch: Watch, spec: MetricSpec) -> _Metric:
        """The metric, read from now on; when it is about something else than before, it begins anew."""
        metric = self._known(watch, spec)
        if metric is None:
            before = self._metrics.get((watch.rollout, spec.name))
            self._cancel(before.task if before else None)
            metric = self._metrics[watch.rollout, spec.name] = _Metric(watch, spec)
            metric.task = asyncio.create_task(self._keep_reading(metric))
        return metric

    def _cancel(self, task: asyncio.Task[Any] | None) -> None:
        """Remember the task until it has ended, and let nobody wonder how it did."""
        if task is None:
            return
        task.cancel()
        self._ending.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._ending.discard(task)
        if not task.cancelled():
            task.exception()

    async def _keep_reading(self, metric: _Metric) -> None:
        while True:
            await self._read(metric)
            await self._clock.sleep(metric.spec.source.every_s)

    async def _read(self, metric: _Metric) -> None:
        """One reading, whatever comes of it."""
        asked = _Asked(self._question(metric, "candidate", next(iter(metric.spec.source.queries), "")))
        try:
            arms, at = await self._within(metric.spec.source.timeout_s, self._read_both(metric, asked))
            problem = metric.totals.take(arms, at, self._clock.now())
            if problem is not None:
                problem = replace(problem, where=metric.spec.name)
        except TrimtabError as error:
            problem = asked.question.cleaned(error.problem)
        except Exception as error:
            # Its text is not shown: nobody has looked whether there are secrets in it.
            _log.warning("%s could not be read: %s", asked.question.where, type(error).__name__)
            message = f"reading failed with an unexpected {type(error).__name__}"
            problem = Problem("metric-failed", message, "please report this", asked.question.where)
        if problem is not None:
            metric.totals.fail(problem)

    async def _within(self, limit_s: float, work: Coroutine[None, None, _Reading]) -> _Reading:
        """Do the work, but no longer than this. What hangs is cancelled and not waited for."""
        reading = asyncio.create_task(work)
        alarm = asyncio.ensure_future(self._clock.sleep(limit_s))
        try:
            await asyncio.wait({reading, alarm}, return_when=asyncio.FIRST_COMPLETED)
            if reading.done():
                return reading.result()
        finally:
            alarm.cancel()
            self._cancel(reading)
        hint = "see that the source is well, or give it more time: `timeout`"
        raise failure("metric-timeout", f"there was no answer within {limit_s:g} s", hint)

    async def _read_both(self, metric: _Metric, asked: _Asked) -> _Reading:
        """Ask every query for both arms, `bad` before `all`, so that events in between make no bad ones too many."""
        source, now = self._sources[metric.spec.source.kind], self._clock.now()
        arms: dict[ArmId, ArmMeasure] = {}
        times: list[float] = []
        for role in _ROLES:
            parts: dict[str, ArmMeasure] = {}
            for key in sorted(metric.spec.source.queries, key=_ORDER.index):
                asked.question = self._question(metric, role, key, now)
                found = await source.find(asked.question)
                parts[key] = checked(key, found.value)
                times += [] if found.at is None else [found.at]
            arms[asked.question.arm] = together(parts)
        return arms, max(times, default=None)

    def _question(self, metric: _Metric, role: Role, key: str, now: float = 0.0) -> Question:
        arm = metric.watch.candidate if role == "candidate" else metric.watch.stable
        return Question(metric.spec, key, role, arm, metric.watch, now, self._variables)
