"""What is SQLite's own: opening a file, transactions, and what its errors mean."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from trimtab.adapters.store_sql.database import Parameters, Row, T
from trimtab.adapters.store_sql.paused import end_paused_writer
from trimtab.core.errors import TrimtabError, failure

OLDEST = (3, 35, 0)
"""The first with RETURNING."""
BUSY_TIMEOUT_S = 10.0
PATIENCE_S = 2.0
"""After how long of that it is looked whether who writes is paused."""

_IS_CONTROLLER = "SELECT 1 FROM controllers WHERE pid = :pid"


class SqliteDatabase:
    """One connection to one file: for the thread that opened it (another one gets `sqlite3.ProgrammingError`).

    Any number of connections and processes may have the same file open; their writes take turns, all of them.
    """

    def __init__(self, path: Path) -> None:
        if sqlite3.sqlite_version_info < OLDEST:
            needed = ".".join(map(str, OLDEST))
            raise failure(
                "store-unsupported",
                f"Python uses SQLite {sqlite3.sqlite_version}, Trimtab needs {needed} or newer",
                "use a Python that brings a newer SQLite",
            )
        self._path = path
        self._is_together = False
        try:
            self._connection = sqlite3.connect(path, timeout=PATIENCE_S, isolation_level=None)
        except sqlite3.DatabaseError as error:
            raise explain(error, path) from error
        try:
            for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
                self.execute(f"PRAGMA {pragma}")
        except TrimtabError:
            self.close()
            raise

    @property
    def place(self) -> str:
        return str(self._path)

    def write(self, work: Callable[[], T], *, alone: bool = False) -> T:  # noqa: ARG002 - there is one writer anyway
        with self._part() if self._is_together else self._transaction():
            return work()

    @contextmanager
    def together(self) -> Iterator[None]:
        with self._transaction():
            self._is_together = True
            try:
                yield
            finally:
                self._is_together = False

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._begin()
        try:
            yield
            self.execute("COMMIT")
        except BaseException:
            # Some errors (a full disk) have ended the transaction already.
            if self._connection.in_transaction:
                self._connection.rollback()
            raise

    def _begin(self) -> None:
        deadline = time.monotonic() + BUSY_TIMEOUT_S
        while True:
            try:
                self.execute("BEGIN IMMEDIATE")
                return
            except TrimtabError as error:
                if error.problem.code != "store-busy" or time.monotonic() > deadline:
                    raise
            end_paused_writer(self._path, self._is_controller)

    def _is_controller(self, pid: int) -> bool:
        """Whether a controller has checked in from this process. Nobody else's is ours to end."""
        with suppress(TrimtabError):  # a store so old that controllers do not check in
            return bool(self.execute(_IS_CONTROLLER, {"pid": pid}))
        return False

    @contextmanager
    def _part(self) -> Iterator[None]:
        self.execute("SAVEPOINT part")
        try:
            yield
            self.execute("RELEASE part")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK TO part")
                self._connection.execute("RELEASE part")
            raise

    def execute(self, statement: str, parameters: Parameters | None = None) -> list[Row]:
        try:
            return self._connection.execute(statement, parameters or {}).fetchall()
        except sqlite3.DatabaseError as error:
            raise self._explained(error) from error

    def execute_many(self, statement: str, parameters: Sequence[Parameters]) -> int:
        try:
            return self._connection.executemany(statement, parameters).rowcount
        except sqlite3.DatabaseError as error:
            raise self._explained(error) from error

    def announce(self) -> None:
        """Nobody could hear it: who shares the file asks now and then."""

    def listener(self) -> None:
        return None

    def migration(self, script: str) -> str:
        return script

    def close(self) -> None:
        self._connection.close()

    def _explained(self, error: sqlite3.DatabaseError) -> Exception:
        if getattr(error, "sqlite_errorcode", None) is None:
            return error  # misuse of the module: a defect, not a state of the world
        return explain(error, self._path)


def explain(error: sqlite3.DatabaseError, path: Path) -> TrimtabError:
    """The error for a user: what is wrong with the file and what to do."""
    match error.sqlite_errorcode & 0xFF:
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            hint = "put a backup in its place, or move it away to start afresh"
            return failure("store-corrupt", f"the store is damaged or not a store ({error})", hint, str(path))
        case sqlite3.SQLITE_FULL:
            hint = "free some space: nothing is lost, and work goes on where it stopped"
            return failure("store-full", "there is no space left for the store", hint, str(path))
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            hint = "see which process holds the file open; no transaction of Trimtab takes that long"
            return failure("store-busy", f"the store was locked for {BUSY_TIMEOUT_S:g} s", hint, str(path))
        case sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_READONLY | sqlite3.SQLITE_PERM | sqlite3.SQLITE_IOERR:
            hint = "the folder must exist, on a disk that works, and this user must be able to write in it"
            return failure("store-unwritable", f"the store cannot be written ({error})", hint, str(path))
        case _:
            return failure(
                "store-failed", f"the database refused a statement ({error})", "this is a defect of Trimtab", str(path)
            )
