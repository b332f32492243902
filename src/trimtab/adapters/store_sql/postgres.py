"""What is PostgreSQL's own: connecting, writers that take turns, and words for what SQLite says in another way.

**Turns.** A transaction that touches more than one row begins by taking one lock for the whole store and keeps it until
it is committed. So it sees and does what it would on SQLite, two of them cannot wait for each other, and facts become
visible in the order of their numbers: a number is given out only after the commit of all before it, so whoever reads
facts `after` a number misses none. The price is that commits follow each other; they are short, and every one of them
would have to wait for that order anyway. Leases, which are most of the writes of several controllers, need no turn.
"""

from __future__ import annotations

import re
import select
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any, cast

import psycopg
from psycopg.abc import PQGen, QueryNoTemplate

from trimtab.adapters.store_sql.database import Parameters, Row, T
from trimtab.adapters.store_sql.postgres_errors import cannot_connect, explain, public
from trimtab.core.errors import TrimtabError, failure

CONNECT_S = 3
STATEMENT_S = 4.0
"""How long the server may take for one statement, with all waiting for others."""
ANSWER_S = 5.0
"""How long an answer may take to come. A server that hangs sends no error either."""
PAUSE_S = 1.0
"""For how long nobody tries again after the server could not be reached: each try may take `CONNECT_S`."""
ATTEMPTS = 6
OLDEST = 120000

_AGAIN = ("40001", "40P01")
"""Serialization failure, deadlock: by somebody else's locks, since ours are taken in one order. The next try may do."""
_TURN = 0x7472696D
"""First half of the lock's name; the second is the schema, so that several stores fit into one database."""

_SETTINGS = f"""
SET statement_timeout = {int(STATEMENT_S * 1000)};
SET idle_in_transaction_session_timeout = {int(STATEMENT_S * 1000)};
SET default_transaction_isolation = 'read committed';
SET default_transaction_deferrable = off;
SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off';
"""
_SESSION = """
SELECT current_schema(), hashtext(current_schema()), current_setting('server_encoding'),
current_setting('server_version_num')::int
"""


class Connection(psycopg.Connection[Row]):
    """Gives up waiting for the answer of a server that hangs."""

    def wait(self, gen: PQGen[Any], interval: float = 0.1, timeout: float | None = None) -> Any:
        return super().wait(gen, interval, ANSWER_S if timeout is None else timeout)


def connect(url: str) -> Connection:
    """A connection on which each statement is a transaction of its own. Raises `TrimtabError`."""
    try:
        connection = Connection.connect(
            url,
            autocommit=True,
            connect_timeout=CONNECT_S,
            tcp_user_timeout=int(ANSWER_S * 1000),
            keepalives_idle=2,
            keepalives_interval=1,
            keepalives_count=3,
            application_name="trimtab",
        )
    except psycopg.Error as error:
        raise cannot_connect(error, url) from None
    return connection


