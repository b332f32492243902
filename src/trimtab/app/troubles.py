"""What is wrong with the installation as a whole: shown by `trimtab status` above all applications."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from trimtab.app.doctor import clock, disk
from trimtab.core.errors import Problem, TrimtabError
from trimtab.ports.clock import Clock
from trimtab.ports.store import Store


def troubles(home: Path, store: Store, now_of: Clock, undecided: str) -> tuple[Problem, ...]:
    """The cheap ones of the doctor's judgements, asked by the controller itself. `undecided`: why the engine cannot
    decide anything, empty if it can."""
    return tuple(_troubles(home, store, now_of.now(), undecided))


def _troubles(home: Path, store: Store, now: float, undecided: str) -> Iterator[Problem]:
    if undecided:
        message = f"nothing can be decided, and it is tried again until it can: {undecided}"
        yield Problem("nothing-decided", message, "`trimtab doctor` tells why")
    for finding in disk.judge(disk.space(home)):
        if finding.is_wrong:
            yield Problem("disk", finding.what, finding.do, str(home))
    try:
        moments = tuple(recorded.at for recorded in store.facts(newest_first=True, limit=1))
    except TrimtabError:
        return  # the engine meets the same trouble, and says it
    for finding in clock.judge(clock.Clock(now, moments)):
        if finding.is_wrong:
            yield Problem("clock", finding.what, finding.do)
