"""What every decision returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeVar

from trimtab.core.model.actions import Action
from trimtab.core.model.facts import Fact
from trimtab.core.model.identity import EnvironmentId, ObjectId
from trimtab.core.model.traffic import Share

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class Emit:
    """A fact to record. `object` None: for the deciding object itself (its own decision does not see it again)."""

    fact: Fact
    reason: str = ""
    object: ObjectId | None = None


@dataclass(frozen=True, slots=True)
class Todo:
    """An action to carry out. `key` names it within the object: the same key is carried out at most once to its end."""

    key: str
    action: Action


@dataclass(frozen=True, slots=True)
class Lease:
    """The share that is granted for as long as it is renewed. Nothing is stored of it: losing it is safe."""

    environment: EnvironmentId
    id: str
    share: Share


@dataclass(frozen=True, slots=True)
class Decision(Generic[S]):
    """The new state, what to do, what to record, and when to look again (None: only when something happens)."""

    state: S
    todo: tuple[Todo, ...] = ()
    emit: tuple[Emit, ...] = ()
    look_at: float | None = None
    lease: Lease | None = None
    """What the gateway should hold for this object's rollout now; None: nothing to renew."""
    ended: bool = False
    """The object needs no further decision."""
    idle: bool = False
    """Nothing is under way: where many objects wait, the next look may come later than asked for."""
