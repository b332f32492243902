"""What a rollout takes for evidence while shares rise, fall and get lost, and while numbers come late."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.rollout_play import NEW, OLD, Play, specification
from tests.core.test_rollout_steps import QUICK, go_on
from trimtab.core.decide.rollout.counting import (
    ARRIVAL_GRACE_S,
    Cursor,
    Parts,
    has_numbers,
    metric_ticks,
    pair_tick,
    part_of_releases_pct,
    part_of_requests_pct,
    splits,
)
from trimtab.core.model import facts as f
from trimtab.core.model.identity import BASELINE, ArmId, arm
from trimtab.core.model.measure import ArmMeasure, Measurement
from trimtab.core.model.specification import AnalysisSpec, MetricSpec, SourceSpec
from trimtab.core.model.strategy import ExperimentSpec, MirrorSpec, RolloutStep, VariantSpec
from trimtab.core.model.traffic import ArmCounts, PairCounts, Share
from trimtab.core.stats.eprocess import Counts
from trimtab.core.stats.evidence import MetricTick, PairTick, SplitTick, since
from trimtab.core.stats.histogram import Histogram, bucket_of

SHADOW_THEN_CANARY = (
    RolloutStep(0.0, 5.0, 0, mirror=MirrorSpec()),
    RolloutStep(5.0, 600.0, 0),
)
percents = st.floats(0.0, 100.0)
parts_at_a_time = st.tuples(percents, st.floats(0.5, 50.0))


def metric(kind: Literal["events", "score", "rate"], name: str = "refunds") -> MetricSpec:
    return MetricSpec(name, kind, SourceSpec("json", "http://127.0.0.1:1/", fresh_s=1e6))


def judging(*metrics: MetricSpec, split_check: bool = False) -> AnalysisSpec:
    return AnalysisSpec(latency=None, split_check=split_check, metrics=metrics)


def read(play: Play, candidate: float, stable: float, *, all_each: float = 0.0) -> None:
    """A reading that is as new as can be."""
    arms = {NEW: ArmMeasure(candidate, all_each), OLD: ArmMeasure(stable, all_each)}
    play.reading = replace(play.reading, measurements={"refunds": Measurement(arms, play.now)})


# --- shares that fall -----------------------------------------------------------------------------------------------


def test_failures_of_requests_that_began_under_a_larger_share_are_no_harm_under_a_smaller_one() -> None:
    """Copies to both arms, then 5 %: what took half a minute to fail was shared out half and half."""
    play = Play(specification=specification(*SHADOW_THEN_CANARY, analysis=judging()))
    play.begin()
    go_on(play, 1)
    for _ in range(30):
        play.obey()
        play.serve(6, 1, 96, stable_failed=1)
    assert play.phase == "observing"


def test_harm_under_a_smaller_share_is_found_all_the_same() -> None:
    play = Play(specification=specification(*SHADOW_THEN_CANARY, analysis=judging()))
    play.begin()
    go_on(play, 1)
    for _ in range(40):
        play.obey()
        play.serve(6, 1, 96)
        if play.phase == "returning":
            return
    raise AssertionError("a candidate with all the failures was not found")


@given(st.lists(parts_at_a_time, min_size=1, max_size=12))
def test_the_share_that_is_assumed_is_none_that_was_smaller_within_the_last_minute(
    held: list[tuple[float, float]],
) -> None:
    """Whatever the shares did: of all in force in the tick or up to a minute before it, the largest is assumed."""
    cursor, now = Cursor(), 1000.0
    past: list[tuple[float, float]] = []
    for pct, seconds in held:
        parts = Parts(pct, pct / 2.0)
        assumed = cursor.assumed(parts, cursor.at)
        recent = [before for before, until in past if until > cursor.at - ARRIVAL_GRACE_S]
        assert assumed.share_pct >= max([pct, *recent])
        assert assumed.of_stable_pct == pytest.approx(assumed.share_pct / 2.0)
        assert assumed.share_pct in (pct, *(before for before, _ in past))
        before, fell_at = cursor.fall(parts, now)
        past.append((pct, now))
        cursor = Cursor(now, parts.share_pct, parts.of_stable_pct, before, fell_at)
        now += seconds


@given(st.floats(1.0, 100.0), st.floats(0.0, 1.0))
def test_long_after_it_fell_the_share_is_what_it_is(larger: float, part: float) -> None:
    cursor = Cursor(1000.0, larger, larger)
    smaller = Parts(part * larger, part * larger)
    before, fell_at = cursor.fall(smaller, 1001.0)
    later = Cursor(1001.0 + ARRIVAL_GRACE_S, smaller.share_pct, smaller.of_stable_pct, before, fell_at)
    assert later.assumed(smaller, later.at - 1.0).share_pct == larger
    assert later.assumed(smaller, later.at).share_pct == smaller.share_pct


@given(st.lists(st.floats(0.0, 100.0), min_size=1, max_size=10).map(sorted))
def test_while_shares_rise_the_newest_is_assumed(rising: list[float]) -> None:
    cursor = Cursor()
    for second, pct in enumerate(rising):
        parts = Parts(pct, pct)
        assert cursor.assumed(parts, cursor.at) == parts
        before, fell_at = cursor.fall(parts, float(second))
        cursor = Cursor(float(second), pct, pct, before, fell_at)


# --- parts of the traffic -------------------------------------------------------------------------------------------


@given(percents, percents)
def test_without_other_arms_both_parts_are_the_same(candidate: float, mirrored: float) -> None:
    share = Share(candidate, mirror_pct=mirrored)
    assert part_of_releases_pct(share, NEW) == pytest.approx(part_of_requests_pct(share))


@given(st.floats(0.0, 20.0), st.integers(0, 3), percents)
def test_all_requests_have_a_release(each: float, variants: int, mirrored: float) -> None:
    others = {arm(NEW, f"v{number}"): each for number in range(variants)} | {arm(OLD, BASELINE): each}
    share = Share(each, others, mirrored)
    copies = mirrored / 100.0 * (100.0 - share.total_pct)
    candidate, stable = each * (1 + variants) + copies, 100.0 - each * (1 + variants)
    assert part_of_releases_pct(share, NEW) == pytest.approx(100.0 * candidate / (candidate + stable))


# --- numbers that come late -----------------------------------------------------------------------------------------


def test_events_from_before_the_step_do_not_prove_it_good() -> None:
    """The share rises from 5 to 50 %; most of the events that are read then happened under the smaller one."""
    steps = (RolloutStep(5.0, 4.0, 0), RolloutStep(50.0, 1.0, 0, evidence=True))
    analysis = AnalysisSpec(errors=None, latency=None, split_check=False, metrics=(metric("rate"),))
    play = Play(specification=specification(*steps, analysis=analysis, deadline_s=3600.0))
    play.begin()
    go_on(play, 0)
    read(play, 0, 0)
    go_on(play, 1)
    read(play, 10, 90)
    play.turn(50, 0, 50)
    assert play.phase == "observing"
    assert play.state.evidence.counted["refunds"].within == (0.0, 0.0, 0.0)
    assert play.state.evidence.counted["refunds"].whole.bad_stable == 90
    for second in range(1, 20):
        read(play, 10 + 10 * second, 90 + 30 * second)
        play.turn(50, 0, 50)
    assert play.phase != "observing"


def test_events_from_before_the_share_fell_are_no_harm() -> None:
    play = Play(specification=specification(*SHADOW_THEN_CANARY, analysis=judging(metric("rate"))))
    play.begin()
    go_on(play, 0)
    read(play, 0, 0)
    play.turn(50, 0, 50)
    go_on(play, 1)
    for _ in range(90):  # the source is asked seldom
        play.turn(5, 0, 95)
    read(play, 40, 40)
    play.turn(5, 0, 95)
    assert play.phase == "observing"
    assert play.state.evidence.counted["refunds"].whole.bad_candidate == 40


def late_tick(spec: MetricSpec, cursor: Cursor, now: Parts, verified_at: float) -> MetricTick:
    gained: Mapping[ArmId, ArmMeasure] = {NEW: ArmMeasure(3.0, 30.0, {70: 3}), OLD: ArmMeasure(4.0, 40.0, {70: 4})}
    ticks = metric_ticks((spec,), {spec.name: Measurement(gained, 99.0)}, cursor, (NEW, OLD), now, verified_at)
    return ticks[spec.name]


@pytest.mark.parametrize("kind", ["events", "score", "rate"])
@pytest.mark.parametrize(("read_at", "proves"), [(49.0, False), (50.0, True)])
def test_numbers_prove_something_when_all_of_them_came_in_the_step(
    kind: Literal["events", "score", "rate"], read_at: float, proves: bool
) -> None:
    cursor = Cursor(
        60.0, 10.0, 10.0, measures={"refunds": {NEW: ArmMeasure(), OLD: ArmMeasure()}}, measured_at={"refunds": read_at}
    )
    assert late_tick(metric(kind), cursor, Parts(10.0, 10.0), 50.0).proves is proves


def test_what_is_gained_is_what_came_since_the_reading_before() -> None:
    before = {NEW: ArmMeasure(1.0, 10.0, {70: 1, 50: 2}), OLD: ArmMeasure(5.0, 45.0, {70: 9})}
    cursor = Cursor(60.0, 10.0, 10.0, measures={"refunds": before})
    tick = late_tick(metric("score"), cursor, Parts(10.0, 10.0), 0.0)
    assert tick.candidate == ArmMeasure(2.0, 20.0, {70: 2})
    assert tick.stable == ArmMeasure()  # its totals went back
    assert metric_ticks((metric("events"),), {}, cursor, (NEW, OLD), Parts(), 0.0) == {}
    first = {"refunds": Measurement({NEW: ArmMeasure(9.0, 9.0), OLD: ArmMeasure(9.0, 9.0)}, 50.0)}
    assert metric_ticks((metric("events"),), first, Cursor(60.0), (NEW, OLD), Parts(), 0.0) == {}


def test_a_rates_exposure_is_the_largest_part_since_it_was_read() -> None:
    measures = {"refunds": {NEW: ArmMeasure(), OLD: ArmMeasure()}}
    cursor = Cursor(99.0, 5.0, 5.0, Parts(50.0, 50.0), 30.0, measures=measures, measured_at={"refunds": 20.0})
    assert late_tick(metric("rate"), cursor, Parts(5.0, 5.0), 0.0).candidate.all == 50.0
    fresh = replace(cursor, measured_at={"refunds": 30.0 + ARRIVAL_GRACE_S})
    tick = late_tick(metric("rate"), fresh, Parts(5.0, 6.0), 0.0)
    assert (tick.candidate.all, tick.stable.all) == (6.0, 94.0)


def test_a_rate_says_something_only_when_something_happened() -> None:
    """Its exposure never stands still, and must not cut the gateway's numbers into ticks that are too small."""
    rate, events = metric("rate"), metric("events")
    silent = MetricTick(ArmMeasure(0.0, 10.0), ArmMeasure(0.0, 90.0))
    assert not has_numbers((rate,), {"refunds": silent})
    assert has_numbers((rate,), {"refunds": MetricTick(stable=ArmMeasure(1.0, 90.0))})
    assert has_numbers((rate,), {"refunds": MetricTick(ArmMeasure(1.0, 10.0))})
    assert has_numbers((events,), {"refunds": silent})
    assert not has_numbers((events,), {})