class PostgresDatabase:
    """One connection, made anew by the next call after it was lost; the call that met the loss raises."""

    def __init__(self, url: str) -> None:
        self._url, self._place = url, public(url)
        self._connection: Connection | None = None
        self._begin, self._channel = "", ""
        self._in_turn = self._is_together = self._announced = False
        self._unreachable: TrimtabError | None = None
        self._again_at = 0.0
        self._connected()

    @property
    def place(self) -> str:
        return self._place

    def execute(self, statement: str, parameters: Parameters | None = None) -> list[Row]:
        cursor = self._run(lambda open: open.execute(_words(statement), parameters))
        return cursor.fetchall() if cursor.description is not None else []

    def execute_many(self, statement: str, parameters: Sequence[Parameters]) -> int:
        def run(connection: Connection) -> int:
            with connection.cursor() as cursor:
                cursor.executemany(_words(statement), parameters)
                return cursor.rowcount

        return self._run(run)

    def write(self, work: Callable[[], T], *, alone: bool = False) -> T:
        if self._is_together:
            with self._part():
                return work()
        attempts = range(ATTEMPTS)
        for attempt in attempts:
            try:
                return self._transaction(work, "BEGIN" if alone else self._begin)
            except TrimtabError as error:
                cause = error.__cause__
                if not isinstance(cause, psycopg.Error) or cause.sqlstate not in _AGAIN or attempt == attempts[-1]:
                    raise
            time.sleep(0.002 * 2**attempt)
        raise AssertionError("the last attempt returns or raises")

    @contextmanager
    def together(self) -> Iterator[None]:
        self._connected()  # `_begin` has the name of the schema
        with self._turn(self._begin):
            self._is_together = True
            try:
                yield
            finally:
                self._is_together = False

    def announce(self) -> None:
        self._announced = True

    def listener(self) -> PostgresListener:
        return PostgresListener(self._url, self._channel, self._pid)

    def migration(self, script: str) -> str:
        for of_sqlite, ours in _MIGRATION_WORDS:
            script = script.replace(of_sqlite, ours)
        return script

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    # --- the connection ---

    def _pid(self) -> int:
        return 0 if self._connection is None else self._connection.info.backend_pid

    def _connected(self) -> Connection:
        connection = self._connection
        if connection is not None and not connection.closed:
            return connection
        if self._unreachable is not None and time.monotonic() < self._again_at:
            raise self._unreachable.with_traceback(None)
        try:
            self._connection = self._connect()
        except TrimtabError as error:
            self._unreachable, self._again_at = error, time.monotonic() + PAUSE_S
            raise
        self._unreachable = None
        return self._connection

    def _connect(self) -> Connection:
        connection = connect(self._url)
        try:
            connection.execute(cast(QueryNoTemplate, _SETTINGS))
            [(schema, number, encoding, version)] = connection.execute(_SESSION).fetchall()
        except psycopg.Error as error:
            connection.close()
            raise explain(error, self._place) from error
        if problem := _unfit(schema, encoding, version):
            connection.close()
            raise failure(*problem, self._place)
        self._begin = f"BEGIN; SELECT pg_advisory_xact_lock({_TURN}, {number})"
        self._channel = f"trimtab_{number & 0xFFFFFFFF:08x}"
        return connection

    def _run(self, ask: Callable[[Connection], T]) -> T:
        connection = self._connection if self._in_turn and self._connection is not None else self._connected()
        try:
            return ask(connection)
        except psycopg.Error as error:
            if isinstance(error, psycopg.OperationalError) and error.sqlstate is None:
                connection.close()  # maybe it has not answered yet; what it would say is of no use any more
            raise explain(error, self._place) from error

    # --- transactions ---

    def _transaction(self, work: Callable[[], T], begin: str) -> T:
        with self._turn(begin):
            return work()

    @contextmanager
    def _turn(self, begin: str) -> Iterator[None]:
        self._announced = False
        self._run(lambda open: open.execute(cast(QueryNoTemplate, begin), prepare=False))
        self._in_turn = True
        try:
            yield
            end = f"NOTIFY {self._channel}; COMMIT" if self._announced else "COMMIT"
            self._run(lambda open: open.execute(cast(QueryNoTemplate, end), prepare=False))
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._in_turn = False

    @contextmanager
    def _part(self) -> Iterator[None]:
        self.execute("SAVEPOINT part")
        try:
            yield
            self.execute("RELEASE SAVEPOINT part")
        except BaseException:
            with suppress(TrimtabError):  # with the connection everything is gone anyway
                self.execute("ROLLBACK TO SAVEPOINT part")
            raise

    def _roll_back(self) -> None:
        connection = self._connection
        if connection is not None and not connection.closed:
            try:
                connection.execute("ROLLBACK")
            except psycopg.Error:
                connection.close()


class PostgresListener:
    """A connection of its own that hears what other connections announce; not those of the store it is of."""

    def __init__(self, url: str, channel: str, own_pid: Callable[[], int]) -> None:
        self._own_pid = own_pid
        self._place = public(url)
        self._connection = connect(url)
        try:
            self._connection.execute(cast(QueryNoTemplate, f"LISTEN {channel}"))
        except psycopg.Error as error:
            self.close()
            raise explain(error, self._place) from error

    def fileno(self) -> int:
        return self._connection.fileno()

    def heard(self) -> bool:
        try:
            came = [notify.pid for notify in self._connection.notifies(timeout=0)]
            if not came and _ended(self._connection.fileno()):
                raise psycopg.OperationalError("the server closed the connection")
        except psycopg.Error as error:
            self.close()
            raise explain(error, self._place) from error
        return any(pid != self._own_pid() for pid in came)

    def close(self) -> None:
        with suppress(psycopg.Error):
            self._connection.close()


def _ended(fileno: int) -> bool:
    """Whether there is something to read where everything was read: the end."""
    return bool(select.select([fileno], [], [], 0)[0])


def _unfit(schema: str | None, encoding: str, version: int) -> tuple[str, str, str] | None:
    """What keeps this database from being a store: code, message and hint."""
    if schema is None:
        return "store-missing", "the schema of the search path does not exist", "create it: CREATE SCHEMA ..."
    if encoding != "UTF8":
        return "store-unsupported", f"the database keeps text as {encoding}", "create one with ENCODING 'UTF8'"
    if version < OLDEST:
        return "store-unsupported", "PostgreSQL is older than version 12", "use a newer server"
    return None


# --- words ---

_MIGRATION_WORDS = (
    ("TEXT", 'TEXT COLLATE "C"'),  # ids sort by code point, whatever language the database speaks
    ("INTEGER PRIMARY KEY", "BIGINT PRIMARY KEY"),
    (" WITHOUT ROWID", ""),
)
_NAME = re.compile(r"(?<!:):([a-z_][a-z_0-9]*)")


@cache
def _words(statement: str) -> QueryNoTemplate:
    """A statement with the driver's parameters, and with the lock on rows that SQLite has no word for."""
    translated = _NAME.sub(r"%(\1)s", statement.replace("%", "%%")).replace("/* FOR UPDATE */", "FOR UPDATE")
    return cast(QueryNoTemplate, translated)
