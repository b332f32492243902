"""What every `Measurements` promises. Each check takes a fresh rig. `MEASUREMENTS_CHECKS` are for all;
`SOURCE_CHECKS` are for those that read a source that may say anything."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal, Protocol

from trimtab.core.model.identity import ArmId, ObjectId
from trimtab.core.model.measure import ArmMeasure, Measurement
from trimtab.ports.measurements import Measurements, Watch

MetricKind = Literal["events", "score", "rate"]
Told = Mapping[ArmId, ArmMeasure]

CANDIDATE: ArmId = "sha256:" + "c" * 64
STABLE: ArmId = "sha256:" + "5" * 64
ROLLOUT: ObjectId = "rollout/shop/production/1"
OTHER: ObjectId = "rollout/shop/production/2"
_MOST_WAITS = 2000
_MOST_TURNS = 20

FEW: Mapping[MetricKind, Told] = {
    "events": {CANDIDATE: ArmMeasure(1, 40), STABLE: ArmMeasure(2, 60)},
    "score": {CANDIDATE: ArmMeasure(scores={50: 1, 100: 3}), STABLE: ArmMeasure(scores={0: 1, 75: 2})},
    "rate": {CANDIDATE: ArmMeasure(2), STABLE: ArmMeasure(3)},
}
MORE: Mapping[MetricKind, Told] = {
    "events": {CANDIDATE: ArmMeasure(2, 50), STABLE: ArmMeasure(2, 90)},
    "score": {CANDIDATE: ArmMeasure(scores={50: 2, 100: 5}), STABLE: ArmMeasure(scores={0: 1, 25: 1, 75: 4})},
    "rate": {CANDIDATE: ArmMeasure(4), STABLE: ArmMeasure(3)},
}


class MeasurementsRig(Protocol):
    """Measurements to be examined, and a source that says what it is told to."""

    measurements: Measurements
    kinds: Sequence[MetricKind]
    """The kinds of metrics that the source can serve."""

    def now(self) -> float: ...

    def watch(self, kind: MetricKind, rollout: ObjectId = ROLLOUT) -> Watch:
        """One metric of this kind, named like it, for `CANDIDATE` and `STABLE`."""
        ...

    async def tell(self, kind: MetricKind, arms: Told) -> None:
        """From now on the source says this."""
        ...

    async def fail(self) -> None:
        """From now on, and until it is told something, the source gives no numbers."""
        ...

    async def turn(self) -> None:
        """Let it be time for the next reading, and wait until it has been."""
        ...

    async def wait(self) -> None:
        """Let others do something."""
        ...


MeasurementsCheck = Callable[[MeasurementsRig], Awaitable[None]]


async def eventually(
    rig: MeasurementsRig, watch: Watch, wanted: Callable[[Measurement], bool], what: str
) -> Measurement:
    """The watch's measurement once it is as wanted; an AssertionError if that takes too long."""
    measurement = Measurement()
    for _ in range(_MOST_WAITS):
        measurement = (await rig.measurements.latest(watch))[watch.metrics[0].name]
        if wanted(measurement):
            return measurement
        await rig.wait()
    raise AssertionError(f"{watch.metrics[0].name}: {what} never came: {measurement}")


async def numbers(rig: MeasurementsRig, watch: Watch, arms: Told) -> Measurement:
    """The measurement once it has these totals and no problem."""
    return await eventually(rig, watch, lambda it: same(it.arms, arms) and it.problem is None, str(arms))


async def trouble(rig: MeasurementsRig, watch: Watch) -> Measurement:
    """The measurement once it has a problem."""
    return await eventually(rig, watch, lambda it: it.problem is not None, "a problem")


def same(found: Told, wanted: Told) -> bool:
    """Whether they are the same totals; scores that nobody got may be left out."""
    return _without_zeros(found) == _without_zeros(wanted)


def _without_zeros(arms: Told) -> dict[ArmId, ArmMeasure]:
    return {
        arm: ArmMeasure(own.bad, own.all, {score: count for score, count in own.scores.items() if count})
        for arm, own in arms.items()
    }


async def check_before_the_first_reading_there_is_nothing(rig: MeasurementsRig) -> None:
    await rig.fail()
    for kind in rig.kinds:
        first = await rig.measurements.latest(rig.watch(kind))
        assert set(first) == {kind}
        assert (first[kind].arms, first[kind].as_of) == ({}, 0.0)


async def check_what_the_source_says_is_read(rig: MeasurementsRig) -> None:
    for kind in rig.kinds:
        await rig.tell(kind, FEW[kind])
        measurement = await numbers(rig, rig.watch(kind), FEW[kind])
        assert 0 < measurement.as_of <= rig.now()


async def check_newer_numbers_come(rig: MeasurementsRig) -> None:
    for kind in rig.kinds:
        watch = rig.watch(kind)
        await rig.tell(kind, FEW[kind])
        before = await numbers(rig, watch, FEW[kind])
        await rig.turn()
        await rig.tell(kind, MORE[kind])
        await rig.turn()
        after = await numbers(rig, watch, MORE[kind])
        assert before.as_of < after.as_of <= rig.now()