def test_beside_a_rate_few_requests_still_wait_for_more() -> None:
    play = Play(specification=specification(RolloutStep(50.0, 600.0, 0), analysis=judging(metric("rate"))))
    play.begin()
    go_on(play, 0)
    read(play, 0, 0)
    play.turn(10, 0, 10)
    counted = play.kinds.count("EvidenceCounted")
    for _ in range(20):
        play.turn(1, 0, 1)
    assert play.kinds.count("EvidenceCounted") == counted + 2


def test_numbers_from_elsewhere_are_counted_however_few_requests_there_are() -> None:
    play = Play(specification=specification(RolloutStep(50.0, 600.0, 0), analysis=judging(metric("events"))))
    play.begin()
    go_on(play, 0)
    read(play, 0, 0, all_each=10)
    play.turn(20, 0, 20)
    read(play, 5, 0, all_each=30)
    play.turn(1, 0, 1)
    assert play.state.evidence.counted["refunds"].whole == Counts(20, 5, 20, 0)


# --- a step begins ----------------------------------------------------------------------------------------------------


def test_a_tick_that_began_before_slow_failures_can_have_been_seen_proves_nothing() -> None:
    play = Play(specification=specification(RolloutStep(50.0, 600.0, 0, evidence=True)))
    recent = Histogram({bucket_of(10_000_000): 100})
    play.counts[OLD] = replace(play.counts[OLD], recent=recent)
    play.begin()
    go_on(play, 0)
    assert play.state.settle_s == pytest.approx(10.0, rel=0.03)
    before = play.state.evidence.counted["errors"].whole.all_candidate
    play.serve(50, 0, 50, after_s=11.0)
    assert play.state.evidence.counted["errors"].step.all_candidate == 0
    assert play.state.evidence.counted["errors"].whole.all_candidate == before + 50
    play.serve(50, 0, 50)
    assert play.state.evidence.counted["errors"].step.all_candidate == 50


