"""Forgets what `core.decide.retention` lets go: object by object, in small steps, and others have turns in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from trimtab.core.decide.retention import ENDLESS, ENDS, ROUTINE, Retention, forgettable, has_ended
from trimtab.core.model.facts import Recorded
from trimtab.core.model.identity import ObjectId, kind_of
from trimtab.ports.clock import Clock
from trimtab.ports.store import Store
from trimtab.views.rollouts import sum_up

PAGE = 500
"""How many facts are read, or removed, at once."""
OBJECTS_AT_ONCE = 1000
"""How many ended objects are looked at in one go; the next go takes the next ones."""
MARK = "pruned/"
"""With the kind of end, name of the snapshot that says up to which fact all ends of the kind were followed."""


@dataclass(frozen=True, slots=True)
class Pruner:
    """Forgets routine facts, and which actions of ended objects were carried out."""

    store: Store
    clock: Clock
    retention: Retention = field(default_factory=Retention)

    async def go(self) -> int:
        """A bounded part of the work; how many facts are gone."""
        before = self.clock.now() - self.retention.routine_s
        gone = 0
        for prefix in ENDLESS:
            facts = self.store.facts(object_prefix=prefix, kinds=ROUTINE, limit=PAGE)
            gone += await self._prune([fact.seq for fact in facts if fact.at < before])
        for kind in ENDS:
            gone += await self._follow_ends(kind, before)
        return gone

    async def _follow_ends(self, kind: str, before: float) -> int:
        """Objects in the order in which they ended, from where the last go stopped."""
        mark = self.store.snapshot(MARK + kind)
        done = start = mark.seq if mark else 0
        gone = 0
        for end in self.store.facts(after=start, kinds=(kind,), limit=OBJECTS_AT_ONCE):
            if end.at >= before:
                break
            if has_ended(end):
                gone += await self._forget(end.object)
            done = end.seq
        if done > start:
            self.store.keep_snapshot(MARK + kind, done, "")
        return gone

    async def _forget(self, object_id: ObjectId) -> int:
        facts = await self._facts_of(object_id)
        total = sum_up(facts) if kind_of(object_id) == "rollout" else None
        seqs = forgettable(fact for fact in facts if fact.kind in ROUTINE)
        instead = Recorded(object_id, total, "its ticks are old", key=f"summed/{object_id}") if total else None
        return await self._prune(seqs, instead, object_id)

    async def _facts_of(self, object_id: ObjectId) -> list[Recorded]:
        facts: list[Recorded] = []
        while page := self.store.facts(after=facts[-1].seq if facts else 0, object_id=object_id, limit=PAGE):
            facts += page
            await self.clock.sleep(0.0)
        return facts

    async def _prune(self, seqs: Sequence[int], instead: Recorded | None = None, of: ObjectId = "") -> int:
        """The sum is recorded in the same transaction that removes the first of what it sums up."""
        gone = 0
        for first in range(0, max(len(seqs), 1 if of else 0), PAGE):
            page, now = seqs[first : first + PAGE], self.clock.now()
            gone += self.store.prune(
                page,
                instead=[instead] if instead and not first else [],
                actions_of=[of] if of and not first else [],
                now=now,
            )
            await self.clock.sleep(0.0)
        return gone
