"""Whole rollouts in thousands: the steps' conditions, shares, ramps and deadlines."""

from __future__ import annotations

import numpy as np
import pytest

from trimtab.core.errors import TrimtabError
from trimtab.core.model.specification import AnalysisSpec, EnvironmentSpec
from trimtab.core.model.strategy import ExperimentSpec, MirrorSpec, RolloutStep, StrategySpec
from trimtab.simulate.rollouts import CAUGHT, LATE, PROMOTED, Endings, Load, simulate
from trimtab.simulate.traffic import Behaviour

NOT_JUDGED = AnalysisSpec(errors=None, latency=None)
FEW = 40


def roll_out(
    *steps: RolloutStep,
    load: Load | None = None,
    candidate: float = 0.01,
    analysis: AnalysisSpec = NOT_JUDGED,
    deadline_s: float = 3600.0,
    ramp_s: float = 0.0,
    runs: int = FEW,
) -> Endings:
    strategy = StrategySpec(steps=steps, deadline_s=deadline_s, ramp_s=ramp_s)
    place = EnvironmentSpec("production", 8080, strategy=strategy, analysis=analysis)
    return simulate(place, load or Load(100.0, 0.01), Behaviour(candidate), runs, seed=1)


def all_end(endings: Endings, how: int) -> None:
    assert (endings.how == how).all(), np.unique(endings.how, return_counts=True)


def test_holds_add_up() -> None:
    endings = roll_out(RolloutStep(5.0, 15.0, 20), RolloutStep(25.0, 30.0, 20))
    all_end(endings, PROMOTED)
    assert endings.seconds == pytest.approx(45.0, abs=2.0)
    expected = 100.0 * (0.05 * 15 + 0.25 * 30)
    assert endings.requests.mean() == pytest.approx(expected, rel=0.1)


def test_steps_wait_for_their_requests() -> None:
    endings = roll_out(RolloutStep(10.0, 0.0, 500))
    assert endings.seconds.mean() == pytest.approx(50.0, rel=0.05)
    assert (endings.requests >= 500).all()


def test_little_traffic_waits_and_ends_by_the_deadline() -> None:
    endings = roll_out(RolloutStep(10.0, 0.0, 500), load=Load(0.5, 0.01), deadline_s=600.0)
    all_end(endings, LATE)
    assert (endings.seconds == 600.0).all()


def test_ramps_take_their_time_and_share() -> None:
    endings = roll_out(RolloutStep(50.0, 10.0, 0, ramp_s=60.0))
    assert endings.seconds == pytest.approx(70.0, abs=2.0)
    assert endings.requests.mean() == pytest.approx(100.0 * (0.25 * 60 + 0.5 * 10), rel=0.1)
    later = roll_out(RolloutStep(10.0, 0.0, 0), RolloutStep(50.0, 10.0, 0, ramp_s=60.0))
    assert later.seconds == pytest.approx(70.0, abs=3.0)
    last = roll_out(RolloutStep(50.0, 10.0, 0), ramp_s=60.0)
    assert last.seconds == pytest.approx(70.0, abs=2.0)


def test_copies_and_experiments_are_traffic() -> None:
    mirrored = roll_out(RolloutStep(0.0, 20.0, 0, mirror=MirrorSpec(50.0)))
    assert mirrored.requests.mean() == pytest.approx(1000.0, rel=0.1)
    experiment = roll_out(RolloutStep(0.0, 20.0, 0, experiment=ExperimentSpec(10.0)), RolloutStep(10.0, 0.0, 0))
    assert experiment.requests.mean() == pytest.approx(200.0, rel=0.2)


def test_evidence_is_asked_for_and_harm_is_seen_in_every_step() -> None:
    steps = (RolloutStep(10.0, 5.0, 20), RolloutStep(50.0, 5.0, 20, evidence=True))
    judged = AnalysisSpec()
    healthy = roll_out(*steps, analysis=judged, runs=200)
    assert healthy.share(PROMOTED) > 0.95
    assert healthy.seconds.mean() > 60.0
    broken = roll_out(*steps, analysis=judged, candidate=0.5)
    all_end(broken, CAUGHT)
    assert broken.seconds.mean() < 4.0


def test_a_worse_release_is_caught_sooner() -> None:
    steps = (RolloutStep(50.0, 5.0, 20, evidence=True),)
    found = [roll_out(*steps, analysis=AnalysisSpec(), candidate=errors, runs=300) for errors in (0.02, 0.05, 0.2)]
    assert [endings.share(CAUGHT) > 0.97 for endings in found] == [True] * 3
    means = [endings.seconds.mean() for endings in found]
    assert means == sorted(means, reverse=True)


def test_nothing_is_promoted_without_data() -> None:
    steps = (RolloutStep(10.0, 5.0, 0, evidence=True),)
    nobody = Load(0.001, 0.01)
    all_end(roll_out(*steps, load=nobody, analysis=AnalysisSpec(), deadline_s=300.0), LATE)
    # Without any metric only holds and request counts are asked for, and evidence is still none without a request.
    endings = roll_out(*steps, load=nobody, deadline_s=300.0, runs=100)
    assert (endings.requests[endings.how == PROMOTED] > 0).all()


def test_users_are_counted_once() -> None:
    steps = (RolloutStep(50.0, 120.0, 20),)
    users = Load(100.0, 0.02, requests_each=30)
    by_user = roll_out(*steps, load=users, candidate=0.02, analysis=AnalysisSpec(unit="user"), runs=300)
    by_request = roll_out(*steps, load=users, candidate=0.02, analysis=AnalysisSpec(), runs=300)
    assert by_user.share(CAUGHT) < 0.03
    assert by_request.share(CAUGHT) > 0.2


def test_the_same_seed_gives_the_same_endings() -> None:
    one, two = (roll_out(RolloutStep(50.0, 5.0, 20, evidence=True), analysis=AnalysisSpec()) for _ in range(2))
    assert (one.seconds == two.seconds).all()
    assert (one.how == two.how).all()


@pytest.mark.parametrize("steps", [(), (RolloutStep(0.0),)])
def test_without_traffic_there_is_nothing_to_simulate(steps: tuple[RolloutStep, ...]) -> None:
    with pytest.raises(TrimtabError, match="nothing to simulate"):
        roll_out(*steps)


def test_of_users_only_errors_are_simulated() -> None:
    with pytest.raises(TrimtabError, match="does not judge errors"):
        roll_out(RolloutStep(10.0), load=Load(10.0, 0.01, 20))
