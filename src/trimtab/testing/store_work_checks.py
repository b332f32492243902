"""The Store's promises about work: who may decide what and when, what a decision sees, and what is to be done."""

from __future__ import annotations

from dataclasses import replace

from trimtab.codec import encode_action
from trimtab.core.model.actions import CancelSteps
from trimtab.core.model.facts import ActionDone, Recorded
from trimtab.ports.store import Claim, Controller, OutboxEntry, Store
from trimtab.testing.store_moves import (
    ANN,
    APP,
    BOB,
    RUN,
    TTL_S,
    an_action,
    append,
    commit,
    decide,
    decided_action,
    paused,
    refused,
    take,
)

# --- what is due ---


def check_a_fact_makes_its_object_due(store: Store) -> None:
    assert store.due(1.0, ANN) == ()
    append(store, RUN, now=1.0)
    assert store.due(0.5, ANN) == ()
    assert store.due(1.0, ANN) == (RUN,)
    row = store.get(RUN)
    assert row is not None
    assert (row.state, row.fence, row.owner, row.ended) == (None, 0, None, False)


def check_the_longest_waiting_is_due_first(store: Store) -> None:
    for now, object_id in ((3.0, "run/shop/3"), (1.0, "run/shop/1"), (2.0, "run/shop/2"), (4.0, "run/shop/1")):
        append(store, object_id, now=now)
    assert store.due(9.0, ANN) == ("run/shop/1", "run/shop/2", "run/shop/3")
    assert store.due(9.0, ANN, limit=2) == ("run/shop/1", "run/shop/2")


def check_a_decision_says_when_to_look_again(store: Store) -> None:
    append(store, RUN)
    decide(store, RUN, wake_at=7.0)
    assert store.due(6.9, ANN) == ()
    assert store.due(7.0, ANN) == (RUN,)
    decide(store, RUN, wake_at=None)
    assert store.due(99.0, ANN) == ()


def check_what_others_hold_is_not_due(store: Store) -> None:
    append(store, RUN, now=1.0)
    assert store.claim(RUN, ANN, 1.0, TTL_S) is not None
    assert store.due(10.9, ANN) == (RUN,)
    assert store.due(10.9, BOB) == ()
    assert store.due(11.0, BOB) == (RUN,)


def check_an_ended_object_is_due_only_for_a_new_fact(store: Store) -> None:
    append(store, RUN)
    decide(store, RUN, wake_at=5.0, ended=True)
    assert store.due(100.0, ANN) == ()
    row = store.get(RUN)
    assert row is not None
    assert row.ended
    append(store, RUN, now=6.0)
    assert store.due(6.0, ANN) == (RUN,)


# --- looking without deciding ---


def check_a_peek_shows_what_has_nothing_to_do(store: Store) -> None:
    assert store.peek(RUN) is None
    append(store, RUN)
    assert store.peek(RUN) is None, "it has a fact to see"
    decide(store, RUN, state='{"n": 1}')
    assert store.peek(RUN) == '{"n": 1}'
    append(store, RUN)
    assert store.peek(RUN) is None


def check_a_peek_hides_what_has_an_action_to_carry_out(store: Store) -> None:
    entry = decided_action(store)
    assert store.peek(RUN) is None
    store.done(entry, [], 1.0)
    assert store.peek(RUN) == "{}"


def check_what_was_looked_at_is_due_later(store: Store) -> None:
    append(store, RUN, APP)
    decide(store, RUN, wake_at=1.0)
    decide(store, APP, wake_at=1.0)
    store.look_again({RUN: 20.0, APP: 30.0}, 1.0)
    assert store.due(19.9, BOB) == ()
    assert store.due(20.0, BOB) == (RUN,)
    assert store.due(30.0, BOB) == (RUN, APP)


def check_what_a_fact_came_for_meanwhile_stays_due(store: Store) -> None:
    append(store, RUN)
    decide(store, RUN, wake_at=1.0)
    append(store, RUN, now=1.0)
    store.look_again({RUN: 20.0}, 1.0)
    assert store.due(1.0, ANN) == (RUN,)


def check_a_look_does_not_undo_what_somebody_decided_meanwhile(store: Store) -> None:
    append(store, RUN)
    decide(store, RUN, wake_at=1.0)
    decide(store, RUN, wake_at=1.5)
    store.look_again({RUN: 20.0}, 1.0)
    assert store.due(1.5, ANN) == (RUN,)


def check_looking_again_brings_nothing_into_being_and_nothing_back(store: Store) -> None:
    append(store, RUN)
    decide(store, RUN, ended=True)
    store.look_again({RUN: 2.0, APP: 2.0}, 1.0)
    assert store.due(9.0, ANN) == ()
    assert store.get(APP) is None


