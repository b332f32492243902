"""When a release is not deployed by itself: windows, freezes, budgets, pins, quarantine; and what always is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.test_environment import A, B, C, Play
from trimtab.core.decide.environment import DesiredReading, windows_to_ask
from trimtab.core.decide.environment.budget import DAY_S, Day, Spending, count, used_up
from trimtab.core.model import facts as f
from trimtab.core.model.actions import RetireRelease
from trimtab.core.model.opening import Opening
from trimtab.core.model.specification import (
    BudgetSpec,
    EnvironmentSpec,
    FreezeSpec,
    NewerPolicy,
    ServiceSpec,
    Specification,
    WindowSpec,
)
from trimtab.core.model.strategy import MirrorSpec, StrategySpec
from trimtab.core.model.traffic import ArmCounts, Share, TrafficReading

OFFICE = WindowSpec("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", "2026-01-05T09:00:00", 8 * 3600.0)


@dataclass
class Held(Play):
    """An environment with rules about when."""

    place: EnvironmentSpec = EnvironmentSpec("staging", 8081)  # noqa: RUF009

    def specification(self, policy: NewerPolicy = "latest") -> Specification:
        return Specification("shop", ServiceSpec("serve"), (self.place,), on_newer_change=policy)

    def causes(self) -> list[str]:
        return [fact.cause for fact, _, _ in self.said if isinstance(fact, f.DeliveryHeld)]

    def why(self, kind: type[f.Fact]) -> str:
        return next(reason for fact, reason, _ in self.said if isinstance(fact, kind))

    def waits(self) -> bool:
        return bool(self.state.waiting) and self.state.rollout is None and self.state.committing is None


def held(**rules: object) -> Held:
    """Release A is live; the rules hold from now on."""
    play = Held()
    play.deploy(A)
    play.place = replace(play.place, **rules)  # type: ignore[arg-type]
    return play


def opened(play: Held, opening: Opening) -> None:
    play.reading = replace(play.reading, opening=opening, windows=windows_to_ask(play.state))


def test_outside_its_windows_a_release_waits_and_says_so_once() -> None:
    play = held(windows=(OFFICE,))
    play.offer(B, run=2)
    assert (play.waits(), play.causes()) == (True, [])
    opened(play, Opening(False, 3700.0))
    for _ in range(3):
        play.see()
    assert (play.waits(), play.causes()) == (True, ["window"])
    assert play.why(f.DeliveryHeld) == "no deployment window is open; the next one opens in 1 h"
    opened(play, Opening(True, 9000.0))
    play.see()
    assert play.facts(f.DeliveryResumed)
    assert play.state.committing is not None


def test_a_rollout_under_way_goes_on_when_the_window_closes() -> None:
    play = held(windows=(OFFICE,))
    play.offer(B, run=2)
    opened(play, Opening(True, 9000.0))
    play.see()
    play.commit()
    opened(play, Opening(False, 9000.0))
    play.see()
    assert play.state.rollout == 2
    assert not play.facts(f.AbortRequested)


@pytest.mark.parametrize(("begin", "end", "waits"), [(50.0, 200.0, True), (50.0, 100.0, False), (101.0, 200.0, False)])
def test_a_freeze_holds_from_its_begin_until_its_end(begin: float, end: float, waits: bool) -> None:
    play = held(freezes=(FreezeSpec(begin, end, "sale"),))
    play.offer(B, run=2)
    assert play.waits() == waits
    if waits:
        assert play.why(f.DeliveryHeld) == "a freeze (sale) ends in 1 min 40 s"


def test_a_freeze_by_hand_ends_by_hand_or_by_itself() -> None:
    for ending in (f.ThawRequested("ann"), None):
        play = held()
        play.see(f.FreezeRequested(None if ending else 101.0, "ann"))
        if ending is None:
            play.state = replace(play.state, frozen_until=150.0)
        play.offer(B, run=2)
        assert (play.waits(), play.causes()) == (True, ["freeze"])
        if ending:
            play.see(ending)
        else:
            play.state = replace(play.state, frozen_until=99.0)
            play.see()
        assert not play.waits()
        assert not play.state.frozen


def test_what_a_person_does_is_never_held() -> None:
    play = held()
    play.deploy(B, run=2)
    play.place = replace(play.place, freezes=(FreezeSpec(0.0, 1e9),))
    play.see(f.RollbackRequested(None, "ann"))
    assert play.commit().release == A
    play.end("promoted")
    play.reading = replace(play.reading, desired=DesiredReading("by-hand", C, "ann", "Try C", play.specification()))
    play.see()
    assert play.state.rollout is not None


def test_a_return_is_never_held() -> None:
    play = held()
    play.offer(B, run=2)
    play.commit()
    play.place = replace(play.place, freezes=(FreezeSpec(0.0, 1e9),))
    play.see(f.FreezeRequested(None, "ann"))
    play.end("rolled_back")
    assert play.commit().release == A


def test_while_held_the_newest_offer_wins() -> None:
    play = held(freezes=(FreezeSpec(0.0, 200.0),))
    play.offer(B, run=2)
    play.offer(C, run=3)
    assert [offer.release for offer in play.state.waiting] == [C]
    assert play.facts(f.ReleaseSuperseded)


# --- pins ------------------------------------------------------------------------------------------------------------


def test_a_pinned_environment_stays_and_says_why() -> None:
    play = held()
    play.see(f.PinRequested(None, "ann"))
    play.offer(B, run=2)
    assert (play.waits(), play.causes()) == (True, ["pin"])
    play.reading = replace(play.reading, desired=DesiredReading("by-hand", C, "bob", "Try C", play.specification()))
    play.see()
    assert play.state.rollout is None
    assert play.facts(f.DesiredRefused)
    play.see(f.UnpinRequested("ann"))
    assert play.state.desired is not None
    assert play.state.desired.release == C


def test_pinning_to_another_release_moves_there_and_stops_what_is_under_way() -> None:
    play = held()
    play.deploy(B, run=2)
    play.offer(C, run=3)
    play.commit()
    play.see(f.PinRequested(A, "ann"))
    assert [place for fact, _, place in play.said if isinstance(fact, f.AbortRequested)] == ["rollout/shop/staging/3"]
    assert play.commit().release == A
    play.end("aborted")
    play.see()
    play.end("promoted")
    assert (play.state.live, play.state.pinned) == (A, A)


def test_a_rollback_by_a_person_moves_the_pin() -> None:
    play = held()
    play.deploy(B, run=2)
    play.see(f.PinRequested(None, "ann"))
    play.see(f.RollbackRequested(None, "ann"))
    assert play.commit().release == A
    assert play.state.pinned == A


# --- quarantine ------------------------------------------------------------------------------------------------------


def fail(play: Held, release: str, run: int, *, proven_worse: bool = True) -> None:
    play.offer(release, run)
    play.commit()
    assert play.state.rollout is not None
    play.see(f.RolloutEnded(play.state.rollout, release, play.state.live, "rolled_back", 3.0, proven_worse))
    play.commit()


def test_a_release_that_was_proven_worse_is_never_deployed_again_by_itself() -> None:
    play = held()
    fail(play, B, 2)
    assert play.state.quarantined == (B,)
    play.offer(B, run=3)
    assert not play.waits()
    assert play.state.rollout is None
    assert "is in quarantine" in play.why(f.ReleaseRefused)
    play.see(f.QuarantineLifted(B, "ann"))
    play.offer(B, run=4)
    assert play.state.committing is not None


def test_running_out_of_time_is_no_proof() -> None:
    play = held()
    fail(play, B, 2, proven_worse=False)
    assert play.state.quarantined == ()


def test_an_offer_that_waited_is_refused_once_it_is_in_quarantine() -> None:
    play = held(freezes=(FreezeSpec(0.0, 200.0),))
    play.offer(B, run=2)
    play.state = replace(play.state, quarantined=(B,))
    play.see()
    assert (play.state.waiting, len(play.facts(f.ReleaseRefused))) == ((), 1)


@pytest.mark.parametrize("way", ["git", "rollback"])
def test_who_asks_for_a_release_in_quarantine_trusts_it(way: str) -> None:
    play = held()
    fail(play, B, 2)
    if way == "git":
        play.reading = replace(play.reading, desired=DesiredReading("by-hand", B, "ann", "Again", play.specification()))
        play.see()
    else:
        play.see(f.RollbackRequested(B, "ann"))
        play.commit()
    assert play.state.quarantined == ()
    assert play.facts(f.QuarantineLifted)
    assert play.state.rollout is not None


def test_a_rollback_skips_what_is_in_quarantine() -> None:
    play = held()
    play.deploy(B, run=2)
    play.deploy(C, run=3)
    play.state = replace(play.state, quarantined=(B,))
    play.see(f.RollbackRequested(None, "ann"))
    assert play.commit().release == A


# --- returning -------------------------------------------------------------------------------------------------------


def test_only_releases_within_the_rollback_window_skip_the_steps() -> None:
    for window, instant in ((1, False), (2, True)):
        play = held(strategy=StrategySpec(rollback_window=window))
        play.deploy(B, run=2)
        play.deploy(C, run=3)
        play.see(f.RollbackRequested(A, "ann"))
        play.commit()
        asked = [fact for fact, _, _ in play.said if isinstance(fact, f.RolloutRequested)][-1]
        assert asked.instant == instant


def test_the_release_before_stays_for_a_while_and_a_return_wants_it_again() -> None:
    play = held(strategy=StrategySpec(scale_down_delay_s=45.0))
    play.deploy(B, run=2)
    retired = [action for action in play.actions(RetireRelease) if isinstance(action, RetireRelease)]
    assert [(action.release, action.delay_s) for action in retired] == [(A, 45.0)]
    play.deploy(C, run=3)
    retired = [action for action in play.actions(RetireRelease) if isinstance(action, RetireRelease)]
    assert (retired[-1].release, retired[-1].delay_s) == (B, 45.0)
    assert B in play.state.retiring
    play.see(f.RollbackRequested(B, "ann"))
    play.commit()
    assert B not in play.state.retiring


# --- the error budget ------------------------------------------------------------------------------------------------

BUDGET = BudgetSpec(99.0, days=7)


def counts(requests: int, errors: int, epoch: str = "e") -> Mapping[str, ArmCounts]:
    return {A: ArmCounts(epoch, requests, errors)}


def test_an_exhausted_error_budget_freezes() -> None:
    play = held(budget=BUDGET)
    play.deploy(B, run=2)
    play.reading = replace(play.reading, counts=counts(1000, 11))
    play.see()
    play.offer(C, run=3)
    assert (play.waits(), play.causes()) == (True, ["budget"])
    said = "the error budget is used up: 11 of 1,000 requests failed in 7 days, and 99 % should not have"
    assert play.why(f.DeliveryHeld) == said


def test_what_waits_is_decided_about_by_the_newest_numbers() -> None:
    play = held(budget=BUDGET)
    play.deploy(B, run=2)
    play.reading = replace(play.reading, counts=counts(1000, 0))
    play.see()
    play.reading = replace(play.reading, counts=counts(1100, 90))
    play.offer(C, run=3)
    assert (play.waits(), play.causes()) == (True, ["budget"])


def test_answers_that_nobody_got_cost_no_budget() -> None:
    play = held(budget=BUDGET)
    play.deploy(B, run=2)
    shadow = TrafficReading(B, C, "lease", Share(0.0, {}, 100.0), mirror=MirrorSpec())
    play.reading = replace(play.reading, traffic=shadow, counts={B: ArmCounts("e", 100, 0), C: ArmCounts("e", 100, 99)})
    play.see()
    assert play.state.spending.of_the_last(7, 100.0) == Day(100, 0)


@given(st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100), st.booleans()), max_size=20))
def test_every_request_is_counted_once(steps: list[tuple[int, int, bool]]) -> None:
    spending, now, total, epoch = Spending(), 1e6, Day(), 0
    seen = Day()
    for requests, errors, anew in steps:
        epoch += anew
        seen = Day(requests, min(errors, requests)) if anew else Day(seen.requests + requests, seen.errors + errors)
        total = Day(total.requests + requests, total.errors + (min(errors, requests) if anew else errors))
        now += 30.0
        spending = count(spending, BUDGET, counts(seen.requests, seen.errors, str(epoch)), now)
    assert spending.of_the_last(7, now).errors == total.errors
    assert spending.of_the_last(7, now).requests == total.requests


def test_old_days_are_forgotten() -> None:
    spending = count(Spending(), BUDGET, counts(100, 100), 0.5 * DAY_S)
    assert used_up(spending, BUDGET, 0.5 * DAY_S)
    later = count(spending, BUDGET, counts(200, 100), 7.5 * DAY_S)
    assert used_up(later, BUDGET, 7.5 * DAY_S) == ""
    assert list(later.days) == [7]


def test_without_requests_nothing_is_used_up() -> None:
    assert used_up(Spending(), BUDGET, 0.0) == ""
    assert used_up(Spending({0: Day(10, 0)}), BudgetSpec(100.0), 0.0) == ""
    assert used_up(Spending({0: Day(10, 1)}), BudgetSpec(100.0), 0.0) != ""
