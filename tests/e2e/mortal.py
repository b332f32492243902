"""A controller that kills itself (SIGKILL) just before or just after a write that it has not died at yet.

    python -m tests.e2e.mortal HOME PORT

Reads one line for each life, JSON: `moment` (before, after, or empty: live on), `known` (names of writes at which it
does not die) and `of` (it dies at writes only that are about these kinds of objects). Answers `{"pid": ...}` when that
life has begun and `{"died_at": ...}` when it has ended: the write's name, or null. Everything is imported once, each
life is a fork.
"""

from __future__ import annotations

import json
import os
import re
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from trimtab.adapters.store_sql.database import Database
from trimtab.adapters.store_sql.opening import open_store
from trimtab.adapters.store_sql.store import SqlStore
from trimtab.app import Settings, ports, serve
from trimtab.core.model.facts import Recorded
from trimtab.core.model.identity import ObjectId
from trimtab.ports.store import Claim, OutboxEntry

T = TypeVar("T")


class Fate:
    """When this life ends. `asked`: see above; `tell` is told the name of the write, right before."""

    def __init__(self, asked: Mapping[str, Any], tell: Callable[[str], object]) -> None:
        self._moment, self._known, self._of, self._tell = asked["moment"], set(asked["known"]), asked["of"], tell
        self._due: str | None = None
        self.name = ""
        """Of the write that is being made."""

    def before(self) -> None:
        if self._moment == "before" and self._is_fatal():
            self._die(self.name)

    def after(self, *, durable: bool) -> None:
        """The write was made; `durable`: and nothing can take it back."""
        if self._moment == "after" and self._is_fatal():
            self._due = self._due or self.name
        if durable and self._due:
            self._die(self._due)

    def refused(self) -> None:
        """What was to become durable did not."""
        self._due = None

    def _is_fatal(self) -> bool:
        return self.name not in self._known and any(f"{kind}/" in self.name for kind in self._of)

    def _die(self, name: str) -> None:
        self._tell(name)
        os.kill(os.getpid(), signal.SIGKILL)
        signal.pause()


class MortalDatabase:
    """A database with a fate."""

    def __init__(self, database: Database, fate: Fate) -> None:
        self._database, self._fate = database, fate
        self._is_together = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._database, name)

    def write(self, work: Callable[[], T], *, alone: bool = False) -> T:
        self._fate.before()
        answer = self._database.write(work, alone=alone)
        self._fate.after(durable=not self._is_together)
        return answer

    @contextmanager
    def together(self) -> Iterator[None]:
        self._is_together = True
        try:
            with self._database.together():
                yield
        except BaseException:
            self._fate.refused()
            raise
        finally:
            self._is_together = False
        self._fate.name = ""
        self._fate.after(durable=True)


class MortalStore:
    """A store that gives each of its writes a name, which says what becomes known by it."""

    def __init__(self, store: SqlStore, fate: Fate) -> None:
        self._store, self._fate = store, fate
        store._database = MortalDatabase(store._database, fate)

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._store, name)
        if name not in NAMES:
            return method

        def named(*args: Any, **kwargs: Any) -> Any:
            self._fate.name = _without_numbers(f"{name} {NAMES[name](*args, **kwargs)}")
            return method(*args, **kwargs)

        return named


def _kinds(facts: Sequence[Recorded]) -> str:
    return ",".join(dict.fromkeys(fact.kind for fact in facts))


def _append(facts: Sequence[Recorded], now: float) -> str:
    return f"{facts[0].object} {_kinds(facts)}"


def _claim(object_id: ObjectId, *_: Any) -> str:
    return object_id


def _commit(claim: Claim, *, state: str, facts: Sequence[Recorded], todo: Sequence[OutboxEntry], **_: Any) -> str:
    said = json.loads(state)
    where = f"{said.get('phase', '')}/{said.get('step', '')}" if claim.object.startswith("rollout/") else ""
    does = ",".join(entry.id.partition("#")[2] for entry in todo)
    return f"{claim.object} {where} saw {_kinds(claim.facts)} says {_kinds(facts)} does {does}"


def _done(entry: OutboxEntry, facts: Sequence[Recorded], now: float) -> str:
    return f"{entry.id} {_kinds(facts)}"


def _plumbing(*_: Any, **__: Any) -> str:
    return "store/"


NAMES: dict[str, Callable[..., str]] = {
    "append": _append,
    "claim": _claim,
    "commit": _commit,
    "done": _done,
    **dict.fromkeys(("postpone", "look_again", "release_leases", "check_in", "check_out", "keep_snapshot"), _plumbing),
}


def _without_numbers(name: str) -> str:
    """The same for every release: what came about for the first does for the next."""
    name = re.sub(r"sha256:[0-9a-f]+|\b[0-9a-f]{12,}\b", "DIGEST", name)
    return re.sub(r"(run/shop|rollout/shop/production|run|rollout)([-/])\d+", r"\1\2N", name)


def live(home: Path, port: int, fate: Fate) -> None:
    """One life."""

    def open_mortal(place: Path | str) -> Any:
        return MortalStore(open_store(place), fate)

    vars(ports)["open_store"] = open_mortal
    serve(Settings(home, port=port), Path.cwd())


def main() -> None:
    home, port = Path(sys.argv[1]), int(sys.argv[2])
    for line in sys.stdin:
        asked = json.loads(line)
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            answer = os.dup(writing)
            os.dup2(2, 1)
            try:
                live(home, port, Fate(asked, partial(_tell, answer)))
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(0)
        os.close(writing)
        print(json.dumps({"pid": pid}), flush=True)
        _wait(pid, reading)


def _tell(answer: int, name: str) -> None:
    os.write(answer, name.encode())


def _wait(pid: int, reading: int) -> None:
    os.waitpid(pid, 0)
    with os.fdopen(reading) as file:
        print(json.dumps({"died_at": file.read() or None}), flush=True)


if __name__ == "__main__":
    main()