# --- a clock that was set back ---


def check_what_waits_for_a_time_that_was_taken_back_is_due(store: Store) -> None:
    append(store, RUN, APP, now=5000.0)
    commit(store, take(store, RUN, ANN, 5000.0), wake_at=5300.0, now=5000.0)
    entry = decided_action(store, APP, 5000.0)
    store.postpone(entry, 5100.0)
    assert store.due(1000.0, ANN) == ()
    store.rewind(1000.0)
    assert store.due(1000.0, ANN) == (RUN,)
    assert store.due(1000.0, BOB) == (), "ann holds both"
    assert [offered.id for offered in store.outbox(1000.0, ANN)] == [entry.id]


def check_a_rewind_leaves_what_is_due_or_ended(store: Store) -> None:
    append(store, RUN, APP)
    decide(store, RUN, ended=True)
    decide(store, APP, wake_at=None)
    store.rewind(500.0)
    assert store.due(900.0, BOB) == ()


# --- leases and fences ---


def check_nobody_takes_what_someone_holds(store: Store) -> None:
    append(store, RUN)
    held = take(store, RUN, ANN, 0.0)
    assert store.claim(RUN, BOB, 9.9, TTL_S) is None
    assert take(store, RUN, ANN, 9.9).fence == held.fence


def check_the_fence_grows_when_the_owner_changes(store: Store) -> None:
    append(store, RUN)
    assert [take(store, RUN, ANN, now).fence for now in (0.0, 1.0, 9.0, 50.0)] == [1, 1, 1, 1]
    assert take(store, RUN, BOB, 60.0).fence == 2
    assert take(store, RUN, ANN, 70.0).fence == 3


def check_a_claim_keeps_the_lease_alive(store: Store) -> None:
    append(store, RUN)
    for now in (0.0, 4.0, 6.0):
        take(store, RUN, ANN, now)
    assert store.claim(RUN, BOB, 15.9, TTL_S) is None
    assert store.claim(RUN, BOB, 16.0, TTL_S) is not None


def check_a_young_lease_is_left_as_it_is(store: Store) -> None:
    append(store, RUN)
    for now in (0.0, 4.9):
        take(store, RUN, ANN, now)
    assert store.claim(RUN, BOB, 10.0, TTL_S) is not None


def check_a_claim_brings_a_new_object_into_being(store: Store) -> None:
    assert store.get(RUN) is None
    assert store.claim(RUN, ANN, 1.0, TTL_S) == Claim(RUN, 1, None, ())
    row = store.get(RUN)
    assert row is not None
    assert (row.owner, row.wake_at) == (ANN, None)


def check_a_stale_fence_stores_nothing(store: Store) -> None:
    append(store, RUN)
    stale = take(store, RUN, ANN, 0.0)
    current = take(store, RUN, BOB, 10.0)
    before = (store.get(RUN), store.facts(), store.due(99.0, BOB))
    refused(lambda: commit(store, stale, [paused(APP)], [an_action(stale, "stop")], state="{}"))
    assert (store.get(RUN), store.facts(), store.due(99.0, BOB)) == before
    assert store.pending(RUN) == ()
    assert store.get(APP) is None
    assert store.claim(RUN, BOB, 10.0, TTL_S) == current, "the facts are still to be seen"


def check_a_late_commit_counts_when_nobody_took_over(store: Store) -> None:
    append(store, RUN)
    claim = take(store, RUN, ANN, 0.0)
    commit(store, claim, state='{"late": true}', now=99.0)
    row = store.get(RUN)
    assert row is not None
    assert row.state == '{"late": true}'


def check_released_leases_can_be_taken_at_once(store: Store) -> None:
    append(store, RUN, APP)
    stale = take(store, RUN, ANN, 0.0)
    take(store, APP, BOB, 0.0)
    store.release_leases(ANN)
    assert take(store, RUN, BOB, 0.0).fence == 2
    assert store.claim(APP, ANN, 0.0, TTL_S) is None, "another owner's leases stay"
    refused(lambda: commit(store, stale))


def check_one_object_can_be_let_go_of(store: Store) -> None:
    append(store, RUN, APP)
    take(store, RUN, ANN, 0.0)
    take(store, APP, ANN, 0.0)
    store.release_leases(ANN, RUN)
    assert take(store, RUN, BOB, 0.0).fence == 2
    assert store.claim(APP, BOB, 0.0, TTL_S) is None
    store.release_leases(ANN, RUN)
    assert store.claim(RUN, ANN, 0.0, TTL_S) is None, "nobody lets go of what another holds"


