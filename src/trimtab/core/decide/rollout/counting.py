"""From cumulative readings to ticks of evidence: what came since the cursor, under the share that was in force.

Readings are level-triggered: losing one costs time and no evidence. What cannot be trusted is left out: counts of a
meter that began anew, numbers that are too old.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from trimtab.core.model.identity import ArmId, release_of
from trimtab.core.model.measure import ArmMeasure, Measurement
from trimtab.core.model.specification import MetricSpec
from trimtab.core.model.traffic import ARRIVAL_SLOT_S, ArmCounts, PairCounts, Share
from trimtab.core.stats.evidence import Arm, MetricTick, PairTick, SplitTick, since
from trimtab.core.stats.histogram import Histogram

ARRIVAL_GRACE_S = 60.0
"""Requests are counted when they end. After this long nearly all that began have; those that hang show as a share that
is too small."""


@dataclass(frozen=True, slots=True)
class Parts:
    """The candidate's part of the requests, in per cent: by arm and by release, as in `Cursor`."""

    share_pct: float = 0.0
    of_stable_pct: float = 0.0

    def larger(self, other: Parts) -> Parts:
        return Parts(max(self.share_pct, other.share_pct), max(self.of_stable_pct, other.of_stable_pct))


@dataclass(frozen=True, slots=True)
class Cursor:
    """Up to where evidence was taken."""

    at: float = 0.0
    """When the last tick was taken (seconds since the epoch)."""
    share_pct: float = 0.0
    """The candidate's part of its requests and the stable arm's that was in force then."""
    of_stable_pct: float = 0.0
    """The same of all requests by release: numbers from elsewhere know no arms."""
    before: Parts = field(default_factory=Parts)
    """The larger parts before they fell: of what began then, some may end only now."""
    fell_at: float = 0.0
    counts: Mapping[ArmId, ArmCounts] = field(default_factory=dict)
    pairs: PairCounts = field(default_factory=PairCounts)
    measures: Mapping[str, Mapping[ArmId, ArmMeasure]] = field(default_factory=dict)
    measured_at: Mapping[str, float] = field(default_factory=dict)
    """How far the numbers in `measures` went: what is gained on them came after."""
    slot: int = 0
    """The first slot of arrivals that was not compared with the share yet; 0: none is being compared."""

    @property
    def parts(self) -> Parts:
        return Parts(self.share_pct, self.of_stable_pct)

    def assumed(self, now: Parts, since: float) -> Parts:
        """The largest parts that may have been in force when what came after `since` began. The larger they are, the
        less is a bad event on the candidate worth: that can only hide harm for a while, never invent it."""
        parts = self.parts.larger(now)
        return parts.larger(self.before) if since < self.fell_at + ARRIVAL_GRACE_S else parts

    def fall(self, now: Parts, at: float) -> tuple[Parts, float]:
        """`before` and `fell_at` of the next cursor."""
        if now.larger(self.parts) == now:
            return self.before, self.fell_at
        return self.assumed(now, self.at), at


def kept(counts: Mapping[ArmId, ArmCounts], arms: Sequence[ArmId]) -> Mapping[ArmId, ArmCounts]:
    """The arms' counts as they are kept in the state: without what only the moment needs."""
    return {arm: replace(counts[arm], recent=Histogram(), arrivals={}) for arm in arms if arm in counts}


def began_anew(counts: Mapping[ArmId, ArmCounts], cursor: Cursor) -> bool:
    """Whether the meter lost its counts (a restarted controller): what it missed in between is not evidence."""
    return bool(counts and cursor.counts) and _epoch(counts) != _epoch(cursor.counts)


def _epoch(counts: Mapping[ArmId, ArmCounts]) -> str:
    return next(iter(counts.values())).epoch


def arm_tick(arm: ArmId, counts: Mapping[ArmId, ArmCounts], cursor: Cursor) -> Arm:
    """What the arm did since the cursor."""
    return since(counts.get(arm, ArmCounts()), cursor.counts.get(arm, ArmCounts()))


def part_of_requests_pct(share: Share) -> float:
    """The candidate's part of all requests of candidate and stable, its mirrored ones included, in per cent.

    With weight w and a mirrored part m of the stable arm's 1 - w, the candidate has w + m (1 - w) of
    1 + m (1 - w) requests. Other arms have no part in this.
    """
    stable = max(0.0, 100.0 - share.total_pct) / 100.0
    copies = share.mirror_pct / 100.0 * stable
    both = share.candidate_pct / 100.0 + stable + copies
    return 100.0 * (share.candidate_pct / 100.0 + copies) / both if both > 0 else 0.0


def part_of_releases_pct(share: Share, release: str) -> float:
    """The candidate's part of all requests that are shared out, in per cent, with those of all arms of its release."""
    others = sum(pct for arm, pct in share.others_pct.items() if release_of(arm) == release)
    copies = share.mirror_pct / 100.0 * max(0.0, 100.0 - share.total_pct)
    return 100.0 * (share.candidate_pct + others + copies) / (100.0 + copies)


