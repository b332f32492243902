"""Pictures of releases."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from trimtab.cli.pictures.table import table
from trimtab.cli.pictures.words import DIM, STRONG, ago, joined, name, plain_value, status
from trimtab.cli.plain import clean
from trimtab.core.model.identity import short
from trimtab.core.say import size as bytes_
from trimtab.views.model import ReleaseView
from trimtab.views.release_diff import ReleaseDetailView


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
            ", ".join(clean(part) for part in release.changed),
            _fates(release),
        )
        for release in releases
    ]
    headings = ("RELEASE", "RUN", "COMMIT", "SUBJECT", "CUT", "CHANGES", "ENVIRONMENTS")
    return table(headings, rows, gives_way="SUBJECT", right=("RUN",))


def _fates(release: ReleaseView) -> Text:
    """Where it is live, and how its last rollout elsewhere ended."""
    fates = {**release.outcome, **dict.fromkeys(release.live_in, "live")}
    return joined(*(Text(f"{place} ").append_text(status(fate)) for place, fate in fates.items()))


def release_picture(one: ReleaseDetailView, now: float) -> RenderableType:
    """One release: where it comes from, where it is, and all that it is made of."""
    release = one.release
    came = f"run {release.run}, commit {release.commit[:8]}, cut {ago(release.cut_at, now)}"
    head = joined(name(release.release), Text(clean(release.subject), style=STRONG), Text(came, style=DIM))
    rows: list[RenderableType] = [head]
    if fates := _fates(release):
        rows.append(fates)
    if release.changed:
        rows.append(Text(f"changes {', '.join(clean(part) for part in release.changed)}"))
    rows += _parts(one)
    if one.prompts:
        rows += [Text(), _prompts(one)]
    if one.model:
        files = {
            f"file {path}": f"{bytes_(file.size_bytes)}  {short(file.digest)}" for path, file in one.model_files.items()
        }
        values = [(clean(path), plain_value(value)) for path, value in {**one.model, **files}.items()]
        rows += [Text(), table(("MODEL", "VALUE"), values, gives_way="VALUE")]
    read = [("config", one.config), ("flags", one.flags)]
    if any(file for _, file in read):
        rows += [
            Text(),
            table(("READS", "FROM"), [(what, clean(file)) for what, file in read if file], gives_way="FROM"),
        ]
    return Group(*rows)


def _parts(one: ReleaseDetailView) -> list[RenderableType]:
    rows = [
        (clean(part), str(tree.files), bytes_(tree.size_bytes), short(tree.digest)) for part, tree in one.parts.items()
    ]
    rows.append(("all", str(sum(tree.files for tree in one.parts.values())), bytes_(one.size_bytes), ""))
    return [Text(), table(("PART", "FILES", "SIZE", "DIGEST"), rows, gives_way="PART", right=("FILES", "SIZE"))]


def _prompts(one: ReleaseDetailView) -> RenderableType:
    rows = [
        (clean(prompt), short(version.version), clean(version.file), clean(", ".join(version.variables)))
        for prompt, version in sorted(one.prompts.items())
    ]
    return table(("PROMPT", "VERSION", "FILE", "VARIABLES"), rows, gives_way="VARIABLES")
