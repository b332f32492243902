"""How far the other members of a rollout's group are, as stored now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from trimtab.codec import decode_state
from trimtab.core.decide.environment import EnvironmentState
from trimtab.core.decide.rollout import Peer, RolloutState
from trimtab.core.model.identity import EnvironmentId, parse_environment, rollout_object
from trimtab.ports.store import Store


@dataclass(frozen=True, slots=True)
class Peers:
    """Reads the stored states of the group's other members; a member that does not exist yet has no rollout."""

    store: Store

    def __call__(self, state: RolloutState) -> tuple[Peer, ...]:
        group = state.place.group
        if group is None:
            return ()
        others = (parse_environment(member) for member in group.members if member != str(state.environment))
        return tuple(peer for other in others for peer in self._peer(other))

    def _peer(self, environment: EnvironmentId) -> Iterator[Peer]:
        row = self.store.get(environment.object_id)
        if row is None or row.state is None:
            yield Peer(str(environment), under_way=False)
            return
        number = decode_state(EnvironmentState, row.state).next_rollout - 1
        rollout = self.store.get(rollout_object(environment, number)) if number > 0 else None
        if rollout is None or rollout.state is None:
            yield Peer(str(environment), under_way=False)
            return
        theirs = decode_state(RolloutState, rollout.state)
        over = theirs.phase in ("returning", "ended")
        ending = theirs.ending if over else None
        yield Peer(
            member=str(environment),
            under_way=not over,
            ready_for=theirs.ready_for,
            outcome=None if ending is None else "returning" if theirs.phase == "returning" else ending.outcome,
            outcome_at=theirs.phase_since,
            reason=ending.reason if ending else "",
        )
