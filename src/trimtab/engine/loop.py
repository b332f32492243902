"""The only loop: claim what is due, look at the world, decide, store, act. Level-triggered: losing every wake-up costs
time and nothing else.

A crash after a decision was stored loses nothing, since its actions are in the outbox; a crash before it means that
nothing happened. Actions may be carried out twice, so every port call is idempotent and carries a fence.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from trimtab.codec import StateMemory, decode_action, encode_action, encode_state
from trimtab.core.errors import Problem, StaleFence, TrimtabError
from trimtab.core.model.actions import ACTIONS, Action
from trimtab.core.model.decision import Decision
from trimtab.core.model.facts import ActionDone, ActionFailed, Fact, Recorded
from trimtab.core.model.identity import EnvironmentId, ObjectId, kind_of
from trimtab.ports.clock import Clock
from trimtab.ports.store import Claim, OutboxEntry, Store
from trimtab.ports.traffic import Traffic

LEASE_S = 10.0
"""How long an object stays with a controller that does not come back for it."""
IDLE_WAIT_S = 0.5
BUSY_WAIT_S = 0.02
ATTEMPTS = 5
"""How often an action that broke (a defect, not a Problem) is tried before it counts as failed."""

log = logging.getLogger(__name__)


class Kind(Protocol):
    """How one kind of object is observed and decided."""

    @property
    def state_type(self) -> type[Any]: ...

    def fresh(self, object_id: ObjectId) -> Any:
        """The state before the first decision."""
        ...

    async def decide(self, state: Any, facts: tuple[Recorded, ...], now: float, /) -> Decision[Any]:
        """Look at the world and decide; performs nothing."""
        ...


@dataclass(frozen=True, slots=True)
class Order:
    """An action to be carried out, with what makes it safe to do twice or too late."""

    action: Any
    object: ObjectId
    key: str
    """Names the action within its object."""
    fence: int
    """The fence of the environment the action belongs to (for runs: of the run)."""

    @property
    def id(self) -> str:
        return f"{self.object}#{self.key}"


def done(order: Order) -> ActionDone:
    """The outcome of an action that has no fact of its own."""
    return ActionDone(order.key, type(order.action).__name__)


@dataclass(frozen=True, slots=True)
class Handler:
    """Carries out one kind of action."""

    do: Callable[[Order], Awaitable[Fact]]
    in_line: bool = True
    """Actions of one object are carried out one after the other; False: this one waits for long and blocks nobody."""


class Engine:
    """Runs until cancelled. `owner` names this controller in leases."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        traffic: Traffic,
        kinds: Mapping[str, Kind],
        handlers: Mapping[type[Action], Handler],
        owner: str,
    ) -> None:
        self._store, self._clock, self._traffic = store, clock, traffic
        self._kinds, self._handlers, self._owner = kinds, handlers, owner
        self._awake = asyncio.Event()
        self._hinted: set[ObjectId] = set()
        self._deciding: dict[ObjectId, asyncio.Task[None]] = {}
        self._acting: dict[str, asyncio.Task[None]] = {}
        self._fences: dict[ObjectId, int] = {}
        self._states = StateMemory()

    def wake(self, object_id: ObjectId | None = None) -> None:
        """A hint that something happened (to the object). May be called from the event loop only."""
        if object_id is not None:
            self._hinted.add(object_id)
        self._awake.set()

    async def run(self) -> None:
        """Decide and act until cancelled; then let go of every lease."""
        try:
            while True:
                self._awake.clear()
                await self._wait(self._start_what_is_due())
        finally:
            tasks = [*self._deciding.values(), *self._acting.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._store.release_leases(self._owner)

    def _start_what_is_due(self) -> float:
        """Start tasks for due objects and actions; how long to wait for the next (seconds)."""
        now = self._clock.now()
        due = dict.fromkeys(self._store.due(now, self._owner))
        due |= dict.fromkeys(self._hinted)
        self._hinted -= due.keys() - self._deciding.keys()
        for object_id in due.keys() - self._deciding.keys():
            self._spawn(self._deciding, object_id, self._decide(object_id))
        for entry in self._store.outbox(now, self._owner):
            lane = self._lane(entry)
            if lane not in self._acting:
                self._spawn(self._acting, lane, self._act(entry))
        next_due = self._store.next_due(self._owner)
        if self._deciding or self._acting:
            return BUSY_WAIT_S if next_due is not None and next_due <= now else IDLE_WAIT_S
        return IDLE_WAIT_S if next_due is None else min(IDLE_WAIT_S, max(0.0, next_due - now))

    async def _wait(self, seconds: float) -> None:
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        waking = asyncio.ensure_future(self._awake.wait())
        try:
            await asyncio.wait((sleeping, waking), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            waking.cancel()

    def _spawn(self, tasks: dict[str, asyncio.Task[None]], name: str, work: Any) -> None:
        async def guarded() -> None:
            try:
                await work
            except StaleFence as stale:
                log.warning("%s moved to another controller: %s", name, stale)
                self._fences.clear()
            except Exception:
                log.exception("%s could not be worked on; it is tried again", name)
                await self._clock.sleep(1.0)
            finally:
                tasks.pop(name, None)
                self._awake.set()

        tasks[name] = asyncio.create_task(guarded(), name=name)

    # --- decide ---

    async def _decide(self, object_id: ObjectId) -> None:
        kind = self._kinds[kind_of(object_id)]
        claim = self._claim(object_id)
        if claim is None:
            return
        stored = claim.state
        state = self._states.decode(object_id, kind.state_type, stored) if stored else kind.fresh(object_id)
        now = self._clock.now()
        decision = await kind.decide(state, claim.facts, now)
        self._commit(claim, decision, now)
        if decision.lease is not None:
            lease = decision.lease
            fence = self._fences.get(_fenced_by(object_id), claim.fence)
            await self._traffic.lease(lease.environment, lease.id, lease.share, fence)

    def _claim(self, object_id: ObjectId) -> Claim | None:
        """Claim the object, and the environment it belongs to first: one controller at a time moves an environment."""
        now, above = self._clock.now(), _fenced_by(object_id)
        if above != object_id:
            environment = self._store.claim(above, self._owner, now, LEASE_S)
            if environment is None:
                return None
            self._fences[above] = environment.fence
        claim = self._store.claim(object_id, self._owner, now, LEASE_S)
        if claim is not None:
            self._fences[object_id] = claim.fence
        return claim

    def _commit(self, claim: Claim, decision: Decision[Any], now: float) -> None:
        facts = [Recorded(emit.object or claim.object, emit.fact, reason=emit.reason, at=now) for emit in decision.emit]
        todo = [
            OutboxEntry(
                id=f"{claim.object}#{todo.key}",
                object=claim.object,
                fence=claim.fence,
                kind=type(todo.action).__name__,
                action=encode_action(todo.action),
            )
            for todo in decision.todo
        ]
        encoded = encode_state(decision.state)
        self._store.commit(
            claim,
            state=encoded,
            facts=facts,
            todo=todo,
            wake_at=decision.look_at,
            ended=decision.ended,
            now=now,
        )
        if decision.ended:
            self._states.forget(claim.object)
        else:
            self._states.keep(claim.object, encoded, decision.state)

    # --- act ---

    def _lane(self, entry: OutboxEntry) -> str:
        return entry.object if self._handlers[_action_type(entry)].in_line else entry.id

    async def _act(self, entry: OutboxEntry) -> None:
        handler = self._handlers[_action_type(entry)]
        key = entry.id.removeprefix(f"{entry.object}#")
        fence = self._fences.get(_fenced_by(entry.object), entry.fence)
        order = Order(decode_action(entry.kind, entry.action), entry.object, key, fence)
        try:
            fact = await handler.do(order)
        except StaleFence:
            raise
        except TrimtabError as error:
            fact = ActionFailed(key, entry.kind, error.problem)
        except Exception as error:
            log.exception("%s failed", entry.id)
            if entry.attempts + 1 < ATTEMPTS:
                self._store.postpone(entry, self._clock.now() + 0.2 * 2**entry.attempts)
                return
            fact = ActionFailed(key, entry.kind, _defect(entry, error))
        self._done(entry, [fact])

    def _done(self, entry: OutboxEntry, facts: Sequence[Fact]) -> None:
        now = self._clock.now()
        self._store.done(entry, [Recorded(entry.object, fact, at=now) for fact in facts], now)


def _action_type(entry: OutboxEntry) -> type[Action]:
    return ACTIONS[entry.kind]


def _fenced_by(object_id: ObjectId) -> ObjectId:
    """The object whose fence guards what this one does: a rollout acts in the name of its environment."""
    kind, _, rest = object_id.partition("/")
    return EnvironmentId(*rest.split("/")[:2]).object_id if kind == "rollout" else object_id


def _defect(entry: OutboxEntry, error: Exception) -> Problem:
    return Problem(
        "defect",
        f"{entry.kind} broke: {type(error).__name__}: {error}",
        "this is a defect of Trimtab; its log has the details",
        where=entry.object,
    )
