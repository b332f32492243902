"""What a controller has to look at and when, as far as it knows by itself.

Only a hint that spares asking the store all the time: everything in it is in the store too, and is found there.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Container, Iterable, Iterator

from trimtab.core.model.identity import ObjectId


class Agenda:
    """Objects with a time (seconds since the epoch), and a queue of those that are only looked at now and then."""

    def __init__(self) -> None:
        self._at: dict[ObjectId, float] = {}
        self._heap: list[tuple[float, ObjectId]] = []
        self._idle: deque[ObjectId] = deque()
        self._queued: set[ObjectId] = set()
        self._again: set[ObjectId] = set()

    def put(self, object_id: ObjectId, at: float) -> None:
        """Look at the object at this time, or earlier if that was said before."""
        if at < self._at.get(object_id, float("inf")):
            self._at[object_id] = at
            heapq.heappush(self._heap, (at, object_id))

    def rewind(self) -> None:
        """Look at everything at once: the clock was set back, and the times that were asked for are far away now."""
        for object_id in list(self._at):
            self.put(object_id, 0.0)

    def queue(self, objects: Iterable[ObjectId]) -> None:
        """Look at these when there is time for it, each once."""
        for object_id in objects:
            if object_id not in self._queued:
                self._queued.add(object_id)
                self._idle.append(object_id)

    def take(self, now: float, busy: Container[ObjectId], limit: int) -> Iterator[ObjectId]:
        """Up to `limit` objects whose time has come, the earliest first; busy ones have their turn when they are
        `finished`."""
        while self._heap and self._heap[0][0] <= now and limit > 0:
            at, object_id = heapq.heappop(self._heap)
            if self._at.get(object_id) != at:
                continue  # it was taken at an earlier time
            del self._at[object_id]
            if object_id in busy:
                self._again.add(object_id)
                continue
            limit -= 1
            yield object_id

    def finished(self, object_id: ObjectId, now: float) -> None:
        """The object is not busy any more."""
        if object_id in self._again:
            self._again.discard(object_id)
            self.put(object_id, now)

    def take_idle(self, limit: int) -> Iterator[ObjectId]:
        """Up to `limit` objects of the queue."""
        for _ in range(min(limit, len(self._idle))):
            object_id = self._idle.popleft()
            self._queued.discard(object_id)
            yield object_id

    def next_at(self) -> float | None:
        """When the next object is to be looked at, at once with something in the queue; None: not known."""
        if self._idle:
            return 0.0
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None
