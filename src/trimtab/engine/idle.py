"""Looking at what has nothing to do: the more there is of it, the less often, so that ten thousand idle applications
cost no more than a few hundred."""

from __future__ import annotations

from collections.abc import Mapping

from trimtab.core.model.identity import ObjectId

LOOKS_PER_S = 150.0
"""How many idle objects a controller looks at in a second, at most. What happens to one of them does not wait for that
look: it is announced (a push, a process that ends, a commit in the state repository)."""


class IdleLooks:
    """Which objects are idle as far as this controller has seen, and when it wants to see them again."""

    def __init__(self) -> None:
        self._known: set[ObjectId] = set()
        self._looks: dict[ObjectId, float] = {}
        self._shunned: dict[ObjectId, float] = {}

    def saw(self, object_id: ObjectId, look_in_s: float, now: float) -> None:
        """The object has nothing to do; it asks for a look in so many seconds."""
        self._known.add(object_id)
        self._looks[object_id] = now + max(look_in_s, len(self._known) / LOOKS_PER_S)

    def forget(self, object_id: ObjectId) -> None:
        """The object has something to do."""
        self._known.discard(object_id)
        self._looks.pop(object_id, None)

    def looked_at(self) -> Mapping[ObjectId, float]:
        """The looks since the last call, to be stored in one go."""
        looks, self._looks = self._looks, {}
        return looks

    def shun(self, object_id: ObjectId, until: float) -> None:
        """Leave an object alone until then."""
        self._shunned[object_id] = until

    def is_shunned(self, object_id: ObjectId, now: float) -> bool:
        """Whether the object is left alone now."""
        return now < self._shunned.get(object_id, 0.0)
