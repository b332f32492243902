"""The moves that the Store's contract is told in."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from trimtab.codec import encode_action
from trimtab.core.errors import StaleFence
from trimtab.core.model.actions import CancelSteps
from trimtab.core.model.facts import PauseRequested, Recorded
from trimtab.core.model.identity import ObjectId
from trimtab.ports.store import Claim, OutboxEntry, Store

ANN, BOB = "ann", "bob"
"""Two controllers."""
RUN = "run/shop/1"
APP = "app/shop"
TTL_S = 10.0


def paused(object_id: ObjectId) -> Recorded:
    return Recorded(object_id, PauseRequested("ann"))


def append(store: Store, *object_ids: ObjectId, now: float = 0.0) -> tuple[Recorded, ...]:
    return store.append([paused(object_id) for object_id in object_ids], now)


def take(store: Store, object_id: ObjectId, owner: str, now: float) -> Claim:
    claim = store.claim(object_id, owner, now, TTL_S)
    assert claim is not None, f"{owner} should get {object_id} at {now}"
    return claim


def commit(
    store: Store,
    claim: Claim,
    facts: Sequence[Recorded] = (),
    todo: Sequence[OutboxEntry] = (),
    *,
    state: str = "{}",
    wake_at: float | None = None,
    ended: bool = False,
    now: float = 0.0,
) -> tuple[Recorded, ...]:
    return store.commit(claim, state=state, facts=facts, todo=todo, wake_at=wake_at, ended=ended, now=now)


def decide(
    store: Store, object_id: ObjectId, *, state: str = "{}", wake_at: float | None = None, ended: bool = False
) -> None:
    commit(store, take(store, object_id, ANN, 0.0), state=state, wake_at=wake_at, ended=ended)


def an_action(claim: Claim, key: str) -> OutboxEntry:
    action = CancelSteps("shop", 1)
    return OutboxEntry(f"{claim.object}#{key}", claim.object, claim.fence, type(action).__name__, encode_action(action))


def decided_action(store: Store, object_id: ObjectId = RUN, now: float = 0.0) -> OutboxEntry:
    """An action that ann decided now, with her lease for 10 s."""
    append(store, object_id, now=now)
    claim = take(store, object_id, ANN, now)
    entry = an_action(claim, "stop")
    commit(store, claim, todo=[entry], now=now)
    return entry


def refused(instruction: Callable[[], object]) -> None:
    try:
        instruction()
    except StaleFence:
        return
    raise AssertionError("a stale fence was taken")
