"""The turns of a concurrency group: one at a time, by the stated policy, and nobody is forgotten."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trimtab.core.decide.turns import TurnsState, decide_turns
from trimtab.core.model.facts import (
    Fact,
    Recorded,
    RunCancelRequested,
    TurnAsked,
    TurnGiven,
    TurnRefused,
    TurnReturned,
)
from trimtab.core.model.pipeline import PendingPolicy


class Group:
    """A concurrency group, and what it said to whom."""

    def __init__(self) -> None:
        self.state = TurnsState("shop", "database")
        self.given: list[int] = []
        self.refused: list[int] = []
        self.cancelled: list[int] = []

    def see(self, *facts: Fact) -> None:
        decision = decide_turns(self.state, tuple(Recorded("turn/shop/database", fact) for fact in facts))
        self.state = decision.state
        for emit in decision.emit:
            run = int((emit.object or "").rpartition("/")[2])
            kinds = {TurnGiven: self.given, TurnRefused: self.refused, RunCancelRequested: self.cancelled}
            kinds[type(emit.fact)].append(run)

    def ask(self, run: int, pending: PendingPolicy = "queue") -> None:
        self.see(TurnAsked(run, "migrate", pending))

    def give_back(self, run: int) -> None:
        self.see(TurnReturned(run, "migrate"))


def test_in_a_queue_all_go_in_order() -> None:
    group = Group()
    for run in (1, 2, 3):
        group.ask(run)
    assert group.given == [1]
    group.give_back(1)
    group.give_back(2)
    assert group.given == [1, 2, 3]
    assert group.refused == []


def test_of_several_that_wait_only_the_newest_goes_on() -> None:
    group = Group()
    for run in (1, 2, 3):
        group.ask(run, "latest")
    assert group.refused == [2]
    group.give_back(1)
    assert group.given == [1, 3]


def test_the_one_under_way_is_stopped_for_the_newest() -> None:
    group = Group()
    group.ask(1, "cancel")
    group.ask(2, "cancel")
    assert group.cancelled == [1]
    assert group.given == [1], "until the first has given its turn back"
    group.give_back(1)
    assert group.given == [1, 2]


def test_who_does_not_want_to_wait_any_more_is_passed_over() -> None:
    group = Group()
    for run in (1, 2, 3):
        group.ask(run)
    group.give_back(2)
    group.give_back(1)
    assert group.given == [1, 3]


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 6)), max_size=40))
def test_never_two_at_a_time_and_nobody_waits_for_nobody(moves: list[tuple[bool, int]]) -> None:
    group, inside = Group(), set[int]()
    for asks, run in moves:
        before = len(group.given)
        if asks and run not in inside:
            inside.add(run)
            group.ask(run)
        elif not asks and run in inside:
            inside.discard(run)
            group.give_back(run)
        assert len(group.given) - before <= 1
        holder = group.state.holder
        assert (holder is not None) == bool(inside)
        assert holder is None or holder.run in inside
