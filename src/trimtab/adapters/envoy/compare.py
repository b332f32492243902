"""Do two answers to the same request say the same? Pure functions over what the gateway kept of them."""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Any

from trimtab.adapters.envoy.access_log import ANSWER_BYTES
from trimtab.core.model.strategy import MirrorSpec
from trimtab.core.say import printable

_MOST_BYTES = 16 * ANSWER_BYTES
"""So much of an answer is unpacked at most."""
_MOST_WORDS = 400
_MOST_PAIRS = 10_000
_GONE = object()


@dataclass(frozen=True, slots=True)
class Answer:
    """What an arm answered: `body` is the first part of it, `size` says how long it was (bytes)."""

    status: int
    size: int
    body: bytes
    encoding: str = ""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whether two answers differ, in what, and (``similar`` only) how much of their words is alike in per cent."""

    difference: str = ""
    alike_pct: int | None = None


def compare(spec: MirrorSpec, stable: Answer, candidate: Answer) -> Comparison:
    """Compare as the specification says."""
    if stable.status // 100 != candidate.status // 100 or (
        spec.compare in ("exact", "json") and stable.status != candidate.status
    ):
        return Comparison(f"{stable.status} and {candidate.status}", 0 if spec.compare == "similar" else None)
    match spec.compare:
        case "exact":
            return _exact(stable, candidate)
        case "json":
            return _json(stable, candidate, spec.ignore)
        case "similar":
            return _similar(stable, candidate, spec.alike_pct)
        case _:
            return Comparison()


def _exact(stable: Answer, candidate: Answer) -> Comparison:
    if stable.size != candidate.size and (stable.encoding, candidate.encoding) == ("", ""):
        return Comparison(f"{stable.size} and {candidate.size} bytes")
    return Comparison() if _unpacked(stable) == _unpacked(candidate) else Comparison("other bytes")


def _json(stable: Answer, candidate: Answer, ignore: Sequence[str]) -> Comparison:
    try:
        mine, theirs = json.loads(_unpacked(stable)), json.loads(_unpacked(candidate))
        difference = _difference(mine, theirs, [tuple(path.split(".")) for path in ignore], ())
    except (ValueError, RecursionError):
        return _exact(stable, candidate)  # no JSON, more of it than was kept, or too deep to look into
    return Comparison(printable(difference))


def _difference(mine: Any, theirs: Any, ignore: Sequence[tuple[str, ...]], path: tuple[str, ...]) -> str:
    """Where two values of JSON differ first; empty when they do not."""
    if any(_covers(pattern, path) for pattern in ignore):
        return ""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        keys = [*mine, *(key for key in theirs if key not in mine)]
        pairs = ((str(key), mine.get(key, _GONE), theirs.get(key, _GONE)) for key in keys)
    elif isinstance(mine, list) and isinstance(theirs, list):
        longest = range(max(len(mine), len(theirs)))
        pairs = (
            (str(i), mine[i] if i < len(mine) else _GONE, theirs[i] if i < len(theirs) else _GONE) for i in longest
        )
    elif mine == theirs and isinstance(mine, bool) == isinstance(theirs, bool):
        return ""
    else:
        return f"{'.'.join(path) or 'the answer'}: {_shown(mine)} and {_shown(theirs)}"
    found = (_difference(one, other, ignore, (*path, key)) for key, one, other in pairs)
    return next((difference for difference in found if difference), "")


def _covers(pattern: tuple[str, ...], path: tuple[str, ...]) -> bool:
    return len(pattern) == len(path) and all(a in ("*", b) for a, b in zip(pattern, path, strict=True))


def _shown(value: Any) -> str:
    if value is _GONE:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else text[:37] + "..."


def _similar(stable: Answer, candidate: Answer, alike_pct: float) -> Comparison:
    mine, theirs = (_unpacked(answer).decode(errors="replace").split()[:_MOST_WORDS] for answer in (stable, candidate))
    matcher = SequenceMatcher(None, mine, theirs, autojunk=False)
    of_mine, of_theirs = Counter(mine), Counter(theirs)
    # The exact ratio takes as long as there are pairs of equal words: without end for a word that is repeated.
    pairs = sum(number * of_theirs[word] for word, number in of_mine.items())
    ratio = matcher.ratio() if pairs <= _MOST_PAIRS else matcher.quick_ratio()
    pct = round(100 * ratio)
    return Comparison(f"{pct} % alike" if 100 * ratio < alike_pct else "", pct)


def _unpacked(answer: Answer) -> bytes:
    """The body without its compression, as far as that is known; otherwise as it is."""
    if answer.encoding not in ("gzip", "deflate"):
        return answer.body
    try:
        return zlib.decompressobj(wbits=47).decompress(answer.body, _MOST_BYTES)
    except zlib.error:
        return answer.body
