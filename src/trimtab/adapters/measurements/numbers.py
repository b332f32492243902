"""What sources answer, checked: nothing that is not a plain count or score becomes evidence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import Decimal

from trimtab.core.errors import TrimtabError, failure
from trimtab.core.model.measure import ArmMeasure

LARGEST = 2.0**53
"""Above this a float no longer counts one by one."""
_SCORE_HINT = "a score is a number from 0 to 1: divide it by its maximum"
_COUNT_HINT = "give the number of events, a total that only grows"


def checked(key: str, value: object) -> ArmMeasure:
    """What was found for ``bad``, ``all`` or ``scores``, as the part of an arm's totals that it is. Raises
    TrimtabError."""
    if key == "scores":
        return ArmMeasure(scores=scores(value))
    return ArmMeasure(bad=total(value)) if key == "bad" else ArmMeasure(all=total(value))


def together(parts: Mapping[str, ArmMeasure]) -> ArmMeasure:
    """An arm's totals from their parts, by what they are. Raises TrimtabError when they do not fit."""
    if "scores" in parts:
        return parts["scores"]
    bad, every = parts["bad"].bad, parts.get("all", ArmMeasure()).all
    if "all" in parts and bad > every:
        hint = "`bad` must count some of what `all` counts"
        raise failure("metric-number", f"there are more bad events ({bad:g}) than events ({every:g})", hint)
    return ArmMeasure(bad, every)


def number(value: object) -> float:
    """A finite number. Raises TrimtabError for anything else, a text that looks like a number too."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise failure("metric-number", f"{_kind(value)} came instead of a number", "give a number, not a text")
    try:
        plain = float(value)
    except (ValueError, OverflowError):
        plain = math.nan if isinstance(value, Decimal) else math.inf
    if not math.isfinite(plain):
        named = "NaN" if math.isnan(plain) else "an infinite number"
        hint = "a ratio with nothing below the line gives this: ask for the counts themselves"
        raise failure("metric-number", f"{named} came instead of a number", hint)
    return plain


def total(value: object) -> float:
    """A total: finite, not negative, not above `LARGEST`."""
    found = number(value)
    if found < 0:
        raise failure("metric-number", f"a total cannot be negative, and this is {found:g}", _COUNT_HINT)
    if found > LARGEST:
        raise failure("metric-number", f"a total of {found:g} is too large to count with", _COUNT_HINT)
    return found


def scores(value: object) -> dict[int, int]:
    """Counts by score in per cent, from a list of scores or of pairs (score, count)."""
    if not isinstance(value, list | tuple):
        hint = "give a list of scores, or of pairs of a score and its count"
        raise failure("metric-number", f"{_kind(value)} came instead of scores", hint)
    counts: dict[int, int] = {}
    for item in value:
        score, count = item if isinstance(item, list | tuple) and len(item) == 2 else (item, 1)
        percent = round(_score(score) * 100)
        counts[percent] = counts.get(percent, 0) + _whole(count)
    return counts


def _score(value: object) -> float:
    try:
        found = number(value)
    except TrimtabError as error:
        raise failure("metric-number", f"among the scores, {error.problem.message}", _SCORE_HINT) from None
    if not 0 <= found <= 1:
        raise failure("metric-number", f"a score of {found:g} is not between 0 and 1", _SCORE_HINT)
    return found


def _whole(value: object) -> int:
    found = total(value)
    if found != int(found):
        raise failure("metric-number", f"{found:g} cannot be how often a score came", "counts are whole numbers")
    return int(found)


def _kind(value: object) -> str:
    """What it is, in the words of JSON; texts are not repeated, for they may be anything."""
    names: tuple[tuple[type | tuple[type, ...], str], ...] = (
        (bool, "true or false"),
        (str, "a text"),
        (bytes, "bytes"),
        ((list, tuple), "a list"),
        (dict, "an object"),
        ((int, float, Decimal), "a number"),
    )
    if value is None:
        return "nothing"
    return next((name for kind, name in names if isinstance(value, kind)), f"a {type(value).__name__}")
