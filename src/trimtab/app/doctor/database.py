"""Does the database open, is it sound, of a schema that this version knows, and free to be written?

All that is asked of it is in `Inspection`; another database brings another one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from trimtab.adapters.store_sql.inspection import Schemas
from trimtab.app.doctor.place import Place
from trimtab.core.errors import TrimtabError
from trimtab.views.findings import Finding

NAME = "database"
_RESTORE = "put a backup in its place (`trimtab restore`), or recover what is left with `sqlite3 FILE .recover`"
_LARGE_LOG_BYTES = 256_000_000


@dataclass(frozen=True, slots=True)
class Database:
    """What was seen."""

    place: str
    schemas: Schemas
    damage: str | None
    """Empty: sound; None: there was no time to look at all of it."""
    is_locked: bool
    log_bytes: int


def look(place: Place) -> Iterator[Finding]:
    log = place.home / "trimtab.db-wal"
    with place.inspect() as inspection:
        where, schemas, is_locked = inspection.place, inspection.schemas(), inspection.is_locked()
        try:
            damage: str | None = inspection.damage()
        except TrimtabError as error:
            if error.problem.code != "store-slow":
                raise
            damage = None
    yield from judge(Database(where, schemas, damage, is_locked, log.stat().st_size if log.exists() else 0))


def judge(seen: Database) -> Iterator[Finding]:
    where, (schema, known, needed) = seen.place, seen.schemas
    if seen.damage:
        what = f"The database is damaged: {seen.damage}."
        yield Finding(NAME, "error", what, "The disk, or somebody who wrote to the file.", _RESTORE, where)
    if needed > known:
        what = f"The database has schema {schema}, this version of Trimtab knows schemas up to {known}."
        do = "use the version that wrote it, or newer"
        yield Finding(NAME, "error", what, "A newer Trimtab has worked on it.", do, where)
    if schema < known:
        what = f"The database has schema {schema}, this version of Trimtab brings it to {known} when it starts."
        yield Finding(NAME, "note", what, do="`trimtab backup` first: an older version cannot go back", where=where)
    if seen.is_locked:
        what = "Another process has held the database locked for longer than any transaction of Trimtab takes."
        yield Finding(NAME, "error", what, "Nothing can be decided.", f"see which: fuser {where}", where)
    if seen.log_bytes > _LARGE_LOG_BYTES:
        what = f"The database's log has {seen.log_bytes / 1e6:.0f} MB."
        why = "A process has been reading the database for long, so that the log cannot be emptied."
        yield Finding(NAME, "warning", what, why, f"see which: fuser {where}", f"{where}-wal")
    if not seen.damage and needed <= known and not seen.is_locked:
        sound = "it is sound" if seen.damage == "" else "too large to look at all of it now"
        yield Finding(NAME, "ok", f"The database opens, {sound}, and has schema {schema}.")
