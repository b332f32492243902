"""Whatever is done in whatever order, the real stores and the one in memory tell the same story."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from trimtab.adapters.store_sql.opening import open_store
from trimtab.codec import encode_action
from trimtab.core.errors import StaleFence
from trimtab.core.model.actions import CancelSteps
from trimtab.core.model.facts import ActionDone, PauseRequested, Recorded
from trimtab.ports.store import Claim, Controller, OutboxEntry, Store
from trimtab.testing.memory_store import MemoryStore

T = TypeVar("T")

OWNERS = ("ann", "bob")
OBJECTS = ("app/shop", "run/shop/1", "run/shop/2")
owners = st.sampled_from(OWNERS)
objects = st.sampled_from(OBJECTS)
facts = st.lists(
    st.builds(
        Recorded,
        objects,
        st.builds(PauseRequested, st.sampled_from(("p", "q"))) | st.builds(ActionDone, st.just("a"), st.just("b")),
        key=st.sampled_from((None, "k1", "k2", "k3")),
    ),
    max_size=3,
)
keys = st.lists(st.sampled_from("abc"), max_size=2)
delays = st.sampled_from((0.0, 0.5, 3.0, 6.0))


class Stores(RuleBasedStateMachine):
    claims: Bundle[Claim] = Bundle("claims")
    entries: Bundle[OutboxEntry] = Bundle("entries")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.real: Store = open_store(self.place())
        self.model: Store = MemoryStore()
        self.now = 1.0

    def place(self) -> Path | str:
        return Path(self.folder.name) / "store.db"

    def both(self, ask: Callable[[Store], T]) -> T | str:
        answers = [_answer(ask, store) for store in (self.real, self.model)]
        assert answers[0] == answers[1]
        return answers[0]

    @initialize()
    def empty(self) -> None:
        self.both(lambda store: store.append([Recorded("app/shop", PauseRequested("p"))], self.now))

    @rule(delay=delays)
    def time_passes(self, delay: float) -> None:
        self.now += delay

    @rule(facts=facts)
    def append(self, facts: Sequence[Recorded]) -> None:
        self.both(lambda store: store.append(facts, self.now))

    @rule(target=claims, object_id=objects, owner=owners)
    def claim(self, object_id: str, owner: str) -> Claim | MultipleResults[Claim]:
        claim = self.both(lambda store: store.claim(object_id, owner, self.now, 4.0))
        return claim if isinstance(claim, Claim) else multiple()

    @rule(claim=claims, facts=facts, keys=keys, wake_in=st.none() | delays, ended=st.booleans())
    def commit(
        self, claim: Claim, facts: Sequence[Recorded], keys: list[str], wake_in: float | None, ended: bool
    ) -> None:
        action = encode_action(CancelSteps("shop", 1))
        todo = [OutboxEntry(f"{claim.object}#{key}", claim.object, claim.fence, "CancelSteps", action) for key in keys]
        wake_at = None if wake_in is None else self.now + wake_in
        self.both(
            lambda store: store.commit(
                claim, state=f'"{self.now}"', facts=facts, todo=todo, wake_at=wake_at, ended=ended, now=self.now
            )
        )

    @rule(target=entries, owner=owners)
    def look_into_the_outbox(self, owner: str) -> MultipleResults[OutboxEntry]:
        offered = self.both(lambda store: store.outbox(self.now, owner))
        assert isinstance(offered, tuple)
        return multiple(*offered)

    @rule(entry=entries, facts=facts)
    def done(self, entry: OutboxEntry, facts: Sequence[Recorded]) -> None:
        self.both(lambda store: store.done(entry, facts, self.now))

    @rule(entry=entries, delay=delays)
    def postpone(self, entry: OutboxEntry, delay: float) -> None:
        self.both(lambda store: store.postpone(entry, self.now + delay))

    @rule(object_id=objects, delay=delays)
    def look_again(self, object_id: str, delay: float) -> None:
        self.both(lambda store: store.look_again({object_id: self.now + delay}, self.now))

    @rule(seqs=st.lists(st.integers(1, 12), max_size=3), instead=facts, actions_of=st.lists(objects, max_size=2))
    def prune(self, seqs: list[int], instead: Sequence[Recorded], actions_of: list[str]) -> None:
        known = {row.object for row in self.model.objects("")}
        told = [fact for fact in instead if fact.object in known]
        self.both(lambda store: store.prune(set(seqs), instead=told, actions_of=actions_of, now=self.now))

    @rule(name=st.sampled_from("ab"), seq=st.integers(0, 9), body=st.sampled_from(("x", "y")))
    def keep_snapshot(self, name: str, seq: int, body: str) -> None:
        self.both(lambda store: store.keep_snapshot(name, seq, body))

    @rule(owner=owners, here=st.booleans())
    def come_and_go(self, owner: str, here: bool) -> None:
        described = Controller(owner, "http://here", "1.0", "host", "/home", 1, 0.5)
        self.both(lambda store: store.check_in(described, self.now) if here else store.check_out(owner))

    @rule(owner=owners)
    def release_leases(self, owner: str) -> None:
        self.both(lambda store: store.release_leases(owner))

    @rule(
        after=st.integers(0, 8),
        limit=st.integers(1, 4),
        prefix=st.sampled_from(("", "run/", "run/shop/1", "x")),
        kinds=st.sampled_from(((), ("PauseRequested",), ("ActionDone", "PauseRequested"))),
        newest_first=st.booleans(),
    )
    def read(self, after: int, limit: int, prefix: str, kinds: tuple[str, ...], newest_first: bool) -> None:
        self.both(
            lambda store: store.facts(
                after=after, limit=limit, object_prefix=prefix, kinds=kinds, newest_first=newest_first
            )
        )

    @invariant()
    def they_agree(self) -> None:
        self.both(lambda store: (store.facts(), store.objects("")))
        self.both(lambda store: (store.controllers(), [store.snapshot(name) for name in "ab"]))
        self.both(lambda store: [store.facts(object_id=object_id) for object_id in OBJECTS])
        self.both(lambda store: [store.due(self.now, owner) for owner in OWNERS])
        self.both(lambda store: [(store.peek(object_id), store.pending(object_id)) for object_id in OBJECTS])

    def teardown(self) -> None:
        self.real.close()
        self.folder.cleanup()


def _answer(ask: Callable[[Store], T], store: Store) -> T | str:
    try:
        return ask(store)
    except StaleFence as stale:
        return str(stale)


TestStores = Stores.TestCase
TestStores.settings = settings(max_examples=40, stateful_step_count=40, deadline=None)


def test_postgres_tells_it_too(fresh_postgres: Callable[[], str]) -> None:
    class OnPostgres(Stores):
        def place(self) -> str:
            return fresh_postgres()

    run_state_machine_as_test(OnPostgres, settings=settings(max_examples=20, stateful_step_count=40, deadline=None))
