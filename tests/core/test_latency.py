"""Slow requests and slow users: counted as if each was looked at, by thresholds that come before what they judge."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.core.games import counts_tick
from trimtab.adapters.envoy.users import ArmUsers, Users
from trimtab.core.model.specification import AnalysisSpec, LatencySpec
from trimtab.core.model.traffic import ArmCounts, UserCounts
from trimtab.core.stats.eprocess import Counts, LogWealth, worse_than_stable
from trimtab.core.stats.evidence import Arm, Evidence, Tick, begin, enter_step, learning_metrics, observe, since
from trimtab.core.stats.histogram import GROWTH, Histogram, bucket_of, lower_edge_us
from trimtab.core.stats.latency import Threshold, quantile_name, slow_requests, slow_users, threshold
from trimtab.core.stats.verdict import judge

durations_ms = st.lists(st.floats(0.001, 20_000), max_size=60)
quantiles = st.sampled_from([0.5, 0.9, 0.95, 0.99])
BILLION = 10**9


def histogram(durations: Sequence[float]) -> Histogram:
    counts: dict[int, int] = {}
    for duration in durations:
        bucket = bucket_of(duration * 1000)
        counts[bucket] = counts.get(bucket, 0) + 1
    return Histogram(counts)


# --- thresholds ----------------------------------------------------------------------------------------------------


@given(durations_ms, durations_ms, st.integers(1, 900), st.integers(0, 100))
def test_slow_requests_are_counted_exactly(
    candidate: list[float], stable: list[float], bucket: int, further: int
) -> None:
    limits = Threshold(bucket, bucket + further)
    mine, theirs = ([bucket_of(duration * 1000) for duration in arm] for arm in (candidate, stable))
    assert slow_requests(limits, histogram(candidate), histogram(stable)) == Counts(
        len(candidate),
        sum(found >= bucket + further for found in mine),
        len(stable),
        sum(found >= bucket for found in theirs),
    )


@given(st.integers(0, 10**6), quantiles, st.floats(0, 100), st.floats(0, 50))
@settings(max_examples=40)
def test_a_threshold_leaves_the_right_part_above_it_and_forgives_the_candidate_more(
    seed: int, quantile: float, tolerance_pct: float, floor_ms: float
) -> None:
    chance = random.Random(seed)
    history = [chance.lognormvariate(3.0, chance.choice((0.1, 1.0, 3.0))) for _ in range(1001)]
    spec = LatencySpec(tolerance_pct=tolerance_pct, floor_ms=floor_ms)
    limits = threshold(spec, histogram(history), quantile)
    assert limits is not None
    slow = sum(duration >= limits.stable_ms * (1 + 1e-9) for duration in history)
    assert slow <= (1.0 - quantile) * len(history) + 1e-6
    # One bucket lower it would be too many.
    lower = lower_edge_us(limits.stable - 1) / 1000.0
    assert sum(duration >= lower * (1 - 1e-9) for duration in history) > (1.0 - quantile) * len(history) - 1e-6
    assert limits.candidate_ms >= limits.stable_ms * (1.0 + tolerance_pct / 100.0) * (1 - 1e-9)
    assert limits.candidate_ms >= (limits.stable_ms + floor_ms) * (1 - 1e-9)
    wanted = max(limits.stable_ms * (1.0 + tolerance_pct / 100.0), limits.stable_ms + floor_ms)
    assert limits.candidate_ms <= wanted * GROWTH * (1 + 1e-9)


@pytest.mark.parametrize(("quantile", "least"), [(0.5, 100), (0.95, 200), (0.99, 1000), (0.999, 10_000)])
def test_a_threshold_needs_a_history_that_reaches_so_far(quantile: float, least: int) -> None:
    spec = LatencySpec()
    least += quantile == 0.95  # 10 / (1 - 0.95) is a hair above 200
    assert threshold(spec, Histogram({100: least - 2}), quantile) is None
    assert threshold(spec, Histogram({100: least + 1}), quantile) is not None


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_what_is_learnt_from_a_tick_does_not_judge_it(candidate_ms: int, stable_ms: int) -> None:
    """Nor do thresholds that are fixed ever change by what comes later."""
    spec = AnalysisSpec(errors=None)
    quick = histogram([20.0] * 90)
    evidence = begin(spec, quick)
    assert learning_metrics(spec, evidence) == ("latency p50", "latency p95")
    arms = histogram([candidate_ms] * 50), histogram([stable_ms] * 150)
    evidence = observe(spec, evidence, Tick(Arm(50, 0, arms[0]), Arm(150, 0, arms[1])))
    assert learning_metrics(spec, evidence) == ()
    assert all(counted.whole == Counts() for counted in evidence.counted.values())
    limits = [counted.threshold for counted in evidence.counted.values()]
    assert limits == [threshold(LatencySpec(), quick.plus(arms[1]), quantile) for quantile in (0.5, 0.95)]
    later = observe(spec, evidence, Tick(Arm(50, 0, arms[1]), Arm(50, 0, arms[0])))
    assert [counted.threshold for counted in later.counted.values()] == limits
    assert all(counted.whole.all_candidate == 150 for counted in later.counted.values())
    assert later.learning == Histogram()


def test_a_lower_quantile_is_judged_while_a_higher_one_is_still_learnt() -> None:
    spec = AnalysisSpec(errors=None, latency=LatencySpec(quantiles=(0.5, 0.99)))
    evidence = begin(spec, histogram([20.0] * 150))
    evidence = observe(spec, evidence, Tick(Arm(50, 0, histogram([500.0] * 50)), Arm(50, 0, histogram([20.0] * 50))))
    assert evidence.counted["latency p50"].whole == Counts(50, 50, 50, 0)
    assert evidence.counted["latency p99"].whole == Counts()
    assert evidence.learning.total == 200
    assert judge(spec, evidence).verdict == "FAIL"
    fixed = evidence.counted["latency p50"].threshold
    for _ in range(30):
        evidence = observe(
            spec, evidence, Tick(Arm(50, 0, histogram([900.0] * 50)), Arm(50, 0, histogram([900.0] * 50)))
        )
    assert learning_metrics(spec, evidence) == ()
    assert evidence.counted["latency p50"].threshold == fixed


def test_thresholds_stay_from_step_to_step() -> None:
    spec = AnalysisSpec(errors=None)
    evidence = begin(spec, histogram([20.0] * 500))
    fixed = {name: counted.threshold for name, counted in evidence.counted.items()}
    assert {name: counted.threshold for name, counted in enter_step(spec, evidence).counted.items()} == fixed


@pytest.mark.parametrize("quantile", [0.5, 0.95, 0.99])
def test_learnt_thresholds_raise_no_more_false_alarms_than_any(quantile: float) -> None:
    """Latencies that differ from rollout to rollout, the threshold from the first 1,000, and 150 looks."""
    test, alarms = worse_than_stable(), 0
    name = quantile_name(quantile)
    spec = AnalysisSpec(errors=None, latency=LatencySpec(quantiles=(quantile,), tolerance_pct=0.0, floor_ms=0.0))
    for seed in range(60):
        chance = random.Random(seed)
        spread = chance.uniform(0.1, 1.5)

        def drawn(number: int, chance: random.Random = chance, spread: float = spread) -> Histogram:
            return histogram([30 * chance.lognormvariate(0, spread) for _ in range(number)])

        limits = begin(spec, drawn(1000)).counted[name].threshold
        assert limits is not None
        wealth = test.start()
        for _ in range(150):
            wealth = test.update(wealth, slow_requests(limits, drawn(6), drawn(24)), 0.2)
            if test.log_e(wealth) >= math.log(20):
                alarms += 1
                break
    # At 5 % three are expected; nine or more come by chance in one of 250 runs.
    assert alarms < 9


@pytest.mark.parametrize("bad", [0, BILLION // 2, BILLION])
def test_no_overflow_at_a_billion_requests_or_users(bad: int) -> None:
    spec = AnalysisSpec(unit="user")
    slow = Histogram({0: BILLION - bad, 900: bad})
    users = UserCounts(BILLION, bad, Histogram({0: BILLION}), Histogram({0: bad}), slow)
    for unit in (spec, AnalysisSpec()):
        evidence = begin(unit, histogram([20.0] * 1000))
        for _ in range(3):
            evidence = observe(unit, evidence, Tick(Arm(BILLION, bad, slow, users), Arm(BILLION, 0, slow, users)))
        judged = judge(unit, evidence)
        assert math.isfinite(judged.rollback_log_e)
        assert all(math.isfinite(log_e) for log_e in judged.promote_log_e.values())


# --- histograms -----------------------------------------------------------------------------------------------------

buckets = st.dictionaries(st.integers(0, 900), st.integers(1, 10**9), max_size=8).map(Histogram)


@given(buckets, buckets)
def test_what_is_added_can_be_taken_away_again(one: Histogram, other: Histogram) -> None:
    assert one.plus(other).minus(one) == other
    assert one.plus(other).total == one.total + other.total
    assert one.minus(one.plus(other)) == Histogram()


@given(buckets, st.integers(0, 900), st.integers(0, 50))
def test_the_higher_the_threshold_the_fewer_are_beyond_it(counts: Histogram, bucket: int, further: int) -> None:
    assert 0 <= counts.at_or_above(bucket + further) <= counts.at_or_above(bucket) <= counts.total
    assert counts.at_or_above(0) == counts.total


def test_a_quantile_that_falls_between_two_buckets_is_the_lower_ones_end() -> None:
    half = Histogram({10: 50, 20: 50})
    assert (half.quantile_bucket(0.5), half.quantile_bucket(0.51), half.quantile_bucket(1.0)) == (11, 21, 21)


@given(buckets, st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_quantiles_are_in_order(counts: Histogram, one: float, other: float) -> None:
    low, high = (counts.quantile_bucket(quantile) for quantile in sorted((one, other)))
    if low is None or high is None:
        assert counts.total == 0
        assert counts.quantile_ms(one) is None
    else:
        assert low <= high


# --- users ------------------------------------------------------------------------------------------------------------

seen = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 4), st.integers(0, 3), st.integers(0, 5), st.booleans()), max_size=40
)
"""Requests that ended: arm, user, how many seconds after the one before, bucket, whether it failed."""


@given(seen, st.integers(1, 5), st.sets(st.integers(0, 40)))
def test_users_are_counted_as_if_each_was_followed(
    requests: list[tuple[int, int, int, int, bool]], bucket: int, looks: set[int]
) -> None:
    """From cumulative readings at any moments: the exposures and the first bad events that lie between them."""
    users, arms = Users(), (ArmUsers(), ArmUsers())
    failed: set[int] = set()
    slow: set[int] = set()
    at: dict[int, int] = {}
    exposed, fails, exposed_to_slow, slows = ([0, 0] for _ in range(4))
    readings = [ArmCounts("e", users=UserCounts())] * 2
    total = [Counts(), Counts()]
    second = 0
    for index, (arm, user, later, found, failing) in enumerate(requests):
        second += later
        users.see(arms[arm], str(user).encode(), second, found, failed=failing, is_copy=False)
        if at.get(user) != second:
            at[user] = second
            exposed[arm] += user not in failed
            exposed_to_slow[arm] += user not in slow
        fails[arm] += failing and user not in failed
        slows[arm] += found >= bucket and user not in slow
        failed |= {user} if failing else set()
        slow |= {user} if found >= bucket else set()
        if index in looks or index == len(requests) - 1:
            now = [ArmCounts("e", users=each.counts()) for each in arms]
            came = [since(new, old).users for new, old in zip(now, readings, strict=True)]
            readings = now
            tick = slow_users(Threshold(bucket, bucket), came[0], came[1])
            total[0] = total[0].plus(Counts(came[0].exposed, came[0].failed, came[1].exposed, came[1].failed))
            total[1] = total[1].plus(tick)
            assert tick.bad_candidate <= tick.all_candidate
            assert tick.bad_stable <= tick.all_stable
    assert total[0] == Counts(exposed[0], fails[0], exposed[1], fails[1])
    assert (total[1].bad_candidate, total[1].bad_stable) == (slows[0], slows[1])
    # Who is slow for the first time where, or when, they were not counted as exposed is one exposure more.
    assert total[1].all_candidate >= max(exposed_to_slow[0], slows[0])
    if not looks:
        most = [max(pair) for pair in zip(exposed_to_slow, slows, strict=True)]
        assert [total[1].all_candidate, total[1].all_stable] == most


def by_user(spec: AnalysisSpec, arms: tuple[ArmUsers, ArmUsers], before: Evidence, share: float) -> Evidence:
    candidate, stable = (arm.counts() for arm in arms)
    return observe(spec, before, Tick(Arm(1, users=candidate), Arm(1, users=stable), share=share))


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_users_who_fail_on_every_request_are_fair_to_both_arms(share: float) -> None:
    """All that can happen to three users who stay on their arm, make five requests each, and fail on all or none."""
    spec, broken = AnalysisSpec(latency=None, unit="user"), 0.3
    by_users = by_requests = 0.0
    for on_candidate in itertools.product((True, False), repeat=3):
        for fails in itertools.product((True, False), repeat=3):
            chance = math.prod(share if mine else 1.0 - share for mine in on_candidate)
            chance *= math.prod(broken if each else 1.0 - broken for each in fails)
            users, arms, requests = Users(), (ArmUsers(), ArmUsers()), [0, 0, 0, 0]
            for user, second in itertools.product(range(3), range(5)):
                arm = 0 if on_candidate[user] else 1
                users.see(arms[arm], str(user).encode(), second, 1, failed=fails[user], is_copy=False)
                requests[2 * arm] += 1
                requests[2 * arm + 1] += fails[user]
            judged = judge(spec, by_user(spec, arms, begin(spec, Histogram()), share))
            by_users += chance * math.exp(judged.rollback_log_e)
            test = worse_than_stable()
            by_requests += chance * math.exp(test.log_e(test.update(test.start(), Counts(*requests), share)))
    assert by_users <= 1.0 + 1e-9
    assert by_requests > 1.5  # why users are counted, not requests


@given(st.lists(st.integers(0, 900), min_size=1, max_size=6), st.lists(st.integers(1, 900), min_size=2, max_size=4))
def test_a_user_is_slow_at_most_once_beyond_each_threshold(slowest: list[int], thresholds: list[int]) -> None:
    users, arm = Users(), ArmUsers()
    for second, bucket in enumerate(slowest):
        users.see(arm, b"ann", second, bucket, failed=False, is_copy=False)
    counts = arm.counts()
    first = [slow_users(Threshold(bucket, bucket), counts, UserCounts()).bad_candidate for bucket in thresholds]
    assert first == [max(slowest) >= bucket for bucket in thresholds]


def test_who_was_slow_before_the_last_reading_is_not_slow_again() -> None:
    """Each reading by itself: who got even slower takes nothing away from those who are slow for the first time."""
    users, arm, then = Users(), ArmUsers(), ArmCounts("e")
    firsts = []
    for second, (user, bucket) in enumerate(((b"ann", 5), (b"ann", 7), (b"ann", 9), (b"bob", 1), (b"bob", 6))):
        users.see(arm, user, second, bucket, failed=False, is_copy=False)
        now = ArmCounts("e", users=arm.counts())
        firsts.append(slow_users(Threshold(5, 5), since(now, then).users, UserCounts()).bad_candidate)
        then = now
    assert firsts == [1, 0, 0, 0, 1]


def test_each_arm_has_its_own_threshold_for_users() -> None:
    slow = UserCounts(1, 0, Histogram({0: 1}), Histogram(), Histogram({10: 1}))
    assert slow_users(Threshold(10, 11), slow, slow) == Counts(1, 0, 1, 1)


def test_a_copy_is_somebody_else() -> None:
    users, candidate, stable = Users(), ArmUsers(), ArmUsers()
    users.see(stable, b"ann", 1, 5, failed=True, is_copy=False)
    users.see(candidate, b"ann", 1, 5, failed=True, is_copy=True)
    assert (stable.exposed, stable.failed, candidate.exposed, candidate.failed) == (1, 1, 1, 1)
    users.see(candidate, b"ann", 2, 5, failed=True, is_copy=False)
    assert (candidate.exposed, candidate.failed) == (1, 1)


def test_user_seconds_are_as_fair_as_requests_whenever_one_stops() -> None:
    """A user is at risk until their first failure. What they risk is the same on both arms in any second, and chosen
    by somebody who knows everything so far."""
    test = worse_than_stable()

    def most(wealth: LogWealth, mine: int, theirs: int, rounds: int) -> float:
        best = math.exp(test.log_e(wealth))
        for hazard in (0.05, 0.4, 0.9) if rounds else ():
            mean = sum(
                chance
                * most(
                    test.update(wealth, tick), mine - int(tick.bad_candidate), theirs - int(tick.bad_stable), rounds - 1
                )
                for chance, tick in counts_tick(mine, hazard, theirs, hazard)
            )
            best = max(best, mean)
        return best

    assert most(test.start(), 2, 3, rounds=3) <= 1.0 + 1e-9