async def check_an_outage_keeps_the_totals_and_says_why(rig: MeasurementsRig) -> None:
    for kind in rig.kinds:
        watch = rig.watch(kind)
        await rig.tell(kind, FEW[kind])
        before = await numbers(rig, watch, FEW[kind])
        await rig.fail()
        await rig.turn()
        during = await trouble(rig, watch)
        assert (during.arms, during.as_of) == (before.arms, before.as_of)
        assert during.problem is not None
        assert during.problem.message
        await rig.tell(kind, MORE[kind])
        await rig.turn()
        await numbers(rig, watch, MORE[kind])


async def check_a_metric_can_be_read_once(rig: MeasurementsRig) -> None:
    for kind in rig.kinds:
        await rig.tell(kind, FEW[kind])
        found = (await rig.measurements.check(rig.watch(kind)))[kind]
        assert same(found.arms, FEW[kind])
        assert found.problem is None
        await rig.fail()
        assert (await rig.measurements.check(rig.watch(kind)))[kind].problem is not None


async def check_forgetting_a_rollout_touches_no_other(rig: MeasurementsRig) -> None:
    kind = rig.kinds[0]
    await rig.tell(kind, FEW[kind])
    one, other = rig.watch(kind), rig.watch(kind, OTHER)
    await numbers(rig, one, FEW[kind])
    await numbers(rig, other, FEW[kind])
    rig.measurements.forget(ROLLOUT)
    rig.measurements.forget(ROLLOUT)
    rig.measurements.forget("rollout/shop/production/99")
    await rig.tell(kind, MORE[kind])
    await rig.turn()
    await numbers(rig, other, MORE[kind])


async def check_closing_twice_is_closing(rig: MeasurementsRig) -> None:
    kind = rig.kinds[0]
    await rig.tell(kind, FEW[kind])
    await numbers(rig, rig.watch(kind), FEW[kind])
    await rig.measurements.close()
    await rig.measurements.close()


async def check_numbers_that_go_back_are_a_problem(rig: MeasurementsRig) -> None:
    for kind in rig.kinds:
        watch = rig.watch(kind)
        await rig.tell(kind, MORE[kind])
        before = await numbers(rig, watch, MORE[kind])
        await rig.tell(kind, FEW[kind])
        await rig.turn()
        during = await trouble(rig, watch)
        assert (during.arms, during.as_of) == (before.arms, before.as_of)
        assert during.problem is not None
        assert during.problem.code == "metric-went-back"
        assert kind in during.problem.where
        assert during.problem.hint
        await rig.tell(kind, MORE[kind])
        await rig.turn()
        await numbers(rig, watch, MORE[kind])


async def check_a_counter_that_began_anew_counts_on(rig: MeasurementsRig) -> None:
    """Sooner or later, without inventing anything: the totals go on from where they were."""
    kind: MetricKind = "events"
    watch = rig.watch(kind)
    zero = {CANDIDATE: ArmMeasure(), STABLE: ArmMeasure()}
    await rig.tell(kind, FEW[kind])
    await numbers(rig, watch, FEW[kind])
    await rig.tell(kind, zero)
    await rig.turn()
    await trouble(rig, watch)
    for _ in range(_MOST_TURNS):
        await rig.turn()
        if (await rig.measurements.latest(watch))[kind].problem is None:
            break
    await numbers(rig, watch, FEW[kind])
    await rig.tell(kind, {CANDIDATE: ArmMeasure(1, 10), STABLE: ArmMeasure(0, 30)})
    await rig.turn()
    await numbers(rig, watch, {CANDIDATE: ArmMeasure(2, 50), STABLE: ArmMeasure(2, 90)})


async def check_more_bad_events_than_events_are_a_problem(rig: MeasurementsRig) -> None:
    watch = rig.watch("events")
    await rig.tell("events", {CANDIDATE: ArmMeasure(1, 10), STABLE: ArmMeasure(11, 10)})
    found = await trouble(rig, watch)
    assert found.arms == {}
    assert found.problem is not None
    assert found.problem.code == "metric-number"
    assert "more bad events (11) than events (10)" in found.problem.message
    assert "stable" in found.problem.where


MEASUREMENTS_CHECKS: tuple[MeasurementsCheck, ...] = (
    check_before_the_first_reading_there_is_nothing,
    check_what_the_source_says_is_read,
    check_newer_numbers_come,
    check_an_outage_keeps_the_totals_and_says_why,
    check_a_metric_can_be_read_once,
    check_forgetting_a_rollout_touches_no_other,
    check_closing_twice_is_closing,
)
SOURCE_CHECKS: tuple[MeasurementsCheck, ...] = (
    check_numbers_that_go_back_are_a_problem,
    check_a_counter_that_began_anew_counts_on,
    check_more_bad_events_than_events_are_a_problem,
)
