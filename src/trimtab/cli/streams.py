"""Several logs as one stream of lines, each with the name of its origin."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from queue import Empty, Queue
from typing import NamedTuple

from trimtab.client.client import TrimtabClient
from trimtab.core.errors import TrimtabError
from trimtab.views.model import RunView

_MOST_WAITING = 10_000
LOOK_EVERY_S = 0.3
"""How often a run that is followed is asked for steps that have begun meanwhile."""


class Line(NamedTuple):
    origin: str
    text: str
    number: int | None = None
    """Where it is in its log; only of lines that were searched for."""


class Logs:
    """Reads logs with `client`; `follow` and `tail` as in `TrimtabClient.logs`, `pattern` as in `log_hits` (empty: all
    lines)."""

    def __init__(
        self, client: TrimtabClient, follow: bool, tail: int, pattern: str = "", *, ignore_case: bool = False
    ) -> None:
        self._client, self._follow, self._tail = client, follow, tail
        self._pattern, self._ignore_case = pattern, ignore_case

    def of_processes(self, processes: Mapping[str, str]) -> Iterator[Line]:
        """The logs of processes (by the name to show), one after the other, or side by side when followed."""
        if not self._follow:
            for name, process in processes.items():
                yield from self._read(name, process)
            return
        side_by_side = _SideBySide()
        for name, process in processes.items():
            side_by_side.add(self._read(name, process))
        while side_by_side.busy:
            yield from side_by_side.take()

    def of_run(self, run: RunView, step: str | None) -> Iterator[Line]:
        """The logs of a run's steps, or of one; when followed, also of those that begin later, until the run ends."""
        if not self._follow:
            yield from self.of_processes(_started(run, step))
            return
        side_by_side, seen = _SideBySide(), set[str]()
        while True:
            for name, process in _started(run, step).items():
                if process not in seen:
                    seen.add(process)
                    side_by_side.add(self._read(name, process))
            yield from side_by_side.take()
            if run.status != "running" and not side_by_side.busy:
                return
            if run.status == "running":
                run = self._client.run(run.app, run.number)

    def _read(self, name: str, process: str) -> Iterator[Line]:
        if not self._pattern:
            for text in self._client.logs(process, follow=self._follow, tail=self._tail):
                yield Line(name, text)
            return
        for hit in self._client.log_hits(
            process, self._pattern, ignore_case=self._ignore_case, follow=self._follow, tail=self._tail
        ):
            yield Line(name, hit.text, hit.line)


def _started(run: RunView, step: str | None) -> dict[str, str]:
    return {each.name: each.process for each in run.steps if each.process and step in (None, each.name)}


class _SideBySide:
    """Reads several streams at once, a thread each; they end with their streams, or with the program."""

    def __init__(self) -> None:
        # Bounded: a terminal is slower than a log.
        self._lines: Queue[Line | TrimtabError | None] = Queue(maxsize=_MOST_WAITING)
        self._open = 0

    @property
    def busy(self) -> bool:
        return self._open > 0

    def add(self, lines: Iterator[Line]) -> None:
        self._open += 1
        threading.Thread(target=self._pump, args=(lines,), daemon=True).start()

    def take(self) -> Iterator[Line]:
        """What has come; waits for a moment when nothing has. Raises what a stream raised."""
        try:
            item = self._lines.get(timeout=LOOK_EVERY_S)
            while True:
                if isinstance(item, TrimtabError):
                    raise item
                if item is None:
                    self._open -= 1
                else:
                    yield item
                item = self._lines.get_nowait()
        except Empty:
            return

    def _pump(self, lines: Iterator[Line]) -> None:
        try:
            for line in lines:
                self._lines.put(line)
            self._lines.put(None)
        except TrimtabError as error:
            self._lines.put(error)
