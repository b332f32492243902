"""Which database an installation's store is in: the one it began with, whatever is given later."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

from trimtab.adapters.store_sql.opening import open_store
from trimtab.app.folder import DATABASE, STORE, database_of, keep_database
from trimtab.core.errors import TrimtabError, failure
from trimtab.ports.store import Store

_LOOKS = 10
"""How often two stores are compared: what is recorded between two looks makes one store look like two."""


def choose_database(home: Path, given: str | None) -> str | None:
    """The URL of the database to open; None: the store is the file STORE. A new installation takes what is `given`.

    Raises `TrimtabError` (`database-differs`) when that would leave a store behind and begin with another one. The same
    database may have several addresses: then both are asked."""
    known = database_of(home)
    if given is None or (known is not None and _without_login(given) == _without_login(known)):
        return given or known
    if known is None and not (home / STORE).exists():
        return given
    if known is not None and _is_same(known, given):
        return given
    raise failure(
        "database-differs",
        f"the store of this installation is in {'another database' if known else f'the file {STORE}'}",
        "`trimtab backup`, then `trimtab restore FILE --home DIR --database URL` moves it; if it is the same database "
        f"and its old address is gone, write the new one into {home / DATABASE}",
        str(home),
    )


def remember_database(home: Path, url: str) -> None:
    """The store is in this database from now on: said once it has opened. Of several addresses the first is kept."""
    known = database_of(home)
    if known is None or _without_login(known) == _without_login(url):
        keep_database(home, url)


def _without_login(url: str) -> tuple[object, ...]:
    """What of a database's URL says which one it is: a user or a password may change."""
    parts = urlsplit(url)
    return parts.hostname, parts.port, parts.path, parts.query


def _is_same(known: str, given: str) -> bool:
    """Whether both addresses lead to one store. That which does not open is not asked."""
    try:
        with closing(open_store(known)) as one, closing(open_store(given)) as other:
            return any(_content(one) == _content(other) for _ in range(_LOOKS))
    except TrimtabError:
        return False


def _content(store: Store) -> tuple[object, ...]:
    """What two stores do not have in common: their newest fact, and the names of who uses them, which are made up anew
    each time."""
    return store.facts(newest_first=True, limit=1), {controller.owner for controller in store.controllers()}
