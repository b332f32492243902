"""Schedules: what begins when, what is made up for, and what waits."""

from __future__ import annotations

from dataclasses import replace

from trimtab.core.decide.application import ApplicationReading, AppState, decide_application, schedules_to_ask
from trimtab.core.model import facts as f
from trimtab.core.model.actions import ReportRun
from trimtab.core.model.decision import Decision
from trimtab.core.model.forge import ForgeSpec
from trimtab.core.model.specification import EnvironmentSpec, ScheduleSpec, ServiceSpec, Specification

HOURLY = ScheduleSpec("hourly", ("FREQ=HOURLY",), steps=("evals",))
DEPLOYING = ScheduleSpec("deploying", ("FREQ=HOURLY",), deploy=True)
HOUR_S = 3600.0


def specification(*schedules: ScheduleSpec) -> Specification:
    return Specification("shop", ServiceSpec("serve"), (EnvironmentSpec("production", 8080),), schedules=schedules)


def change(letter: str) -> f.Change:
    return f.Change(letter * 40, "main", "ann", f"Change {letter}", 0.0)


def see(state: AppState, *facts: f.Fact, now: float) -> Decision[AppState]:
    """Every schedule has a time at each full hour."""
    recorded = tuple(f.Recorded("app/shop", fact) for fact in facts)
    following = (now // HOUR_S + 1) * HOUR_S
    times = dict.fromkeys(schedules_to_ask(state, recorded), following)
    return decide_application(state, recorded, ApplicationReading(times=times), now)


def begun(decision: Decision[AppState]) -> list[f.RunRequested]:
    return [emit.fact for emit in decision.emit if isinstance(emit.fact, f.RunRequested)]


def planned(decision: Decision[AppState]) -> list[dict[str, float]]:
    return [dict(emit.fact.next_at) for emit in decision.emit if isinstance(emit.fact, f.SchedulesPlanned)]


def skipped(decision: Decision[AppState]) -> list[f.Fact]:
    return [emit.fact for emit in decision.emit if isinstance(emit.fact, f.ScheduleSkipped)]


def having(*schedules: ScheduleSpec, now: float = 10.0) -> AppState:
    """The state after a push whose run has passed."""
    arrived = see(AppState("shop"), f.ChangeArrived(change("a"), "push"), now=now).state
    read = see(arrived, f.SpecificationRead(specification(*schedules)), now=now).state
    return see(read, f.RunFinished(1, "passed", None, 1.0), now=now).state


def finished(run: int) -> f.RunFinished:
    return f.RunFinished(run, "passed", None, 1.0)


def test_a_schedule_begins_a_run_of_the_head_when_it_is_time() -> None:
    state = having(HOURLY)
    before = see(state, now=3599.0)
    assert begun(before) == []
    assert before.look_at == 3600.0
    decision = see(state, now=3600.5)
    (asked,) = begun(decision)
    assert asked == f.RunRequested(2, change("a"), until="steps", only=("evals",), schedule="hourly")
    assert planned(decision) == [{"hourly": 7200.0}]
    assert decision.state.running is None
    assert begun(see(decision.state, now=3601.0)) == []
    newer = see(decision.state, f.ChangeArrived(change("b"), "push"), now=3700.0).state
    (asked,) = begun(see(see(newer, finished(2), now=3800.0).state, now=7200.0))
    assert asked.change == change("b")


def test_it_is_planned_as_soon_as_it_is_read_and_said_once() -> None:
    arrived = see(AppState("shop"), f.ChangeArrived(change("a"), "push"), now=10.0).state
    read = see(arrived, f.SpecificationRead(specification(HOURLY)), now=10.0)
    assert planned(read) == [{"hourly": 3600.0}]
    assert planned(see(read.state, now=20.0)) == []


def test_what_was_missed_is_made_up_for_once() -> None:
    decision = see(having(HOURLY), now=100.5 * HOUR_S)
    assert len(begun(decision)) == 1
    assert planned(decision) == [{"hourly": 101 * HOUR_S}]
    assert begun(see(see(decision.state, finished(2), now=100.6 * HOUR_S).state, now=100.7 * HOUR_S)) == []


def test_one_whose_run_is_still_on_skips_a_turn() -> None:
    on = see(having(HOURLY), now=3600.0).state
    decision = see(on, now=7200.0)
    assert begun(decision) == []
    assert skipped(decision) == [f.ScheduleSkipped("hourly", 2)]
    assert planned(decision) == [{"hourly": 10_800.0}]
    assert skipped(see(decision.state, now=7201.0)) == []
    ended = see(decision.state, finished(2), now=7300.0).state
    assert len(begun(see(ended, now=10_800.0))) == 1


def test_one_that_deploys_takes_the_place_of_the_branchs_own_run() -> None:
    decision = see(having(DEPLOYING), now=3600.0)
    (asked,) = begun(decision)
    assert (asked.until, asked.schedule) == ("deploy", "deploying")
    assert (decision.state.running, decision.state.running_commit) == (2, "a" * 40)
    pushed = see(decision.state, f.ChangeArrived(change("b"), "push"), now=3700.0)
    assert begun(pushed) == []
    (own,) = begun(see(pushed.state, finished(2), now=3800.0))
    assert (own.change, own.schedule, own.until) == (change("b"), "", "deploy")


def test_one_that_deploys_waits_for_the_branchs_own_run() -> None:
    busy = see(having(DEPLOYING, HOURLY), f.ChangeArrived(change("b"), "push"), now=3500.0).state
    due = see(busy, now=3600.0)
    assert [asked.schedule for asked in begun(due)] == ["hourly"]
    assert due.look_at == 3600.0 + 10.0  # nothing turns in circles until the run has ended
    after = see(due.state, finished(2), now=3700.0)
    assert [(asked.schedule, asked.change) for asked in begun(after)] == [("deploying", change("b"))]


def test_without_any_change_there_is_nothing_to_run() -> None:
    state = see(AppState("shop"), f.SpecificationRead(specification(HOURLY)), now=10.0).state
    decision = see(state, now=3600.0)
    assert begun(decision) == []
    assert planned(decision) == [{"hourly": 7200.0}]


def test_a_schedule_that_was_changed_is_planned_anew_and_keeps_its_run() -> None:
    on = see(having(HOURLY), now=3600.0).state
    changed = see(on, f.SpecificationRead(specification(replace(HOURLY, steps=()))), now=7300.0).state
    assert begun(see(changed, now=7400.0)) == []
    assert skipped(see(changed, now=10_800.0)) == [f.ScheduleSkipped("hourly", 2)]


def test_one_that_is_gone_is_not_planned_any_more() -> None:
    gone = see(having(HOURLY), f.SpecificationRead(specification()), now=20.0)
    assert planned(gone) == [{}]
    assert begun(see(gone.state, now=3600.0)) == []


def test_one_without_a_further_time_rests() -> None:
    state = having(HOURLY)
    decision = decide_application(state, (), ApplicationReading(times={HOURLY: None}), 3600.0)
    assert len(begun(decision)) == 1
    assert planned(decision) == [{}]


def test_the_forge_is_told_of_those_that_deploy() -> None:
    forge = f.AppRegistered(poll_url="https://x/shop.git", forge=ForgeSpec("github", "org/shop", "https://x"))
    for schedule, told in ((HOURLY, []), (DEPLOYING, ["report:2:begun", "report:2:ended"])):
        decision = see(replace(having(schedule), source=forge), now=3600.0)
        ended = see(decision.state, finished(2), now=3700.0)
        keys = [todo.key for todo in (*decision.todo, *ended.todo) if isinstance(todo.action, ReportRun)]
        assert keys == told
