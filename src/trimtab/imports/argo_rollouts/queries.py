"""What a query and a condition say: the share of bad or of good events, and where Argo Rollouts drew the line.

Nothing is evaluated; a query that is not plainly a share of two totals is not understood, and the reason is said.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"' + r"|'(?:[^'\\]|\\.)*'|`[^`]*`")
_COMMENT = re.compile(r"#[^\n]*")
_RATE = re.compile(r"\b(?:rate|irate|increase)\s*\(")
_FUNCTION = re.compile(r"([A-Za-z_]\w*)\s*\(")
_WORD = re.compile(r"\b(?:and|or|unless|on|ignoring|by|without|offset|bool|group_left|group_right)\b", re.IGNORECASE)
_BEFORE = re.compile(r"^\s*100(?:\.0*)?\s*\*\s*")
_AFTER = re.compile(r"\s*\*\s*100(?:\.0*)?\s*$")
_AVERAGE = re.compile(r"\w_sum\b")
_NUMBER = r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
_COMPARED = re.compile(
    rf"(?:asFloat\(|default\()?\s*result(?:\[0\])?(?:\s*,\s*[0-9.]+)?\s*\)?\s*(<=|>=|<|>)\s*{_NUMBER}"
)
_BESIDE = re.compile(r"!?\s*(?:isNaN|isInf)\(.*\)|len\(result\)\s*[<>=!]+\s*[0-9]+|result\s*[=!]=\s*nil")


@dataclass(frozen=True, slots=True)
class Share:
    """Totals: `part` of `whole`. `percent`: the query gives percent."""

    part: str
    whole: str
    percent: bool


class NotUnderstood(Exception):
    """The reason, as a part of a sentence."""


@dataclass(frozen=True, slots=True)
class Line:
    """Where a condition draws the line: the number must be `above` or below `limit` to be good."""

    above: bool
    limit: float


def share(query: str) -> Share:
    """The two totals whose ratio the query is. Raises `NotUnderstood`."""
    text = " ".join(_without_comments(query).split())
    text, percent = _without_scale(text)
    masked = mask(text)
    slashes = _at_top(masked, "/")
    if len(slashes) != 1 or _at_top(masked, "+-*%^<>=!") or _words_at_top(masked):
        raise NotUnderstood("the query is no division of two totals")
    part, part_scaled = _without_scale(text[: slashes[0]])
    whole = _unwrapped(text[slashes[0] + 1 :])
    if _AVERAGE.search(mask(part)):
        raise NotUnderstood("the query is an average, not a share of events")
    return Share(totals(part), totals(whole), percent or part_scaled)


def totals(expression: str) -> str:
    """The expression with totals in place of rates: Trimtab takes what they gain. Raises `NotUnderstood`."""
    text = expression
    while found := _RATE.search(mask(text)):
        masked = mask(text)
        close = _closing(masked, found.end() - 1)
        inner = text[found.end() : close].strip()
        begin = mask(inner).rfind("[")
        if not inner.endswith("]") or begin < 0 or ":" in inner[begin:]:
            raise NotUnderstood("a rate in the query is not that of one counter")
        text = text[: found.start()] + inner[:begin].rstrip() + text[close + 1 :]
    masked = mask(text)
    if "[" in masked or _WORD.search(masked) or re.search(r"[<>=!*/%^]", masked):
        raise NotUnderstood("it is no sum of counters")
    others = {name for name in _FUNCTION.findall(masked) if name != "sum"}
    if others:
        raise NotUnderstood(f"`{min(others)}` gives no total that only grows")
    return _unwrapped(text)


def difference(whole: str, part: str) -> str:
    """``whole - part``."""
    return " - ".join(f"({text})" if _at_top(mask(text), "+-") else text for text in (whole, part))


def line(condition: str) -> Line | None:
    """The one comparison with a number in a condition; None when there is none, or more."""
    terms = [_bare(term) for term in re.split(r"\|\||&&", condition)]
    compared = [found for term in terms if not _BESIDE.fullmatch(term) and (found := _COMPARED.fullmatch(term))]
    others = [term for term in terms if not _BESIDE.fullmatch(term) and not _COMPARED.fullmatch(term)]
    if len(compared) != 1 or others:
        return None
    return Line(compared[0][1].startswith(">"), float(compared[0][2]))


def mask(text: str) -> str:
    """The text, as long as before, with everything in quotes and in braces made unreadable."""
    masked = _STRING.sub(lambda found: "~" * len(found[0]), text)
    return re.sub(r"\{[^{}]*\}", lambda found: "{" + "~" * (len(found[0]) - 2) + "}", masked)


def selecting(query: str, matcher: str) -> str:
    """The query with a matcher more in every ``{...}``."""
    masked, text, end = mask(query), "", 0
    for found in re.finditer(r"\{(~*)\}", masked):
        empty = not query[found.start() + 1 : found.end() - 1].strip()
        text += query[end : found.start() + 1] + matcher + ("" if empty else ",")
        end = found.start() + 1
    return text + query[end:]


def _without_comments(query: str) -> str:
    masked = _STRING.sub(lambda found: "~" * len(found[0]), query)
    kept, end = "", 0
    for found in _COMMENT.finditer(masked):
        kept += query[end : found.start()]
        end = found.end()
    return kept + query[end:]


def _without_scale(text: str) -> tuple[str, bool]:
    bare = _AFTER.sub("", _BEFORE.sub("", text))
    return _unwrapped(bare), bare != text


def _unwrapped(text: str) -> str:
    """Without parentheses around all of it."""
    text = text.strip()
    while text.startswith("(") and _closing(mask(text), 0) == len(text) - 1:
        text = text[1:-1].strip()
    return text


def _bare(term: str) -> str:
    term = term.strip()
    while term.startswith("(") and term.endswith(")"):
        term = term[1:-1].strip()
    return term


def _closing(masked: str, opening: int) -> int:
    depth = 0
    for position in range(opening, len(masked)):
        depth += (masked[position] == "(") - (masked[position] == ")")
        if depth == 0:
            return position
    raise NotUnderstood("its parentheses do not match")


def _at_top(masked: str, signs: str) -> list[int]:
    """Where any of `signs` stands outside of all brackets."""
    depth, found = 0, []
    for position, sign in enumerate(masked):
        depth += (sign in "([{") - (sign in ")]}")
        if depth == 0 and sign in signs:
            found.append(position)
    return found


def _words_at_top(masked: str) -> bool:
    return any(not _depth(masked, found.start()) for found in _WORD.finditer(masked))


def _depth(masked: str, position: int) -> int:
    before = masked[:position]
    return sum(before.count(sign) for sign in "([{") - sum(before.count(sign) for sign in ")]}")
