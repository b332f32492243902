"""Is there a backup of late?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from trimtab.app.backup.writing import MARK
from trimtab.app.doctor.place import Place
from trimtab.core.say import duration
from trimtab.views.findings import Finding

NAME = "backup"
OLD_S = 7 * 86400.0


def look(place: Place) -> Iterator[Finding]:
    try:
        said = json.loads((place.home / MARK).read_text())
        at, file = float(said["at"]), str(said["file"])
    except (OSError, ValueError, KeyError, TypeError):
        at, file = None, ""
    yield judge(place.now, at, file, Path(file).exists() if file else False)


def judge(now: float, at: float | None, file: str, is_there: bool) -> Finding:
    """`at`: when `trimtab backup` last wrote one; None: never."""
    if at is None:
        what = "`trimtab backup` has never been used here."
        why = "There may be other backups; none that Trimtab knows of."
        return Finding(NAME, "note", what, why, "`trimtab backup FILE` writes one while everything runs")
    age = duration(max(0.0, now - at)) if now - at < 2 * 86400 else f"{(now - at) / 86400:.0f} days"
    if now - at > OLD_S:
        return Finding(NAME, "note", f"The last backup is {age} old.", do="`trimtab backup FILE`", where=file)
    moved = "" if is_there else " (it was moved away since)"
    return Finding(NAME, "ok", f"The last backup is {age} old: {file}{moved}.")
