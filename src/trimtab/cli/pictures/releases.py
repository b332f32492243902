"""Pictures of releases."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from trimtab.cli.pictures.table import table
from trimtab.cli.pictures.words import DIM, ago, joined, name, status
from trimtab.cli.plain import clean
from trimtab.views.model import ReleaseView


def releases_table(releases: Sequence[ReleaseView], now: float) -> RenderableType:
    """The newest releases, one line each: what they are, and how they fared in each environment."""
    if not releases:
        return Text("no release yet: a run that passes cuts one", style=DIM)
    rows = [
        (
            name(release.release),
            str(release.run),
            release.commit[:8],
            clean(release.subject),
            ago(release.cut_at, now),
            _fates(release),
        )
        for release in releases
    ]
    headings = ("RELEASE", "RUN", "COMMIT", "SUBJECT", "CUT", "ENVIRONMENTS")
    return table(headings, rows, gives_way="SUBJECT", right=("RUN",))


def _fates(release: ReleaseView) -> Text:
    """Where it is live, and how its last rollout elsewhere ended."""
    fates = {**release.outcome, **dict.fromkeys(release.live_in, "live")}
    return joined(*(Text(f"{place} ").append_text(status(fate)) for place, fate in fates.items()))
