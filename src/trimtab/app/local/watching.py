"""What is told while a run goes on: its steps as they change, and their output line by line."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from trimtab.views.model import RunView

_CHUNK_BYTES = 1024 * 1024
_LONGEST_LINE_BYTES = 64 * 1024
"""What has no end after so much is shown as if it had one."""


class Watcher(Protocol):
    """Who shows a run."""

    def changed(self, run: RunView) -> None:
        """The run as it is now."""
        ...

    def line(self, step: str, text: str) -> None:
        """A step has written a line."""
        ...


@dataclass(slots=True)
class Tail:
    """The lines of a log that grows."""

    path: Path
    position: int = 0
    _begun: bytes = b""

    def lines(self, *, ended: bool = False) -> Iterator[str]:
        """What has come since the last call; `ended`: the last line, too, if it has no end."""
        while chunk := self._read():
            *whole, self._begun = (self._begun + chunk).split(b"\n")
            yield from (line.decode(errors="replace") for line in whole)
            if len(self._begun) > _LONGEST_LINE_BYTES:
                yield self._rest()
        if ended and self._begun:
            yield self._rest()

    def _rest(self) -> str:
        text, self._begun = self._begun.decode(errors="replace"), b""
        return text

    def _read(self) -> bytes:
        try:
            with self.path.open("rb") as file:
                file.seek(self.position)
                chunk = file.read(_CHUNK_BYTES)
        except FileNotFoundError:
            return b""
        self.position += len(chunk)
        return chunk


@dataclass(slots=True)
class Logs:
    """The logs of a run's steps: those that ran here and now, not those of the runs that results were taken from."""

    watcher: Watcher
    _tails: dict[str, Tail] = field(default_factory=dict)
    _ended: set[str] = field(default_factory=set)

    def begin(self, process: str, path: Path) -> None:
        self._tails.setdefault(process, Tail(path))

    def look(self, run: RunView) -> None:
        """Tell what came. The output of a step is told before it is told that it has ended."""
        for step in run.steps:
            tail = self._tails.get(step.process)
            if tail is None or step.process in self._ended:
                continue
            ended = step.status != "running"
            for text in tail.lines(ended=ended):
                self.watcher.line(step.name, text)
            if ended:
                self._ended.add(step.process)
