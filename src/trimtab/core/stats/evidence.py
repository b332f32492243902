"""What a rollout has counted so far: ticks of both arms in, evidence out. `verdict` reads it.

Rollback uses every tick in which the candidate had traffic, over the whole rollout; promotion only ticks of the current
step in which slow failures can have been seen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from trimtab.core.model.measure import ArmMeasure
from trimtab.core.model.specification import AnalysisSpec
from trimtab.core.model.traffic import ArmCounts, UserCounts
from trimtab.core.stats import split
from trimtab.core.stats.counted import Counted, CountTest
from trimtab.core.stats.eprocess import NOTHING, Counts
from trimtab.core.stats.histogram import Histogram
from trimtab.core.stats.latency import quantile_name, slow_requests, slow_users, threshold
from trimtab.core.stats.rule import ANSWERS, ERRORS, rule
from trimtab.core.stats.scores import Scored
from trimtab.core.stats.split import Split

STRATUM_REQUESTS = 20
"""Fewer requests than this are not a tick of their own: with realised shares a tick of one request says nothing."""


@dataclass(frozen=True, slots=True)
class Arm:
    """What one arm did in one tick."""

    requests: int = 0
    errors: int = 0
    latency: Histogram = field(default_factory=Histogram)
    users: UserCounts = field(default_factory=UserCounts)


@dataclass(frozen=True, slots=True)
class MetricTick:
    """What a metric of one's own gained on both arms."""

    candidate: ArmMeasure = field(default_factory=ArmMeasure)
    stable: ArmMeasure = field(default_factory=ArmMeasure)
    proves: bool = True
    """Whether all of it came in the step: else it proves nothing good."""


@dataclass(frozen=True, slots=True)
class SplitTick:
    """Arrivals on both arms, and the share of them (0 to 1) that the candidate should have got."""

    candidate: int
    stable: int
    expected: float


@dataclass(frozen=True, slots=True)
class PairTick:
    """Mirrored requests whose answers were compared."""

    compared: int = 0
    different: int = 0


@dataclass(frozen=True, slots=True)
class Tick:
    """What came since the last one."""

    candidate: Arm = field(default_factory=Arm)
    stable: Arm = field(default_factory=Arm)
    metrics: Mapping[str, MetricTick] = field(default_factory=dict)
    splits: tuple[SplitTick, ...] = ()
    pairs: PairTick = field(default_factory=PairTick)
    share: float | None = None
    """The candidate's part of the requests by assignment (0 to 1); None: only the realised one is known."""
    in_step: bool = True
    """Whether the data plane holds the step's share."""
    settled: bool = True
    """Whether it has for long enough to have seen slow failures: only then is a tick proof of anything good."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """What both arms were exposed to since `share` is what it is."""

    share: float = 0.0
    candidate: float = 0.0
    stable: float = 0.0

    def plus(self, share: float, tick: Counts) -> Exposure:
        before = self if self.share == share else Exposure()
        return Exposure(share, before.candidate + tick.all_candidate, before.stable + tick.all_stable)

    @property
    def careful_share(self) -> float:
        """The larger of the share by assignment and the realised one. The larger a share is assumed to be, the less is
        a bad event on the candidate worth; so a gateway that gives it more than it says makes no false alarm."""
        every = self.candidate + self.stable
        return max(self.share, self.candidate / every if every else 0.0)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything counted so far."""

    counted: Mapping[str, Counted] = field(default_factory=dict)
    scored: Mapping[str, Scored] = field(default_factory=dict)
    split: Split = field(default_factory=Split)
    exposure: Exposure = field(default_factory=Exposure)
    learning: Histogram = field(default_factory=Histogram)
    """The stable release's latency until all thresholds are fixed."""
    answers_limit_pct: float | None = None
    """How many mirrored answers may differ; None when the rollout compares none."""
    comparing: bool = False
    """Whether the current step compares mirrored answers: only then must they be proven alike."""
    step_requests: int = 0
    """Candidate requests counted in the current step."""
    begun: bool = False

    @property
    def has_metrics(self) -> bool:
        return bool(self.counted or self.scored)


def begin(spec: AnalysisSpec, history: Histogram, answers_limit_pct: float | None = None) -> Evidence:
    """Evidence before the first request. `history` is the stable release's recent latency (may be empty)."""
    tests = rule(spec, answers_limit_pct)
    fresh = Evidence(
        {name: test.begin() for name, test in tests.counts.items()},
        {name: test.begin() for name, test in tests.scores.items()},
        learning=history,
        answers_limit_pct=answers_limit_pct,
        begun=True,
    )
    return _fix_thresholds(spec, fresh)


def enter_step(spec: AnalysisSpec, evidence: Evidence, *, comparing: bool = False) -> Evidence:
    """No step passes on evidence from another step: promotion starts from nothing, rollback keeps what it knows."""
    tests = rule(spec, evidence.answers_limit_pct)
    return replace(
        evidence,
        counted={name: tests.counts[name].enter_step(counted) for name, counted in evidence.counted.items()},
        scored={name: tests.scores[name].enter_step(scored) for name, scored in evidence.scored.items()},
        split=Split(),
        comparing=comparing,
        step_requests=0,
    )


def begin_again(spec: AnalysisSpec, evidence: Evidence) -> Evidence:
    """The same step from its beginning: what was proven is not any more. Doubts about the split stay."""
    tests = rule(spec, evidence.answers_limit_pct)
    return replace(
        evidence,
        counted={name: tests.counts[name].begin_again(counted) for name, counted in evidence.counted.items()},
        scored={name: tests.scores[name].begin_again(scored) for name, scored in evidence.scored.items()},
        step_requests=0,
    )