def check_who_lets_go_and_comes_back_gets_a_new_fence(store: Store) -> None:
    append(store, RUN)
    stale = take(store, RUN, ANN, 0.0)
    store.release_leases(ANN)
    assert take(store, RUN, ANN, 1.0).fence == stale.fence + 1


# --- together ---


def check_what_is_stored_together_is_stored(store: Store) -> None:
    append(store, RUN, APP)
    with store.together([RUN, APP]):
        claims = [take(store, object_id, ANN, 0.0) for object_id in (RUN, APP)]
    with store.together([RUN, APP]):
        for claim in claims:
            commit(store, claim, [paused(APP)], state='{"n": 1}')
    assert [row.state for row in store.objects("")] == ['{"n": 1}', '{"n": 1}']
    assert len(store.facts()) == 4


def check_a_stale_one_among_others_is_left_out_alone(store: Store) -> None:
    append(store, RUN, APP)
    stale = take(store, RUN, ANN, 0.0)
    take(store, RUN, BOB, 10.0)
    good = take(store, APP, ANN, 10.0)
    with store.together([RUN, APP]):
        refused(lambda: commit(store, stale, [paused(APP)], [an_action(stale, "stop")], state='"stale"'))
        commit(store, good, state='"good"')
    assert [row.state for row in store.objects("")] == ['"good"', None]
    assert store.pending(RUN) == ()
    assert len(store.facts()) == 2


# --- what a decision sees ---


def check_a_decision_sees_facts_once(store: Store) -> None:
    recorded = append(store, RUN, RUN)
    claim = take(store, RUN, ANN, 1.0)
    assert claim.facts == recorded
    assert take(store, RUN, ANN, 2.0).facts == recorded, "seen only when the decision is stored"
    commit(store, claim, state='{"n": 1}')
    assert take(store, RUN, ANN, 3.0) == Claim(RUN, 1, '{"n": 1}', ())
    assert store.due(9.0, ANN) == ()


def check_a_decision_does_not_see_its_own_facts(store: Store) -> None:
    append(store, RUN)
    committed = commit(store, take(store, RUN, ANN, 1.0), [paused(RUN)])
    assert take(store, RUN, ANN, 2.0).facts == ()
    assert store.facts()[-1:] == committed
    assert store.due(9.0, ANN) == ()


def check_facts_for_others_are_theirs_to_see(store: Store) -> None:
    append(store, RUN)
    [told] = commit(store, take(store, RUN, ANN, 1.0), [paused(APP)], now=2.0)
    assert store.due(2.0, ANN) == (APP,)
    assert take(store, APP, ANN, 3.0).facts == (told,)


def check_a_fact_between_claim_and_commit_is_not_lost(store: Store) -> None:
    append(store, RUN)
    claim = take(store, RUN, ANN, 1.0)
    [late] = append(store, RUN, now=1.5)
    commit(store, claim, [paused(RUN)], wake_at=99.0, now=2.0)
    assert store.due(2.0, ANN) == (RUN,)
    assert take(store, RUN, ANN, 2.0).facts == (late,)


def check_a_fact_between_claim_and_the_last_commit_is_not_lost(store: Store) -> None:
    append(store, RUN)
    claim = take(store, RUN, ANN, 1.0)
    [late] = append(store, RUN, now=1.5)
    commit(store, claim, ended=True, now=2.0)
    assert store.due(2.0, ANN) == (RUN,)
    assert take(store, RUN, ANN, 2.0).facts == (late,)


def check_a_new_holder_sees_what_the_old_one_did_not_decide(store: Store) -> None:
    recorded = append(store, RUN)
    take(store, RUN, ANN, 0.0)
    assert take(store, RUN, BOB, 10.0).facts == recorded


# --- actions ---


def check_actions_are_offered_to_the_holder_only(store: Store) -> None:
    entry = decided_action(store)
    assert store.outbox(1.0, ANN) == (entry,)
    assert store.outbox(1.0, BOB) == ()
    assert store.outbox(10.0, ANN) == (), "the lease has run out"
    assert store.pending(RUN) == (entry,)
    assert store.pending(APP) == ()


def check_actions_are_offered_oldest_first(store: Store) -> None:
    append(store, RUN)
    claim = take(store, RUN, ANN, 0.0)
    commit(store, claim, todo=[an_action(claim, "b"), an_action(claim, "a")])
    commit(store, claim, todo=[an_action(claim, "0")])
    assert [entry.id for entry in store.outbox(1.0, ANN)] == [f"{RUN}#b", f"{RUN}#a", f"{RUN}#0"]
    assert [entry.id for entry in store.outbox(1.0, ANN, limit=1)] == [f"{RUN}#b"]


