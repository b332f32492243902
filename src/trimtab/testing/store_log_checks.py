"""The Store's promises about its log: what is recorded and read, what was folded from it, and what may go."""

from __future__ import annotations

from dataclasses import replace

from trimtab.core.errors import Problem
from trimtab.core.model.facts import PauseRequested, ProblemFound, Recorded, ResumeRequested
from trimtab.ports.store import Snapshot, Store
from trimtab.testing.store_moves import (
    ANN,
    APP,
    RUN,
    append,
    commit,
    decide,
    decided_action,
    take,
)

# --- facts ---


def check_facts_come_back_as_they_went_in(store: Store) -> None:
    problem = ProblemFound(Problem("no-space", "it is «full»", "make room", "/tmp:1"))
    sent = Recorded(RUN, problem, "because", "ann@example.org", "k1")
    [recorded] = store.append([sent], 5.25)
    assert recorded == Recorded(RUN, problem, "because", "ann@example.org", "k1", seq=recorded.seq, at=5.25)
    assert store.facts() == (recorded,)


def check_a_key_is_recorded_once(store: Store) -> None:
    once = Recorded(RUN, PauseRequested("ann"), key="delivery-7")
    other = Recorded(APP, ResumeRequested("ann"))
    assert len(store.append([once, once, other, other], 1.0)) == 3
    assert store.append([once], 2.0) == ()
    assert len(store.facts()) == 3


def check_a_fact_recorded_again_wakes_nobody(store: Store) -> None:
    once = Recorded(RUN, PauseRequested("ann"), key="delivery-7")
    store.append([once], 1.0)
    decide(store, RUN)
    store.append([once], 2.0)
    assert store.due(9.0, ANN) == ()


def check_facts_are_numbered_upwards_and_read_in_pages(store: Store) -> None:
    seqs = [fact.seq for fact in append(store, *[RUN] * 5)]
    assert seqs == sorted(set(seqs))
    assert [fact.seq for fact in store.facts(limit=2)] == seqs[:2]
    assert [fact.seq for fact in store.facts(after=seqs[1], limit=2)] == seqs[2:4]
    assert store.facts(after=seqs[4]) == ()


def check_newest_first_ignores_after(store: Store) -> None:
    seqs = [fact.seq for fact in append(store, *[RUN] * 4)]
    assert [fact.seq for fact in store.facts(after=seqs[3], newest_first=True, limit=2)] == [seqs[3], seqs[2]]


def check_facts_are_found_by_object_prefix_and_kind(store: Store) -> None:
    append(store, "run/shop/1", "run/shop/2", "run/other/1", "app/shop")
    store.append([Recorded("run/shop/1", ResumeRequested("ann"))], 1.0)
    found = store.facts(object_prefix="run/shop/")
    assert [fact.object for fact in found] == ["run/shop/1", "run/shop/2", "run/shop/1"]
    assert [fact.object for fact in store.facts(kinds=["ResumeRequested"])] == ["run/shop/1"]
    assert len(store.facts(kinds=["ResumeRequested", "PauseRequested"])) == 5
    assert store.facts(object_prefix="app/", kinds=["ResumeRequested"]) == ()
    newest = store.facts(object_prefix="run/shop/", kinds=["PauseRequested"], newest_first=True)
    assert [fact.object for fact in newest] == ["run/shop/2", "run/shop/1"]


def check_facts_of_one_object_are_its_own(store: Store) -> None:
    append(store, "run/shop/1", "run/shop/10", "run/shop/1", "run/shop")
    assert [fact.object for fact in store.facts(object_id="run/shop/1")] == ["run/shop/1"] * 2
    assert len(store.facts(object_id="run/shop/1", kinds=["PauseRequested"], newest_first=True, limit=1)) == 1
    assert store.facts(object_id="run") == ()


# --- what was folded ---


def check_the_newest_snapshot_is_kept(store: Store) -> None:
    assert store.snapshot("board") is None
    store.keep_snapshot("board", 10, "ten")
    store.keep_snapshot("other", 3, "three")
    store.keep_snapshot("board", 20, "twenty")
    store.keep_snapshot("board", 15, "late")
    assert store.snapshot("board") == Snapshot(20, "twenty")
    store.keep_snapshot("board", 20, "again")
    assert store.snapshot("board") == Snapshot(20, "again"), "of the same facts, the one made last"
    assert store.snapshot("other") == Snapshot(3, "three")


# --- what may go ---


def check_pruned_facts_are_gone_and_others_keep_their_numbers(store: Store) -> None:
    facts = append(store, RUN, RUN, RUN, APP)
    decide(store, RUN)
    assert store.prune({facts[0].seq, facts[2].seq, 999}, now=9.0) == 2
    assert store.facts() == (facts[1], facts[3])
    assert store.facts(after=facts[1].seq) == (facts[3],)
    [next_one] = append(store, RUN)
    assert next_one.seq == facts[3].seq + 1


def check_what_a_decision_has_not_seen_is_not_pruned(store: Store) -> None:
    unseen, last = append(store, RUN, APP)
    decide(store, APP)
    assert store.prune({unseen.seq}, now=9.0) == 0
    assert take(store, RUN, ANN, 1.0).facts == (unseen,)
    assert store.facts() == (unseen, last)


def check_the_newest_fact_is_not_pruned(store: Store) -> None:
    seqs = [fact.seq for fact in append(store, RUN, RUN)]
    decide(store, RUN)
    assert store.prune(seqs, now=9.0) == 1
    assert [fact.seq for fact in (*store.facts(), *append(store, RUN))] == [seqs[1], seqs[1] + 1]


def check_a_fact_with_a_key_is_not_pruned(store: Store) -> None:
    once = Recorded(RUN, PauseRequested("ann"), key="delivery-7")
    [recorded] = store.append([once], 1.0)
    append(store, RUN)
    decide(store, RUN)
    assert store.prune({recorded.seq}, now=9.0) == 0
    assert store.append([once], 2.0) == ()


def check_what_is_recorded_instead_is_for_readers_only(store: Store) -> None:
    facts = append(store, RUN, RUN)
    decide(store, RUN, ended=True)
    total = Recorded(RUN, PauseRequested("bob"), key="total")
    for _ in range(2):
        store.prune({facts[0].seq}, instead=[total], now=9.0)
    assert store.facts() == (facts[1], replace(total, seq=facts[1].seq + 1, at=9.0))
    assert store.due(99.0, ANN) == ()
    assert take(store, RUN, ANN, 20.0).facts == ()


def check_only_ended_objects_forget_their_actions(store: Store) -> None:
    entry = decided_action(store)
    store.done(entry, [], 1.0)
    store.prune((), actions_of=[RUN], now=2.0)
    commit(store, take(store, RUN, ANN, 2.0), todo=[entry], ended=True)
    assert store.pending(RUN) == (), "it may be decided again"
    store.prune((), actions_of=["run/shop/10", "run/shop"], now=3.0)
    commit(store, take(store, RUN, ANN, 3.0), todo=[entry], ended=True)
    assert store.pending(RUN) == (), "of others"
    store.prune((), actions_of=[RUN], now=4.0)
    commit(store, take(store, RUN, ANN, 4.0), todo=[entry], ended=True)
    assert store.pending(RUN) == (entry,), "nothing is known of it any more"