def observe(spec: AnalysisSpec, evidence: Evidence, tick: Tick) -> Evidence:
    """The evidence after one tick."""
    tests = rule(spec, evidence.answers_limit_pct)
    exposure = evidence.exposure.plus(tick.share or 0.0, _of_gateway(spec, Counted(), tick))
    share = None if tick.share is None else exposure.careful_share
    counted = {
        name: _count(spec, tests.counts[name], name, before, tick, share) for name, before in evidence.counted.items()
    }
    scored = {
        name: tests.scores[name].count(before, own.candidate.scores, own.stable.scores, tick.settled and own.proves)
        for name, before in evidence.scored.items()
        for own in (tick.metrics.get(name, MetricTick()),)
    }
    # The tick that completes the learning is not judged by the thresholds it set: they must come before the data.
    learning = evidence.learning if _learnt(spec, evidence) else evidence.learning.plus(tick.stable.latency)
    seen = replace(
        evidence,
        counted=counted,
        scored=scored,
        split=split.update(evidence.split, tick.splits),
        exposure=exposure,
        learning=learning,
        step_requests=evidence.step_requests + (tick.candidate.requests if tick.in_step else 0),
    )
    return _fix_thresholds(spec, seen)


def since(now: ArmCounts, then: ArmCounts) -> Arm:
    """What came between two readings of cumulative counts; never negative."""
    if now.epoch != then.epoch:
        then = ArmCounts(now.epoch)
    users, before = now.users, then.users
    return Arm(
        max(0, now.requests - then.requests),
        max(0, now.errors - then.errors),
        now.latency.minus(then.latency),
        UserCounts(
            max(0, users.exposed - before.exposed),
            max(0, users.failed - before.failed),
            users.exposed_by_slowest.minus(before.exposed_by_slowest),
            users.slowest_before.minus(before.slowest_before),
            users.slowest_after.minus(before.slowest_after),
        ),
    )


def learning_metrics(spec: AnalysisSpec, evidence: Evidence) -> tuple[str, ...]:
    """The quantiles of latency whose threshold is not known yet."""
    quantiles = spec.latency.quantiles if spec.latency is not None else ()
    names = [quantile_name(quantile) for quantile in quantiles]
    return tuple(name for name in names if name in evidence.counted and evidence.counted[name].threshold is None)


def _count(spec: AnalysisSpec, test: CountTest, name: str, before: Counted, tick: Tick, share: float | None) -> Counted:
    if name == ANSWERS:
        bad = Counts(tick.pairs.compared, tick.pairs.different)
        return _counted(test, before, bad, None, tick.settled)
    if any(own.name == name for own in spec.metrics):
        own = tick.metrics.get(name, MetricTick())
        return _count_own(test, before, own, tick.settled and own.proves)
    if name != ERRORS and before.threshold is None:
        return before
    return _counted(test, before, _of_gateway(spec, before, tick), share, tick.settled)


def _counted(test: CountTest, before: Counted, tick: Counts, share: float | None, settled: bool) -> Counted:
    after = test.count(before, tick, share)
    return test.count_for_step(after, tick) if settled else after


def _count_own(test: CountTest, before: Counted, own: MetricTick, settled: bool) -> Counted:
    """Numbers from elsewhere come in any size: they are gathered until they make a tick with both arms in it. When
    that is depends on the exposures alone, so what is bad among them stays unforeseen."""
    came = Counts(own.candidate.all, own.candidate.bad, own.stable.all, own.stable.bad)
    tick, proves = before.waiting.plus(came), before.waiting_proves and (settled or came == NOTHING)
    enough = tick.all_candidate + tick.all_stable >= STRATUM_REQUESTS
    if not enough or not tick.all_candidate or not tick.all_stable:
        return replace(before, waiting=tick, waiting_proves=proves)
    return replace(_counted(test, before, tick, None, proves), waiting=NOTHING, waiting_proves=True)


def _of_gateway(spec: AnalysisSpec, before: Counted, tick: Tick) -> Counts:
    """Exposures and bad events of a metric of the gateway: of requests, or of users."""
    candidate, stable, by_user = tick.candidate, tick.stable, spec.unit == "user"
    if before.threshold is not None:
        if by_user:
            return slow_users(before.threshold, candidate.users, stable.users)
        return slow_requests(before.threshold, candidate.latency, stable.latency)
    if by_user:
        return Counts(candidate.users.exposed, candidate.users.failed, stable.users.exposed, stable.users.failed)
    return Counts(candidate.requests, candidate.errors, stable.requests, stable.errors)


def _learnt(spec: AnalysisSpec, evidence: Evidence) -> bool:
    return not learning_metrics(spec, evidence)


def _fix_thresholds(spec: AnalysisSpec, evidence: Evidence) -> Evidence:
    if spec.latency is None or _learnt(spec, evidence):
        return evidence
    counted = dict(evidence.counted)
    for quantile in spec.latency.quantiles:
        name = quantile_name(quantile)
        if counted[name].threshold is None:
            limits = threshold(spec.latency, evidence.learning, quantile)
            counted[name] = replace(counted[name], threshold=limits)
    learnt = replace(evidence, counted=counted)
    return replace(learnt, learning=Histogram()) if _learnt(spec, learnt) else learnt
