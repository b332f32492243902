"""What keeps a report from being read, and words of others made short."""

from __future__ import annotations

from trimtab.core.say import printable

MOST_LETTERS = 240


class Unreadable(Exception):
    """The report cannot be read; the text says why, as it is shown."""


def first_line(text: str) -> str:
    """The first line that says something, shortened."""
    lines = (line.strip() for line in text[:20_000].splitlines())
    return shortened(next((line for line in lines if line), ""))


def shortened(text: str) -> str:
    """In one line, at most `MOST_LETTERS` long."""
    line = " ".join(printable(text[: 4 * MOST_LETTERS]).split())
    return line if len(line) <= MOST_LETTERS else line[: MOST_LETTERS - 3] + "..."
