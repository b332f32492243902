"""The only loop: claim what is due, look at the world, decide, store, act. Level-triggered: losing every wake-up costs
time and nothing else.

A crash after a decision was stored loses nothing, since its actions are in the outbox; a crash before it means that
nothing happened. Actions may be carried out twice, so every port call is idempotent and carries a fence.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

from trimtab.codec import StateMemory, decode_action, encode_action, encode_state
from trimtab.core.errors import Problem, StaleFence, TrimtabError, stale_fence
from trimtab.core.model.actions import ACTIONS, Action
from trimtab.core.model.decision import Decision
from trimtab.core.model.facts import ActionDone, ActionFailed, Fact, Recorded
from trimtab.core.model.identity import EnvironmentId, ObjectId, kind_of
from trimtab.engine.agenda import Agenda
from trimtab.engine.idle import IdleLooks
from trimtab.engine.replicas import LEASE_S, Lead, Sharing
from trimtab.ports.clock import Clock
from trimtab.ports.store import Claim, OutboxEntry, Store
from trimtab.ports.traffic import Traffic

POLL_S = 0.5
"""How often the store is asked what is due. What this controller did itself it knows without asking."""
SET_BACK_S = 1.0
"""By how much a clock may be corrected without a word."""
TROUBLED_WAIT_S = 1.0
AGAIN_S = 1.0
SHUNNED_S = 30.0
"""How long an object that only a newer version can read is left alone."""
AT_ONCE = 64
"""How many objects are decided at the same time. Between such groups everybody else has a turn."""
IDLE_AT_ONCE = 8
DUE_LIMIT = 1000
"""How many objects are begun of what others left, for each question to the store: a controller that comes back to ten
thousand applications has time for its rollouts, too. Those that wait longest come first."""
OUTBOX_LIMIT = 50_000
LED = ("env", "rollout")
"""Kinds of objects that move traffic."""
IDLING = ("app", "env")
"""Kinds of objects that outlive what they do: most of them have nothing to do most of the time."""
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
    """Of what the object acts in the name of (see `Engine._fenced_by`): gateway and instances refuse an older one."""

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


Claimed = tuple[Claim, int]
"""A claim with the fence for gateway and instances: that of what the object acts in the name of."""


class Engine:
    """Runs until cancelled. `owner` names this controller in leases."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        traffic: Traffic | None,
        kinds: Mapping[str, Kind],
        handlers: Mapping[type[Action], Handler],
        owner: str,
        lead: Lead | None = None,
        sharing: Sharing | None = None,
    ) -> None:
        """`traffic`: None where nothing is deployed. `lead`: for a data plane that only one controller at a time may
        move, environments and rollouts are decided by that one. `sharing`: how several controllers spread what any of
        them may do."""
        self._store, self._clock, self._traffic = store, clock, traffic
        self._lead, self._sharing = lead, sharing
        self._kinds, self._handlers, self._owner = kinds, handlers, owner
        self._awake = asyncio.Event()
        self._agenda = Agenda()
        self._idle = IdleLooks()
        self._deciding: dict[ObjectId, asyncio.Task[None]] = {}
        self._acting: dict[str, asyncio.Task[None]] = {}
        self._states = StateMemory()
        self._to_store: list[tuple[Claim, Decision[Any], float, asyncio.Future[None]]] = []
        self._poll_at = 0.0
        self._latest = 0.0
        """The clock at the last pass; 0: there was none."""
        self._actions_wait = False
        self._trouble, self._troubled_at = "", 0.0

    def wake(self, object_id: ObjectId | None = None) -> None:
        """A hint that something happened (to the object). May be called from the event loop only."""
        if object_id is not None:
            self._agenda.put(object_id, 0.0)
        else:
            self._poll_at = 0.0
        self._awake.set()

    @property
    def trouble(self) -> str:
        """Why nothing can be decided at the moment; empty if it can."""
        return self._trouble

    async def run(self) -> None:
        """Decide and act until cancelled; then let go of every lease."""
        try:
            while True:
                self._awake.clear()
                await self._wait(self._pass())
        finally:
            tasks = [*self._deciding.values(), *self._acting.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            with contextlib.suppress(TrimtabError):
                self._store.release_leases(self._owner)

    # --- what is next ---

    def _pass(self) -> float:
        """Start tasks for what is due; how long to wait until the next pass (seconds)."""
        now = self._clock.now()
        try:
            if now < self._latest - SET_BACK_S or self._latest == 0.0:
                self._mind_the_clock(now)
            self._latest = now
            if now >= self._poll_at:
                self._poll(now)
            if self._actions_wait:
                self._start_actions(now)
            self._start_decisions(now)
        except TrimtabError as error:
            # Nothing is decided while the store cannot be used. Traffic goes on; shares end by their leases.
            self._meet_trouble(str(error), now)
            return TROUBLED_WAIT_S
        self._leave_trouble(now)
        next_at = None if len(self._deciding) >= AT_ONCE else self._agenda.next_at()
        return max(0.0, min(self._poll_at, self._poll_at if next_at is None else next_at) - now)

    def _mind_the_clock(self, now: float) -> None:
        """After a start, or when the clock was set back: nothing may wait for the clock of before."""
        newest = max((fact.at for fact in self._store.facts(newest_first=True, limit=1)), default=0.0)
        back_s = max(self._latest, newest) - now
        if back_s > SET_BACK_S:
            log.warning("the clock was set back by %.1f s; everything is looked at again", back_s)
            self._store.rewind(now)
            self._agenda.rewind()
            self._poll_at = 0.0

    def _poll(self, now: float) -> None:
        """Ask the store for what others left: the API, controllers that died, facts of other objects' decisions."""
        if self._sharing is not None:
            self._sharing.check_in(now)
        if self._lead is not None:
            self._lead.keep(now, self._begin_to_lead)
        self._store.look_again(self._idle.looked_at(), now)
        idle: list[ObjectId] = []
        urgent: list[ObjectId] = []
        for object_id in self._store.due(now, self._owner, DUE_LIMIT):
            if self._may_begin(object_id, now):
                (idle if kind_of(object_id) in IDLING else urgent).append(object_id)
        for object_id in urgent:
            self._agenda.put(object_id, now)
        self._agenda.queue(object_id for object_id in idle if object_id not in self._deciding)
        self._actions_wait = True
        self._poll_at = now + POLL_S

    def _begin_to_lead(self, tell: Callable[[], Awaitable[None]]) -> None:
        async def lead() -> None:
            await tell()
            self._poll_at = 0.0  # what nobody else may decide waits for this

        if "lead" not in self._acting:
            self._spawn(self._acting, "lead", lead)

    def _may_begin(self, object_id: ObjectId, now: float) -> bool:
        """Whether this controller should look at what is due; who may decide it is settled by the claim."""
        if self._idle.is_shunned(object_id, now):
            return False
        if kind_of(object_id) in LED and self._lead is not None:
            return self._lead.fence is not None
        return self._sharing is None or self._sharing.takes(object_id, now)

    def _start_decisions(self, now: float) -> None:
        taken = list(self._agenda.take(now, self._deciding, AT_ONCE - len(self._deciding)))
        idle = list(self._agenda.take_idle(min(IDLE_AT_ONCE, AT_ONCE - len(self._deciding) - len(taken))))
        for object_id, claimed in self._claim_all(taken).items():
            self._spawn(self._deciding, object_id, partial(self._decide, object_id, claimed))
        for object_id in idle:
            if object_id not in self._deciding:
                self._spawn(self._deciding, object_id, partial(self._look, object_id))

    def _claim_all(self, objects: Collection[ObjectId]) -> Mapping[ObjectId, Claimed]:
        """Claims of those that can be had, with one wait for the disk for all that need a write."""
        if not objects:
            return {}
        with self._store.together({*objects, *map(self._fenced_by, objects)}):
            claimed = {object_id: self._claim(object_id) for object_id in objects}
        return {object_id: claim for object_id, claim in claimed.items() if claim is not None}

    def _start_actions(self, now: float) -> None:
        self._actions_wait = False
        for entry in self._store.outbox(now, self._owner, OUTBOX_LIMIT):
            lane = self._lane(entry)
            if lane not in self._acting:
                self._spawn(self._acting, lane, partial(self._act, entry))

    async def _wait(self, seconds: float) -> None:
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        waking = asyncio.ensure_future(self._awake.wait())
        try:
            await asyncio.wait((sleeping, waking), return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            waking.cancel()

    def _spawn(self, tasks: dict[str, asyncio.Task[None]], name: str, work: Callable[[], Awaitable[None]]) -> None:
        async def guarded() -> None:
            try:
                await work()
            except StaleFence as stale:
                log.warning("%s moved to another controller: %s", name, stale)
            except TrimtabError as error:
                log.warning("%s could not be worked on; it is tried again: %s", name, error)
                await self._clock.sleep(AGAIN_S)
            except Exception:
                log.exception("%s could not be worked on; it is tried again", name)
                await self._clock.sleep(AGAIN_S)
            finally:
                tasks.pop(name, None)
                self._agenda.finished(name, self._clock.now())
                self._awake.set()

        tasks[name] = asyncio.create_task(guarded(), name=name)

    def _meet_trouble(self, said: str, now: float) -> None:
        if not self._trouble:
            log.error("nothing can be decided; it is tried again until it can: %s", said)
        self._trouble, self._troubled_at = said, now

    def _leave_trouble(self, now: float) -> None:
        """Not before a lease had to be renewed without trouble: a full disk can be read."""
        if self._trouble and not 0 <= now - self._troubled_at < LEASE_S:
            self._trouble = ""
            log.warning("decisions are made again")

    # --- decide ---

    async def _look(self, object_id: ObjectId) -> None:
        """Of an object that has nothing to do most of the time: see whether it has now."""
        if not await self._only_looks(object_id, self._kinds[kind_of(object_id)]):
            for claimed in self._claim_all([object_id]).values():
                await self._decide(object_id, claimed)

    async def _decide(self, object_id: ObjectId, claimed: Claimed) -> None:
        kind = self._kinds[kind_of(object_id)]
        self._idle.forget(object_id)
        claim, gate = claimed
        state = self._read(object_id, kind, claim.state)
        if state is None:
            return
        now = self._clock.now()
        decision = await kind.decide(state, claim.facts, now)
        await self._stored(claim, decision, now)
        if decision.lease is not None and self._traffic is not None:
            lease = decision.lease
            await self._traffic.lease(lease.environment, lease.id, lease.share, gate)

    async def _only_looks(self, object_id: ObjectId, kind: Kind) -> bool:
        """Whether a look without a claim shows that there is nothing to do."""
        text = self._store.peek(object_id)
        if text is None:
            return False
        state = self._read(object_id, kind, text)
        if state is None:
            return True
        now = self._clock.now()
        decision = await kind.decide(state, (), now)
        if not decision.idle or decision.emit or decision.todo or decision.look_at is None or decision.state != state:
            return False
        self._idle.saw(object_id, decision.look_at - now, now)
        return True

    def _read(self, object_id: ObjectId, kind: Kind, text: str | None) -> Any:
        """The state; None when a newer version of Trimtab wrote it: then it is left to that one for a while."""
        try:
            return self._states.decode(object_id, kind.state_type, text) if text else kind.fresh(object_id)
        except TrimtabError as error:
            log.warning("%s is left to a controller of a newer version: %s", object_id, error)
            self._idle.shun(object_id, self._clock.now() + SHUNNED_S)
            self._store.release_leases(self._owner, object_id)
            return None

    def _claim(self, object_id: ObjectId) -> Claimed | None:
        """Claim the object, and what it acts in the name of first: one controller at a time moves an environment."""
        now, above = self._clock.now(), self._fenced_by(object_id)
        guard = self._store.claim(above, self._owner, now, LEASE_S) if above != object_id else None
        if above != object_id and (guard is None or not self._leads(object_id, guard.fence)):
            return None
        claim = self._store.claim(object_id, self._owner, now, LEASE_S)
        return None if claim is None else (claim, (guard or claim).fence)

    def _leads(self, object_id: ObjectId, fence: int) -> bool:
        """Whether the data plane was told that this controller moves it now."""
        return self._lead is None or kind_of(object_id) not in LED or self._lead.fence == fence

    def _fenced_by(self, object_id: ObjectId) -> ObjectId:
        """The object whose fence guards what this one does: a rollout acts in the name of its environment, and both in
        that of who leads the data plane, if somebody has to."""
        kind, _, rest = object_id.partition("/")
        if kind in LED and self._lead is not None:
            return self._lead.object_id
        return EnvironmentId(*rest.split("/")[:2]).object_id if kind == "rollout" else object_id

    async def _stored(self, claim: Claim, decision: Decision[Any], now: float) -> None:
        """Store a decision, together with all that are made in the same turn of the event loop."""
        done = asyncio.get_running_loop().create_future()
        self._to_store.append((claim, decision, now, done))
        if len(self._to_store) == 1:
            asyncio.get_running_loop().call_soon(self._store_all)
        await done

    def _store_all(self) -> None:
        batch, self._to_store = self._to_store, []
        refused: dict[ObjectId, BaseException] = {}
        touched = {claim.object for claim, *_ in batch}
        touched |= {emit.object for _, decision, *_ in batch for emit in decision.emit if emit.object is not None}
        try:
            with self._store.together(touched):
                for claim, decision, now, _ in batch:
                    try:
                        self._commit(claim, decision, now)
                    except StaleFence as stale:
                        refused[claim.object] = stale
        except BaseException as error:
            refused = {claim.object: error for claim, *_ in batch}
        for claim, decision, _, done in batch:
            if claim.object not in refused:
                self._plan(claim.object, decision)
            if not done.done():
                if claim.object in refused:
                    done.set_exception(refused[claim.object])
                else:
                    done.set_result(None)

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
        # Right even if the transaction around it fails: what is remembered is only used while the stored text is this.
        if decision.ended:
            self._states.forget(claim.object)
        else:
            self._states.keep(claim.object, encoded, decision.state)

    def _plan(self, object_id: ObjectId, decision: Decision[Any]) -> None:
        """What follows from a stored decision, without asking the store for it."""
        for emit in decision.emit:
            if emit.object not in (None, object_id):
                self._agenda.put(emit.object, 0.0)
        if decision.look_at is not None and not decision.ended and not decision.idle:
            # What is idle is found by asking the store, and only looked at then.
            self._agenda.put(object_id, decision.look_at)
        self._actions_wait = self._actions_wait or bool(decision.todo)

    # --- act ---

    def _lane(self, entry: OutboxEntry) -> str:
        return entry.object if self._handlers[_action_type(entry)].in_line else entry.id

    async def _act(self, entry: OutboxEntry) -> None:
        handler = self._handlers[_action_type(entry)]
        key = entry.id.removeprefix(f"{entry.object}#")
        order = Order(decode_action(entry.kind, entry.action), entry.object, key, self._gate_fence(entry))
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

    def _gate_fence(self, entry: OutboxEntry) -> int:
        """The fence for the gateway. Raises `StaleFence` when the object, or the environment it acts for, has changed
        hands: a controller that was paused between offer and act leaves the action to whoever holds it now."""
        above = self._store.get(self._fenced_by(entry.object))
        own = above if self._fenced_by(entry.object) == entry.object else self._store.get(entry.object)
        held = above is not None and own is not None and own.fence == entry.fence and above.owner == self._owner
        if above is None or not held or not self._leads(entry.object, above.fence):
            raise stale_fence(entry.object, own.fence if own else 0, entry.fence)
        return above.fence

    def _done(self, entry: OutboxEntry, facts: Sequence[Fact]) -> None:
        now = self._clock.now()
        self._store.done(entry, [Recorded(entry.object, fact, at=now) for fact in facts], now)
        self._agenda.put(entry.object, 0.0)
        self._actions_wait = True


def _action_type(entry: OutboxEntry) -> type[Action]:
    return ACTIONS[entry.kind]


def _defect(entry: OutboxEntry, error: Exception) -> Problem:
    return Problem(
        "defect",
        f"{entry.kind} broke: {type(error).__name__}: {error}",
        "this is a defect of Trimtab; its log has the details",
        where=entry.object,
    )
