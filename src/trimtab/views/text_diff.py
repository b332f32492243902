"""Two texts to the lines that differ, in bounded time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from trimtab.views.release_diff import DiffLine, TextDiff

CONTEXT_LINES = 3
MOST_LINES = 1500
"""That differ in one text: comparing takes the square of them, and more for texts that are made so."""
MOST_LINES_IN_ALL = 20_000
NO_END = "\\ no newline at the end"


@dataclass(slots=True)
class Comparer:
    """Compares texts until it has done enough; then it only counts."""

    lines_left: int = MOST_LINES_IN_ALL

    def compare(self, old: str, new: str) -> TextDiff:
        """How many lines came and went, and which, with those around them."""
        a, b = _lines(old), _lines(new)
        same = min(len(a), len(b))
        head = next((index for index in range(same) if a[index] != b[index]), same)
        same -= head
        tail = next((index for index in range(same) if a[-1 - index] != b[-1 - index]), same)
        middle_a, middle_b = a[head : len(a) - tail], b[head : len(b) - tail]
        longest = max(len(middle_a), len(middle_b))
        if longest > MOST_LINES or longest > self.lines_left:
            gone, come = Counter(middle_a), Counter(middle_b)
            return TextDiff((come - gone).total(), (gone - come).total(), hidden="too large to show")
        self.lines_left -= longest
        return _told(a[:head], _changes(middle_a, middle_b), a[len(a) - tail :])


def _lines(text: str) -> list[str]:
    lines = text.split("\n")
    if lines[-1]:
        return [*lines, NO_END]
    return lines[:-1]


def _changes(a: Sequence[str], b: Sequence[str]) -> list[DiffLine]:
    if not a or not b:
        return [*(DiffLine("-", line) for line in a), *(DiffLine("+", line) for line in b)]
    found: list[DiffLine] = []
    for kind, a_from, a_to, b_from, b_to in SequenceMatcher(None, a, b).get_opcodes():
        if kind == "equal":
            found += (DiffLine(" ", line) for line in a[a_from:a_to])
        else:
            found += (DiffLine("-", line) for line in a[a_from:a_to])
            found += (DiffLine("+", line) for line in b[b_from:b_to])
    return found


def _told(head: Sequence[str], changes: Sequence[DiffLine], tail: Sequence[str]) -> TextDiff:
    counts = Counter(line.op for line in changes)
    everything = [*(DiffLine(" ", line) for line in head), *changes, *(DiffLine(" ", line) for line in tail)]
    return TextDiff(counts["+"], counts["-"], tuple(_near(everything)))


def _near(lines: Sequence[DiffLine]) -> Iterator[DiffLine]:
    """Only the lines near to what differs; one line stands for those that are left out."""
    near: set[int] = set()
    for index, line in enumerate(lines):
        if line.op != " ":
            near |= set(range(index - CONTEXT_LINES, index + CONTEXT_LINES + 1))
    left_out = False
    for index, line in enumerate(lines):
        if index in near:
            yield line
        elif not left_out:
            yield DiffLine("~")
        left_out = index not in near