def test_fresh_starts_do_not_make_a_candidate_any_better() -> None:
    play = Play(specification=specification(RolloutStep(50.0, 600.0, 0, evidence=True)))
    play.begin()
    go_on(play, 0)
    for _ in range(3):
        play.obey()
        play.serve(50, 3, 50, stable_failed=2)
    lost = play.state.evidence.counted["errors"]
    assert all(log_e < 0 for log_e in lost.within)
    play.hold(0.0)
    play.obey()
    again = play.state.evidence.counted["errors"]
    assert "WeightLost" in play.kinds
    assert (again.within, again.below, again.worse) == (lost.within, lost.below, lost.worse)
    assert play.state.evidence.step_requests == 0
    for _ in range(30):
        play.turn(50, 0, 50)
    won = play.state.evidence.counted["errors"]
    assert max(won.below) > 0
    play.hold(0.0)
    again = play.state.evidence.counted["errors"]
    assert again.below == tuple(min(0.0, log_e) for log_e in won.below)


def test_a_split_that_nobody_wants_to_have_checked_is_not() -> None:
    play = Play(specification=specification(RolloutStep(50.0, 600.0, 0), analysis=judging()))
    play.begin()
    go_on(play, 0)
    begin = int(play.now // 10)
    play.counts[NEW] = replace(play.counts[NEW], arrivals=dict.fromkeys(range(begin, begin + 20), 20))
    play.counts[OLD] = replace(play.counts[OLD], arrivals=dict.fromkeys(range(begin, begin + 20), 80))
    for _ in range(90):
        play.turn(10, 0, 40)
    assert play.state.evidence.split.candidate == 0


def test_mirrored_answers_are_held_to_the_strictest_of_all_steps() -> None:
    """The evidence is one over the whole rollout."""
    limits_pct = (7.0, 2.0, 4.0)
    steps = (RolloutStep(0.0, 60.0, 0, mirror=MirrorSpec(compare="exact", acceptable_pct=pct)) for pct in limits_pct)
    play = Play(specification=specification(*steps))
    play.begin()
    go_on(play, 0)
    assert play.state.evidence.answers_limit_pct == 2.0


def test_a_lost_share_does_not_mend_a_broken_split() -> None:
    analysis = judging(split_check=True)
    play = Play(specification=specification(RolloutStep(50.0, 600.0, 0, evidence=True), analysis=analysis))
    play.begin()
    go_on(play, 0)
    begin = int(play.now // 10)
    play.counts[NEW] = replace(play.counts[NEW], arrivals=dict.fromkeys(range(begin, begin + 20), 20))
    play.counts[OLD] = replace(play.counts[OLD], arrivals=dict.fromkeys(range(begin, begin + 20), 80))
    for _ in range(90):
        play.turn(10, 0, 40)
    assert play.state.evidence.split.broken
    play.hold(0.0)
    play.turn(10, 0, 40)
    assert play.state.evidence.split.broken


def test_a_share_that_is_just_lost_does_not_make_the_split_look_broken() -> None:
    """The slots that are compared lie a minute back, when the step's share was held."""
    play = Play(specification=specification(RolloutStep(50.0, 600.0, 0), analysis=judging(split_check=True)))
    play.begin()
    go_on(play, 0)
    begin = int(play.now // 10)
    for name in (NEW, OLD):
        play.counts[name] = replace(play.counts[name], arrivals=dict.fromkeys(range(begin, begin + 20), 500))
    for _ in range(79):
        play.turn(25, 0, 25)
    share = replace(play.reading.traffic, share=Share(10.0))
    play.reading = replace(play.reading, traffic=share)
    play.serve(25, 0, 25, after_s=10.0)
    assert "WeightLost" in play.kinds
    assert play.state.evidence.split.candidate > 500
    assert not play.state.evidence.split.broken


def test_the_split_is_checked_again_after_the_meter_began_anew() -> None:
    play = Play(specification=specification(RolloutStep(50.0, 600.0, 0), analysis=judging(split_check=True)))
    play.begin()
    go_on(play, 0)
    play.turn(25, 0, 25)
    play.counts = {NEW: ArmCounts("other", 5), OLD: ArmCounts("other", 5)}
    play.turn(25, 0, 25)
    begin = int(play.now // 10)
    assert play.state.cursor.slot == begin + 1
    for name, arrived in ((NEW, 20), (OLD, 80)):
        play.counts[name] = replace(play.counts[name], arrivals=dict.fromkeys(range(begin, begin + 20), arrived))
    for _ in range(150):
        play.turn(10, 0, 40)
    assert play.state.evidence.split.broken


@given(st.integers(0, 30), st.floats(0.0, 400.0))
def test_only_slots_that_are_wholly_in_the_step_and_long_over_are_compared(first: int, now: float) -> None:
    arrivals = dict.fromkeys(range(60), 1)
    counts = {NEW: ArmCounts("e", arrivals=arrivals), OLD: ArmCounts("e", arrivals=arrivals)}
    ticks, following = splits(NEW, OLD, counts, Cursor(slot=first), Share(20.0), now)
    end = int((now - ARRIVAL_GRACE_S) // 10)
    if first == 0 or end <= first:
        assert (ticks, following) == ((), first)
    else:
        assert (ticks, following) == ((SplitTick(end - first, end - first, 0.2),), end)


def test_counts_of_another_meter_are_all_new() -> None:
    """Whatever the numbers were before."""
    came = since(ArmCounts("b", 7, 2, Histogram({5: 7})), ArmCounts("a", 5, 1, Histogram({5: 5})))
    assert (came.requests, came.errors, came.latency) == (7, 2, Histogram({5: 7}))


@pytest.mark.parametrize(
    ("now", "came"),
    [
        (PairCounts("a", 30, 7), PairTick(20, 5)),
        (PairCounts("b", 30, 7), PairTick()),  # another meter
        (PairCounts("a", 9, 2), PairTick()),  # fewer than before
        (PairCounts("a", 12, 7), PairTick()),  # more that differ than were compared
        (PairCounts("a", 30, 1), PairTick()),
    ],
)
def test_pairs_that_make_no_sense_are_no_evidence(now: PairCounts, came: PairTick) -> None:
    assert pair_tick(now, Cursor(pairs=PairCounts("a", 10, 2))) == came


# --- experiments ------------------------------------------------------------------------------------------------------

EXPERIMENT = (
    RolloutStep(20.0, 2.0, 0),
    RolloutStep(**QUICK, experiment=ExperimentSpec(10.0, (VariantSpec("short"),))),
    RolloutStep(50.0, 2.0, 0),
)


def to_experiment(play: Play) -> None:
    go_on(play, 0)
    for _ in range(10):
        if play.phase == "starting":
            break
        play.turn(20, 0, 80)
    assert (play.phase, play.state.step) == ("starting", 1)


def test_harm_is_looked_for_while_the_arms_of_an_experiment_start() -> None:
    play = Play(specification=specification(*EXPERIMENT))
    play.begin()
    to_experiment(play)
    for _ in range(5):
        play.obey()
        play.serve(20, 20, 80)
    assert play.phase == "returning"


def test_a_variant_is_no_better_for_what_came_before_its_share_was_held() -> None:
    play = Play(specification=specification(*EXPERIMENT))
    play.begin()
    to_experiment(play)
    play.ready()
    play.take_route()
    for total in range(100, 500, 100):
        for name in (arm(NEW, "short"), arm(OLD, BASELINE)):
            play.counts[name] = ArmCounts("e", requests=total)
        play.hold(5.0, {arm(NEW, "short"): 5.0, arm(OLD, BASELINE): 5.0})
        play.serve(100, 0, 700)
    assert play.phase == "shifting"
    trial = play.state.trials["short"]
    assert trial.counted["errors"].whole.all_candidate >= 300
    assert (trial.step_requests, trial.counted["errors"].step.all_candidate) == (0, 0)


def test_in_an_experiment_all_arms_are_equal_and_the_stable_release_has_no_part_in_it() -> None:
    play = Play(specification=specification(replace(EXPERIMENT[1], hold_s=600.0), analysis=judging(split_check=True)))
    play.begin()
    go_on(play, 0)
    begin = int(play.now // 10)
    slots = dict.fromkeys(range(begin, begin + 20), 100)
    play.counts[NEW] = replace(play.counts[NEW], arrivals=slots)
    for total in range(100, 10_000, 100):
        for name in (arm(OLD, BASELINE), arm(NEW, "short")):
            play.counts[name] = ArmCounts("e", requests=total, arrivals=slots)
        play.turn(100, 0, 700)
    assert play.phase == "observing"
    evidence, trial = play.state.evidence, play.state.trials["short"]
    assert evidence.exposure.share == trial.exposure.share == 0.5
    assert evidence.counted["errors"].whole.all_stable == pytest.approx(trial.counted["errors"].whole.all_stable)
    assert evidence.split.candidate == 0


def test_another_experiment_begins_with_fresh_trials() -> None:
    again = replace(EXPERIMENT[1], experiment=ExperimentSpec(5.0, (VariantSpec("short"),)))
    play = Play(specification=specification(EXPERIMENT[1], again, EXPERIMENT[2]))
    play.begin()
    go_on(play, 0)
    for total in range(100, 5000, 100):
        for name in (arm(OLD, BASELINE), arm(NEW, "short")):
            play.counts[name] = ArmCounts("e", requests=total)
        play.turn(100, 0, 700)
        if play.state.step == 1 and play.phase == "shifting":
            break
    assert (play.phase, play.state.step, play.state.trials) == ("shifting", 1, {})


def test_in_an_experiment_a_rate_is_compared_by_all_arms_of_a_release() -> None:
    """One variant more: the candidate's release has twice its share, and twice the events."""
    analysis = judging(metric("rate"))
    play = Play(specification=specification(replace(EXPERIMENT[1], hold_s=600.0), analysis=analysis))
    play.begin()
    go_on(play, 0)
    for second in range(120):
        play.counts[arm(OLD, BASELINE)] = ArmCounts("e", requests=100 * second)
        read(play, 2 * second, 8 * second)
        play.turn(100, 0, 700)
    assert play.phase == "observing"
    assert play.state.evidence.counted["refunds"].whole.bad_candidate > 200


def test_failures_are_still_found_after_a_person_promotes() -> None:
    """On the way to all traffic the candidate is compared with the stable release that still serves."""
    play = Play(specification=specification(*EXPERIMENT))
    play.begin()
    go_on(play, 0)
    play.see(f.PromoteRequested("someone"))
    assert play.phase == "promoting"
    play.serve(20, 20, 80)
    assert play.phase == "returning"
