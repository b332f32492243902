"""What the checks look at: one folder at one moment, read without changing it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from trimtab.adapters.processes import record
from trimtab.adapters.processes.instance_set import InstanceBook, InstanceSet
from trimtab.adapters.processes.launch import is_alive
from trimtab.adapters.processes.status import LIVE_PHASES, status_of
from trimtab.adapters.processes.usage import Usage
from trimtab.adapters.store_sql.inspection import DatabaseInspection, Inspection, SqliteInspection
from trimtab.adapters.store_sql.opening import open_database
from trimtab.app.folder import database_of, holder, is_held, joined
from trimtab.core.model.facts import FACTS
from trimtab.ports.processes import ProcessStatus
from trimtab.views.board import Board

PATIENCE_S = 3.0
"""How long a check may take."""
ANSWER_S = 2.0
"""How long something that is asked may take to answer."""
READ_S = 2.5
"""How long a check may read."""
_PAGE = 5000
_SHOWN = tuple(sorted(FACTS.keys() - {"EvidenceCounted", "ActionDone"}))
"""Facts that say what is so. What is left out is most of all facts, and says how it came to be so."""


class Api(NamedTuple):
    """Where a controller listens, or listened last."""

    url: str
    token: str

    @property
    def address(self) -> tuple[str, int]:
        host, _, port = self.url.partition("://")[2].rpartition(":")
        return host.strip("[]"), int(port)


@dataclass(frozen=True, slots=True)
class Record:
    """A supervised process as its record says, which is left as it is. `supervisor`: its process id."""

    status: ProcessStatus
    supervisor: int | None

    @property
    def name(self) -> str:
        return self.status.name


class Place:
    """One installation. `now`: seconds since the epoch."""

    def __init__(self, home: Path, now: float) -> None:
        self.home, self.now = home, now

    @cached_property
    def is_running(self) -> bool:
        """Whether a controller runs: the one that holds the folder, or one that joined it."""
        return is_held(self.home) or bool(joined(self.home))

    @cached_property
    def controllers(self) -> tuple[int, ...]:
        """The processes of the controllers that run, as the kernel tells: the one that holds the folder first."""
        first = holder(self.home) if is_held(self.home) else None
        return (*([first] if first is not None else []), *joined(self.home))

    @cached_property
    def api(self) -> Api | None:
        """As api.json says, which a controller that was killed leaves behind; else as the Git hooks were told."""
        try:
            said = json.loads((self.home / "api.json").read_text())
            return Api(said["url"], said["token"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        try:
            url, token = (self.home / "git" / "hook-endpoint").read_text().split()
        except (OSError, ValueError):
            return None
        return Api(url, token)

    @cached_property
    def records(self) -> tuple[Record, ...]:
        """All supervised processes."""
        folders = sorted((self.home / "processes").glob("*"))
        return tuple(found for folder in folders if (found := _read(folder)) is not None)

    def record(self, name: str) -> Record | None:
        return next((found for found in self.records if found.name == name), None)

    @cached_property
    def wanted(self) -> tuple[InstanceSet, ...]:
        """The sets of instances that should run."""
        book = InstanceBook(self.home / "instances" / "instances")
        return tuple(instances for instances in book.read() if instances.stopped_at is None)

    def inspect(self) -> Inspection:
        """The database, for one thread and READ_S. Raises `TrimtabError`."""
        url = database_of(self.home)
        if url is not None:
            return DatabaseInspection(open_database(url))
        return SqliteInspection(self.home / "trimtab.db", READ_S)

    @cached_property
    def board(self) -> Board:
        """What everybody is shown, folded from the facts. Raises `TrimtabError`."""
        board = Board()
        with self.inspect() as inspection:
            while facts := inspection.facts(after=board.seq, limit=_PAGE, kinds=_SHOWN):
                board.apply(facts)
        return board


def _read(folder: Path) -> Record | None:
    # In this order: a supervisor writes its last word before it dies.
    alive = is_alive(folder)
    state = dict(record.read_fields(str(folder / record.STATE)) or [])
    if "phase" not in state:
        return None
    if not alive and state["phase"] in LIVE_PHASES:
        state["phase"] = "lost"
    spec = dict(reversed(record.read_fields(str(folder / record.SPEC)) or []))
    status = status_of(folder.name.replace("+", "/"), state, spec, Usage())
    return Record(status, int(state["supervisor"]) if alive and "supervisor" in state else None)
