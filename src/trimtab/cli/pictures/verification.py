"""The picture of a release that was verified."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rich.console import Group, RenderableType
from rich.text import Text

from trimtab.cli.pictures.table import table
from trimtab.cli.pictures.words import BAD, CARE, DIM, GOOD, NAME, STRONG, ago, joined, name, problem_lines, size
from trimtab.cli.plain import clean
from trimtab.core.errors import Problem
from trimtab.core.model.identity import short
from trimtab.core.say import count
from trimtab.views.verification import AttestationView, VerificationView

_RESULTS = {"PASSED": ("✔ passed", GOOD), "WARNED": ("! warned", CARE), "FAILED": ("✘ failed", BAD)}


def verification_picture(seen: VerificationView, now: float) -> RenderableType:
    """What it is made of, what is attested of it and by whom, where it may go, and what is wrong."""
    rows = [_row(each, now) for each in seen.attestations]
    return Group(
        joined(Text("release", style=STRONG), name(seen.release), f"of {clean(seen.app)}"),
        *_parts(seen),
        Text(""),
        table(("ATTESTED", "SAYS", "SIGNED BY", "WHERE"), rows, gives_way="SAYS")
        if rows
        else Text("nothing is attested of it", style=CARE),
        Text(""),
        *_environments(seen),
        *map(_problem, seen.problems),
        Text("everything is as it was signed", style=GOOD)
        if not seen.problems
        else Text(f"{count(len(seen.problems), 'problem')} found", style=BAD),
    )


def _parts(seen: VerificationView) -> Iterator[Text]:
    for part, kept in sorted(seen.parts.items()):
        said = f"{count(kept.files, 'file')}, {size(kept.size_bytes)}"
        yield joined(f"  {clean(part)}", Text(short(kept.digest), style=NAME), Text(said, style=DIM))


def _row(each: AttestationView, now: float) -> tuple[Text, Text, Text, Text]:
    return (
        Text(each.kind or "damaged", style="" if each.kind else BAD),
        _says(each, now),
        Text(" ".join(map(short, each.keys)), style=NAME) if each.keys else Text("nobody trusted", style=CARE),
        Text(clean(each.place), style=DIM),
    )


def _says(each: AttestationView, now: float) -> Text:
    if each.fault:
        return Text(clean(each.fault), style=BAD)
    if each.result:
        word, style = _RESULTS[each.result]
        return joined(clean(each.step), Text(word, style=style))
    if each.finished_at is not None:
        cut = f"run {each.run} of {each.commit[:8]}, cut {ago(each.finished_at, now)} by {each.builder}"
        return Text(clean(cut))
    return Text("")


def _environments(seen: VerificationView) -> Iterator[Text]:
    for place in seen.environments:
        word = Text("✔ lets it in", style=GOOD) if place.accepted else Text("✘ refuses it", style=BAD)
        yield joined(f"{clean(place.environment)}", word, Text(clean(place.reason), style=DIM))
    if seen.environments:
        yield Text("")


def _problem(problem: Problem) -> Text:
    return problem_lines(
        replace(problem, message=f"{problem.where}: {problem.message}" if problem.where else problem.message)
    )
