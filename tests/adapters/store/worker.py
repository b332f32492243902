"""A controller at its busiest, for tests that run several of them or end them at any moment.

Each tick counts `COUNTER` up by one. The number goes into the state, into a fact for the counter, a fact for `LISTENER`
and an action, all in one commit; so whatever happens, they must tell the same story.
"""

from __future__ import annotations

import os
import resource
import signal
import time
from multiprocessing.connection import Connection
from pathlib import Path

from tests.adapters.store.schema_1 import Schema1Store
from trimtab.adapters.store_sql.opening import open_store
from trimtab.codec import encode_action
from trimtab.core.errors import StaleFence, TrimtabError
from trimtab.core.model.actions import CleanWorkspace
from trimtab.core.model.facts import ActionDone, InstancesReady, Recorded
from trimtab.ports.store import Controller, OutboxEntry, Store

COUNTER = "run/shop/1"
LISTENER = "app/shop"
ALL = 1_000_000


def count_up(store: Store, owner: str, ttl_s: float) -> int | None:
    """One tick: the number it stored, or None when another controller was faster."""
    now = time.time()
    claim = store.claim(COUNTER, owner, now, ttl_s)
    if claim is None:
        return None
    number = int(claim.state or 0) + 1
    action = OutboxEntry(
        f"{COUNTER}#{number}", COUNTER, claim.fence, "CleanWorkspace", encode_action(CleanWorkspace("shop", number))
    )
    facts = [Recorded(name, InstancesReady(f"release {number}", number)) for name in (COUNTER, LISTENER)]
    try:
        store.commit(claim, state=str(number), facts=facts, todo=[action], wake_at=now, ended=False, now=now)
    except StaleFence:
        return None
    return number


def act(store: Store, owner: str) -> None:
    """Carry out what is offered, but leave the newest."""
    now = time.time()
    for entry in store.outbox(now, owner)[:-1]:
        try:
            store.done(entry, [Recorded(COUNTER, ActionDone(entry.id, entry.kind))], now)
        except StaleFence:
            return


def verify(store: Store) -> int:
    """Assert that state, facts and outbox agree; the number they agree on."""
    row = store.get(COUNTER)
    if row is None or row.state is None:
        assert store.facts() == ()
        return 0
    numbers = list(range(1, int(row.state) + 1))
    for name in (COUNTER, LISTENER):
        told = store.facts(object_prefix=name, kinds=["InstancesReady"], limit=ALL)
        assert [fact.fact.count for fact in told if isinstance(fact.fact, InstancesReady)] == numbers
    outcomes = [fact.fact for fact in store.facts(kinds=["ActionDone"], limit=ALL)]
    done = [outcome.action for outcome in outcomes if isinstance(outcome, ActionDone)]
    pending = [entry.id for entry in store.pending(COUNTER)]
    assert sorted(done + pending) == sorted(f"{COUNTER}#{number}" for number in numbers)
    return len(numbers)


def work_until_killed(place: Path | str, progress: Connection) -> None:
    """Tick for ever, and say so after each."""
    store = open_store(place)
    while True:
        number = count_up(store, "immortal", 60.0)
        act(store, "immortal")
        progress.send(number)


def work_on_schema_1(place: Path | str, progress: Connection) -> None:
    """The same by a program of that schema."""
    store = Schema1Store(place)
    while True:
        number = count_up(store, "immortal", 60.0)
        act(store, "immortal")
        progress.send(number)


def work_until(place: Path | str, owner: str, target: int, ttl_s: float, result: Connection) -> None:
    """Tick until the counter is at `target` and a tick of ours is among them; sends how many of them were stored."""
    store = open_store(place)
    stored = 0
    while stored == 0 or int(getattr(store.get(COUNTER), "state", None) or 0) < target:
        stored += count_up(store, owner, ttl_s) is not None
        act(store, owner)
    result.send(stored)
    store.close()


def work_until_the_disk_is_full(path: Path, size_bytes: int, result: Connection) -> None:
    """Tick until a file would grow beyond `size_bytes`; sends the last stored number and the error's code."""
    store = open_store(path)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, size_bytes))
    number: int | None = None
    try:
        while True:
            number = count_up(store, "ann", 60.0) or number
    except TrimtabError as error:
        result.send((number, error.problem.code))


def pause_while_writing(place: Path, checks_in: bool, progress: Connection) -> None:
    """Stop (SIGSTOP) in the middle of a transaction."""
    store = open_store(place)
    if checks_in:
        store.check_in(Controller("ann", "http://here", "1", "host", "/home", os.getpid(), time.time()), time.time())
    with store.together([COUNTER]):
        count_up(store, "ann", 60.0)
        progress.send("paused")
        os.kill(os.getpid(), signal.SIGSTOP)
