"""The small parts of every picture: statuses, names, times, sizes and bars."""

from __future__ import annotations

import json
from datetime import datetime, tzinfo
from typing import NamedTuple

from rich.text import Text

from trimtab.cli.plain import clean
from trimtab.core.errors import Problem
from trimtab.core.model.identity import Digest, short
from trimtab.core.say import duration

DIM, STRONG, NAME, GOOD, BAD, CARE, ACTIVE = "dim", "bold", "cyan", "green", "red", "yellow", "cyan"
GAP = "  "


class Look(NamedTuple):
    glyph: str
    style: str


LOOKS = {
    "waiting": Look("○", DIM),
    "starting": Look("◔", ACTIVE),
    "running": Look("◐", ACTIVE),
    "shifting": Look("◑", ACTIVE),
    "observing": Look("◐", ACTIVE),
    "promoting": Look("▲", GOOD),
    "paused": Look("‖", CARE),
    "returning": Look("↩", CARE),
    "passed": Look("✔", GOOD),
    "cached": Look("✔", GOOD),
    "promoted": Look("✔", GOOD),
    "failed": Look("✘", BAD),
    "invalid": Look("✘", BAD),
    "timed_out": Look("✘", BAD),
    "lost": Look("✘", BAD),
    "rolled_back": Look("↩", BAD),
    "aborted": Look("■", CARE),
    "cancelled": Look("■", CARE),
    "superseded": Look("»", DIM),
    "skipped": Look("–", DIM),
    "left_out": Look("–", DIM),
    "ready": Look("●", GOOD),
    "live": Look("●", GOOD),
    "serving": Look("●", GOOD),
    "closing": Look("◌", DIM),
    "unhealthy": Look("✘", BAD),
    "backing_off": Look("◌", CARE),
    "stopped": Look("○", DIM),
    "ok": Look("✔", GOOD),
    "note": Look("○", DIM),
    "warning": Look("!", CARE),
    "error": Look("✘", BAD),
    "written": Look("✔", GOOD),
    "pushed": Look("✔", GOOD),
    "restored": Look("✔", GOOD),
    "problem": Look("!", BAD),
}
UNKNOWN = Look("•", "")
STATUS_CELLS = 2 + len("rolled back")


def status(name: str, *, padded: bool = False) -> Text:
    """Glyph and word of a status; `padded` to the width of the longest common one."""
    look = LOOKS.get(name, UNKNOWN)
    text = f"{look.glyph} {name.replace('_', ' ')}"
    return Text(text.ljust(STATUS_CELLS) if padded else text, style=look.style)


def name(digest: Digest | None) -> Text:
    """A release as people type it."""
    return Text(short(digest), style=NAME) if digest else Text("nothing", style=DIM)


def joined(*parts: str | Text, gap: str = GAP) -> Text:
    """One line of parts; those that are empty are left out."""
    texts = [part if isinstance(part, Text) else Text(part) for part in parts if part]
    return Text(gap).join(texts)


def ago(at: float, now: float) -> str:
    """``12 s ago``; ``just now`` below a second."""
    return "just now" if now - at < 1 else f"{span(now - at)} ago"


def span(seconds: float) -> str:
    """A duration without false precision: ``3 s``, ``2 min``, ``4 h``, ``3 days``."""
    whole = max(0, int(seconds))
    if whole >= 2 * 86400:
        return f"{whole // 86400} days"
    if whole >= 7200:
        return f"{whole // 3600} h"
    return f"{whole // 60} min" if whole >= 120 else f"{whole} s"


def took(started_at: float, duration_s: float | None, now: float) -> str:
    """How long something took, or takes so far. What still runs is shown in whole seconds, so that it counts calmly."""
    if duration_s is not None:
        return duration(duration_s)
    running_s = max(0, int(now - started_at))
    return f"{running_s} s" if running_s < 10 else duration(running_s)


def clock_time(at: float, now: float, zone: tzinfo | None) -> str:
    """``12:04:31``, with the date when it is not today's. `zone` None: local time."""
    then, today = (datetime.fromtimestamp(moment, zone).astimezone(zone) for moment in (at, now))
    return then.strftime("%H:%M:%S" if then.date() == today.date() else "%Y-%m-%d %H:%M:%S")


def size(count_bytes: int) -> str:
    """``38 MB``, ``1.2 GB``."""
    megabytes = count_bytes / 1_000_000
    return f"{megabytes / 1000:.1f} GB" if megabytes >= 1000 else f"{megabytes:.0f} MB"


def bar(share_pct: float, width: int, style: str) -> Text:
    """A bar that reads without colour; anything above nothing shows, and only all of it is full."""
    filled = min(width, round(share_pct / 100.0 * width))
    if 0 < share_pct < 100:
        filled = min(max(filled, 1), width - 1)
    return Text("━" * filled, style=style) + Text("─" * (width - filled), style=DIM)


_LONGEST_VALUE_CELLS = 60


def plain_value(value: str) -> str:
    """A value that is JSON as people would write it, cut where it is long."""
    try:
        plain = json.loads(value)
    except ValueError:
        plain = value
    text = clean(plain if isinstance(plain, str) and plain else value)
    return text if len(text) <= _LONGEST_VALUE_CELLS else f"{text[: _LONGEST_VALUE_CELLS - 1]}…"


def problem_lines(problem: Problem) -> Text:
    """What is wrong, and the next step below it."""
    text = joined(status("problem"), clean(problem.message))
    if problem.hint:
        text.append(f"\n  hint: {clean(problem.hint)}", style=DIM)
    return text