def splits(
    candidate: ArmId, stable: ArmId, counts: Mapping[ArmId, ArmCounts], cursor: Cursor, share: Share, now: float
) -> tuple[tuple[SplitTick, ...], int]:
    """Slots of arrivals that are complete by now, and the first slot that is not."""
    end = int((now - ARRIVAL_GRACE_S) // ARRIVAL_SLOT_S)
    both = share.candidate_pct + max(0.0, 100.0 - share.total_pct)
    if cursor.slot == 0 or end <= cursor.slot or not 0 < share.candidate_pct < both:
        return (), cursor.slot
    expected = share.candidate_pct / both
    arrived = [_arrivals(counts.get(arm), cursor.slot, end) for arm in (candidate, stable)]
    return ((SplitTick(arrived[0], arrived[1], expected),) if any(arrived) else ()), end


def _arrivals(counts: ArmCounts | None, begin: int, end: int) -> int:
    arrivals = counts.arrivals if counts else {}
    return sum(number for slot, number in arrivals.items() if begin <= slot < end)


def first_whole_slot(now: float) -> int:
    """The first slot that lies wholly after now."""
    return int(now // ARRIVAL_SLOT_S) + 1


def pair_tick(pairs: PairCounts, cursor: Cursor) -> PairTick:
    if pairs.epoch != cursor.pairs.epoch:
        return PairTick()
    compared, different = pairs.compared - cursor.pairs.compared, pairs.different - cursor.pairs.different
    return PairTick(compared, different) if 0 <= different <= compared else PairTick()


def metric_ticks(
    specs: Sequence[MetricSpec],
    measurements: Mapping[str, Measurement],
    cursor: Cursor,
    arms: tuple[ArmId, ArmId],
    parts: Parts,
    verified_at: float,
) -> Mapping[str, MetricTick]:
    """What the metrics of one's own gained on both arms (candidate, stable).

    The first reading of a metric only sets its beginning. A rate's exposure is the arms' part of the traffic. Numbers
    come late: what was gained since a reading from before `verified_at` did not all come in the step.
    """
    ticks: dict[str, MetricTick] = {}
    for spec in specs:
        measured, before = measurements.get(spec.name, Measurement()).arms, cursor.measures.get(spec.name, {})
        if not all(arm in measured and arm in before for arm in arms):
            continue
        candidate, stable = (_gain(measured[arm], before[arm]) for arm in arms)
        since = cursor.measured_at.get(spec.name, 0.0)
        if spec.kind == "rate":
            part_pct = cursor.assumed(parts, since).of_stable_pct
            candidate, stable = replace(candidate, all=part_pct), replace(stable, all=100.0 - part_pct)
        ticks[spec.name] = MetricTick(candidate, stable, proves=since >= verified_at)
    return ticks


def has_numbers(specs: Sequence[MetricSpec], ticks: Mapping[str, MetricTick]) -> bool:
    """Whether any metric gained something: of a rate that is events, since its exposure never stands still."""
    return any(_says_something(spec, ticks[spec.name]) for spec in specs if spec.name in ticks)


def _says_something(spec: MetricSpec, tick: MetricTick) -> bool:
    if spec.kind == "rate":
        return bool(tick.candidate.bad or tick.stable.bad)
    return bool(tick.candidate.all or tick.candidate.bad or tick.candidate.scores)


def _gain(now: ArmMeasure, then: ArmMeasure) -> ArmMeasure:
    scores = {score: n for score, total in now.scores.items() if (n := total - then.scores.get(score, 0)) > 0}
    return ArmMeasure(max(0.0, now.bad - then.bad), max(0.0, now.all - then.all), scores)


def measures(measurements: Mapping[str, Measurement], cursor: Cursor) -> Mapping[str, Mapping[ArmId, ArmMeasure]]:
    """The totals that the next tick is counted from."""
    return {**cursor.measures, **{name: dict(m.arms) for name, m in measurements.items() if m.arms}}


def measured_at(measurements: Mapping[str, Measurement], cursor: Cursor) -> Mapping[str, float]:
    """How far they go."""
    return {**cursor.measured_at, **{name: m.as_of for name, m in measurements.items() if m.arms}}


def too_old(specs: Sequence[MetricSpec], measurements: Mapping[str, Measurement], now: float) -> Mapping[str, str]:
    """The metrics whose numbers are no evidence now, each with the reason."""
    found: dict[str, str] = {}
    for spec in specs:
        measurement = measurements.get(spec.name, Measurement())
        if now - measurement.as_of <= spec.source.fresh_s:
            continue
        age = f"its newest number is {now - measurement.as_of:.0f} s old" if measurement.as_of else "it was never read"
        why = f": {measurement.problem.message}" if measurement.problem else ""
        found[spec.name] = f"{age}, the limit is {spec.source.fresh_s:g} s{why}"
    return found