def check_an_action_is_stored_once(store: Store) -> None:
    entry = decided_action(store)
    claim = take(store, RUN, ANN, 1.0)
    other = encode_action(CancelSteps("other", 9))
    commit(store, claim, todo=[OutboxEntry(entry.id, RUN, claim.fence, entry.kind, other)])
    assert store.pending(RUN) == (entry,)


def check_an_action_that_is_done_never_comes_back(store: Store) -> None:
    entry = decided_action(store)
    store.done(entry, [], 1.0)
    assert store.outbox(1.0, ANN) == store.pending(RUN) == ()
    commit(store, take(store, RUN, ANN, 1.0), todo=[entry], ended=True)
    assert store.pending(RUN) == ()


def check_an_outcome_is_recorded_and_seen(store: Store) -> None:
    entry = decided_action(store)
    store.done(entry, [Recorded(RUN, ActionDone("stop", "CancelSteps"))], 2.0)
    assert store.due(2.0, ANN) == (RUN,)
    [fact] = take(store, RUN, ANN, 2.0).facts
    assert fact.fact == ActionDone("stop", "CancelSteps")


def check_an_outcome_is_recorded_once(store: Store) -> None:
    entry = decided_action(store)
    outcome = [Recorded(RUN, ActionDone("stop", "CancelSteps"))]
    store.done(entry, outcome, 2.0)
    before = store.facts()
    store.done(entry, outcome, 3.0)
    assert store.facts() == before


def check_an_outcome_with_a_stale_fence_is_refused(store: Store) -> None:
    entry = decided_action(store)
    current = take(store, RUN, BOB, 10.0)
    before = store.facts()
    refused(lambda: store.done(entry, [paused(RUN)], 10.0))
    assert store.facts() == before
    [offered] = store.outbox(10.0, BOB)
    assert offered.fence == current.fence, "the new holder's to carry out"
    store.done(offered, [], 10.0)
    assert store.pending(RUN) == ()


def check_a_postponed_action_waits(store: Store) -> None:
    store.postpone(decided_action(store), 5.0)
    assert store.outbox(4.9, ANN) == ()
    [entry] = store.outbox(5.0, ANN)
    assert entry.attempts == 1


def check_only_the_holder_postpones(store: Store) -> None:
    entry = decided_action(store)
    take(store, RUN, BOB, 10.0)
    store.postpone(entry, 50.0)
    assert [offered.attempts for offered in store.outbox(10.0, BOB)] == [0]


def check_actions_that_nobody_carries_out_make_their_object_due(store: Store) -> None:
    decided_action(store)
    assert store.due(9.9, ANN) == store.due(9.9, BOB) == (), "someone holds it and is at it"
    assert store.due(10.0, BOB) == (RUN,)
    store.release_leases(ANN)
    assert store.due(1.0, BOB) == (RUN,)
    claim = take(store, RUN, BOB, 1.0)
    assert store.due(1.0, BOB) == ()
    assert [entry.fence for entry in store.outbox(1.0, BOB)] == [claim.fence]


# --- rows ---


def check_rows_are_listed_by_prefix_and_id(store: Store) -> None:
    append(store, "run/shop/2", "run/shop/10", "run/other/1", "app/shop")
    decide(store, "run/shop/2", state='{"n": 2}', wake_at=8.0)
    rows = store.objects("run/shop/")
    assert [row.object for row in rows] == ["run/shop/10", "run/shop/2"]
    assert rows[1] == store.get("run/shop/2")
    assert (rows[1].state, rows[1].fence, rows[1].owner, rows[1].wake_at) == ('{"n": 2}', 1, ANN, 8.0)
    assert len(store.objects("")) == 4
    assert store.get("run/shop/1") is None


# --- who else is here ---


def check_controllers_check_in_and_out(store: Store) -> None:
    assert store.controllers() == ()
    ann = Controller(ANN, "http://ann:8080", "1.0", "host-a", "/home", 7, started_at=0.5)
    bob = Controller(BOB, "http://bob:8080", "1.1", "host-b", "/home", 8, started_at=1.5)
    for controller, now in ((bob, 2.0), (ann, 3.0)):
        store.check_in(controller, now)
    assert store.controllers() == (replace(ann, seen_at=3.0), replace(bob, seen_at=2.0))
    store.check_in(replace(bob, url="http://bob:9090", pid=9, started_at=4.0), 5.0)
    [_, newer] = store.controllers()
    assert (newer.url, newer.pid, newer.started_at, newer.seen_at) == ("http://bob:9090", 9, 4.0, 5.0)
    store.check_out(ANN)
    store.check_out("nobody")
    assert store.controllers() == (newer,)
