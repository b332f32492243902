"""What the store needs of a database: statements in the SQL of `statements`, and writers that take turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from trimtab.ports.store import Listener

T = TypeVar("T")
Row = tuple[Any, ...]
Parameters = Mapping[str, Any]


class Database(Protocol):
    """One connection. Every method raises `TrimtabError` for what a user can do something about."""

    @property
    def place(self) -> str:
        """Where it is, for messages: a path, or a URL without its password."""
        ...

    def execute(self, statement: str, parameters: Parameters | None = None) -> list[Row]:
        """All rows that the statement gives."""
        ...

    def execute_many(self, statement: str, parameters: Sequence[Parameters]) -> int:
        """The statement once for each; how many rows were changed."""
        ...

    def write(self, work: Callable[[], T], *, alone: bool = False) -> T:
        """Do `work` all or not at all, durable when this returns. It may be done again from its beginning, so it must
        do nothing but statements.

        Writers take turns: nobody else writes meanwhile. `alone`: `work` needs no turn, since it touches one row of one
        table only (of several, it could meet another that touches them in another order)."""
        ...

    def together(self) -> AbstractContextManager[None]:
        """Each `write` in the block stays a unit of its own, and all are durable when the block ends; none is when that
        raises."""
        ...

    def announce(self) -> None:
        """Within `write`: tell the listeners of other connections as soon as it is done, if the database can."""
        ...

    def listener(self) -> Listener | None:
        """Hears what others announce; None when they cannot be heard."""
        ...

    def migration(self, script: str) -> str:
        """A migration's script in the database's own words."""
        ...

    def close(self) -> None: ...
