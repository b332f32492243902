"""Pictures of a backup."""

from __future__ import annotations

from datetime import UTC, datetime

from rich.console import Group, RenderableType
from rich.text import Text

from trimtab.cli.pictures.words import CARE, DIM, STRONG, joined, size, status
from trimtab.cli.plain import clean
from trimtab.core.say import count
from trimtab.views.backups import BackupView

NEXT = {
    "written": "the API's token is in it: keep it as you keep a password",
    "restored": "next: stop the Trimtab that it was of, if it runs, then `trimtab up`",
}


def backup_picture(made: BackupView, done: str) -> RenderableType:
    """What was ``written`` or ``restored``, and what to know about it."""
    at = datetime.fromtimestamp(made.at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    place = made.file if done == "written" else made.home
    holds = ", ".join(
        (size(made.size_bytes), count(len(made.repositories), "repository"), count(made.releases, "release"))
    )
    return Group(
        joined(status(done), Text(clean(place), style=STRONG)),
        Text(f"  of {at}, by Trimtab {clean(made.version)} (schema {made.schema}): {holds}"),
        *(joined(Text("  ! warning", style=CARE), clean(warning)) for warning in made.warnings),
        Text(f"  {NEXT[done]}", style=DIM),
    )
