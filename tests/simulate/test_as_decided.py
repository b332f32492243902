"""A simulated rollout replayed through `decide_rollout`: the same traffic, the same ending at the same moment."""

from __future__ import annotations

import pytest

from tests.core.rollout_play import Play, specification
from trimtab.core.model.specification import AnalysisSpec
from trimtab.core.model.strategy import RolloutStep, StrategySpec
from trimtab.simulate import rollouts
from trimtab.simulate.rollouts import CAUGHT, LATE, PROMOTED, Load, simulate
from trimtab.simulate.traffic import Array, Behaviour, Drawn, RequestTraffic

STEPS = (
    RolloutStep(5.0, 10.0, 20),
    RolloutStep(25.0, 10.0, 50, ramp_s=8.0),
    RolloutStep(50.0, 10.0, 100, evidence=True),
)
ANALYSIS = AnalysisSpec(latency=None, split_check=False)
ENDS = {PROMOTED: "promoted", CAUGHT: "rolled_back", LATE: "rolled_back"}


class Recorded(RequestTraffic):
    """Keeps what it draws."""

    ticks: list[tuple[float, Drawn]]

    def draw(self, tick_s: float, candidate_rate: Array, stable_rate: Array) -> Drawn:
        drawn = super().draw(tick_s, candidate_rate, stable_rate)
        self.ticks.append((tick_s, drawn))
        return drawn


def replay(play: Play, ticks: list[tuple[float, Drawn]]) -> float:
    """Seconds from the first share until the rollout has ended."""
    play.begin()
    play.ready()
    play.take_route()
    play.obey()
    begun = play.now
    for tick_s, drawn in ticks:
        (candidate, stable), counts = drawn.requests, drawn.counts
        bad, stable_bad = counts.bad_candidate[0], counts.bad_stable[0]  # type: ignore[index]
        play.obey()
        play.serve(int(candidate[0]), int(bad[0]), int(stable[0]), stable_failed=int(stable_bad[0]), after_s=tick_s)
        if play.state.phase == "starting":
            play.ready()
        if play.state.ending is not None:
            break
    return play.now - begun


@pytest.mark.parametrize("errors", [0.01, 0.02, 0.05, 0.3])
@pytest.mark.parametrize("seed", range(6))
def test_it_ends_as_decided(monkeypatch: pytest.MonkeyPatch, seed: int, errors: float) -> None:
    Recorded.ticks = []
    monkeypatch.setattr(rollouts, "RequestTraffic", Recorded)
    strategy = StrategySpec(steps=STEPS, deadline_s=600.0)
    whole = specification(strategy=strategy, analysis=ANALYSIS)
    load = Load(100.0, 0.01, settle_s=0.0)
    simulated = simulate(whole.environments[0], load, Behaviour(errors), runs=1, seed=seed)

    # The share that is assumed may be that of a tick before or after: some ticks more, for a decision on the edge.
    more = RequestTraffic(ANALYSIS, Behaviour(errors), Behaviour(0.01), seed)
    tick_s, last = Recorded.ticks[-1]
    after = [(0.5, more.draw(0.5, *(arm / tick_s for arm in last.requests))) for _ in range(20)]

    play = Play(specification=whole)
    seconds = replay(play, Recorded.ticks + after)
    assert play.state.ending is not None
    assert play.state.ending.outcome == ENDS[int(simulated.how[0])]
    # Moments are right to half a per cent, and each step may begin a tick later.
    assert seconds == pytest.approx(float(simulated.seconds[0]), rel=0.02, abs=2.0)
