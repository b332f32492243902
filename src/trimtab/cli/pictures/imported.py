"""The report on an import: one line for each field, with what differs below it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from textwrap import wrap

from trimtab.cli.plain import clean
from trimtab.core.say import count
from trimtab.imports.argo_rollouts import Field, Outcome

WORDS: dict[Outcome, str] = {"mapped": "mapped", "changed": "changed", "none": "no counterpart"}
_INDENT = "    "
_WIDEST_PATH = 60


def imported_lines(fields: Sequence[Field], width: int) -> Iterator[str]:
    """``file:line:column  path  outcome  -> setting`` for each field, the fields of each object below its name. Notes
    are wrapped to `width`; the lines of the fields are as long as they have to be."""
    places = max((len(field.place) for field in fields), default=0)
    paths = min(max((len(field.path) for field in fields), default=0), _WIDEST_PATH)
    words = max(map(len, WORDS.values()))
    before = ""
    for field in fields:
        if field.object != before:
            yield from ("", clean(field.object)) if before else (clean(field.object),)
            before = field.object
        to = f"-> {clean(field.to)}" if field.to else ""
        line = f"{clean(field.place):{places}}  {clean(field.path):{paths}}  {WORDS[field.outcome]:{words}}  {to}"
        yield line.rstrip()
        yield from (f"{_INDENT}{part}" for part in wrap(clean(field.note), max(width - len(_INDENT), 20)))


def summary(fields: Sequence[Field]) -> str:
    """``41 fields: 29 mapped, 7 changed, 5 without counterpart``."""
    numbers = Counter(field.outcome for field in fields)
    parts = f"{numbers['mapped']} mapped, {numbers['changed']} changed, {numbers['none']} without counterpart"
    return f"\n{count(len(fields), 'field')}: {parts}"
