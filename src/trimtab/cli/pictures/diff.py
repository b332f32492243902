"""Pictures of what a release changes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from trimtab.cli.pictures.table import table
from trimtab.cli.pictures.words import BAD, CARE, DIM, GOOD, STRONG, joined, name, plain_value
from trimtab.cli.plain import clean, clean_line
from trimtab.core.say import count
from trimtab.views.release_diff import (
    DependencyChange,
    DiffLine,
    DocumentChange,
    FileChange,
    PromptChange,
    ReleaseDiffView,
    SettingChange,
    TextDiff,
)

SIDE_BY_SIDE_CELLS = 120
MOST_FILES = 200
"""Of one part that are shown."""
_LOOKS = {"added": ("+", GOOD), "removed": ("-", BAD), "changed": ("~", CARE)}
_STYLES = {"+": GOOD, "-": BAD, "~": DIM, " ": ""}
_TAB = "    "


def diff_picture(found: ReleaseDiffView, width: int, *, beside: bool = True) -> RenderableType:
    """What the release changes, kind by kind. `beside`: texts are side by side, if there is room for that."""
    beside = beside and width >= SIDE_BY_SIDE_CELLS
    head = joined(name(found.release), Text("against", style=DIM), name(found.base))
    if found.is_empty:
        return Group(head, Text("nothing changed"))
    rows: list[RenderableType] = [head]
    for prompt in found.prompts:
        rows += _prompt(prompt, beside)
    for heading, settings in (("MODEL", found.model), ("CONFIG", found.config), ("FLAG", found.flags)):
        if settings:
            rows += [Text(), _settings(heading, settings, width)]
    if found.dependencies:
        rows += [Text(), _dependencies(found.dependencies, width)]
    for index in sorted({document.index for document in found.documents}):
        rows += _documents(index, [document for document in found.documents if document.index == index])
    for part in found.parts:
        rows += [Text(), joined(Text(f"part {clean(part.name)}", style=STRONG), count(len(part.files), "file"))]
        for file in part.files[:MOST_FILES]:
            rows += _file(file, beside)
        if len(part.files) > MOST_FILES:
            more = count(len(part.files) - MOST_FILES, "more file")
            rows.append(Text(f"and {more}: `--json` has them all", style=DIM))
    if found.settings:
        rows += [Text(), _settings("TRIMTAB.YAML", found.settings, width)]
    return Group(*rows)


def _documents(index: str, documents: Sequence[DocumentChange]) -> Iterator[RenderableType]:
    yield Text()
    yield joined(Text(f"documents of {clean(index)}", style=STRONG), count(len(documents), "change"))
    for document in documents[:MOST_FILES]:
        yield joined(_change(document.change), clean(document.document))
    if len(documents) > MOST_FILES:
        more = count(len(documents) - MOST_FILES, "more document")
        yield Text(f"and {more}: `--json` has them all", style=DIM)


def _prompt(prompt: PromptChange, beside: bool) -> Iterator[RenderableType]:
    title = joined(
        _change(prompt.change),
        Text(f"prompt {clean(prompt.name)}", style=STRONG),
        Text(clean(prompt.file), style=DIM),
        _counts(prompt.text),
    )
    yield Text()
    yield title
    if prompt.moved_from:
        yield Text(f"  was in {clean(prompt.moved_from)}")
    for said, names in (("no more", prompt.variables_removed), ("new", prompt.variables_added)):
        if names:
            yield Text(f"  {said}: {', '.join(clean(variable) for variable in names)}")
    yield from _text(prompt.text, beside)


def _file(file: FileChange, beside: bool) -> Iterator[RenderableType]:
    yield joined(_change(file.change), clean(file.path), _counts(file.text), Text(clean(file.note), style=DIM))
    yield from _text(file.text, beside)


def _change(change: str) -> Text:
    glyph, style = _LOOKS.get(change, ("•", ""))
    return Text(f"{glyph} {change}".ljust(len("~ changed")), style=style)


def _counts(text: TextDiff) -> Text:
    if not text.added and not text.removed:
        return Text(text.hidden, style=DIM)
    counts = joined(
        Text(f"+{text.added}", style=GOOD) if text.added else "",
        Text(f"-{text.removed}", style=BAD) if text.removed else "",
        gap=" ",
    )
    return joined(counts, Text(text.hidden, style=DIM))


def _text(text: TextDiff, beside: bool) -> Iterator[RenderableType]:
    if not text.lines:
        return
    both = {line.op for line in text.lines} >= {"+", "-"}
    drawn = _beside(text.lines) if beside and both else _below(text.lines)
    yield Padding(drawn, (0, 0, 0, 2))


def _below(lines: Sequence[DiffLine]) -> RenderableType:
    drawn = Table.grid(padding=(0, 1, 0, 0))
    drawn.add_column(no_wrap=True)
    drawn.add_column(overflow="fold")
    for line in lines:
        style = _STYLES.get(line.op, "")
        drawn.add_row(
            *(("⋮", "") if line.op == "~" else (Text(line.op, style=style), Text(_plain(line.text), style=style)))
        )
    return drawn


def _beside(lines: Sequence[DiffLine]) -> RenderableType:
    drawn = Table.grid(padding=(0, 1, 0, 0), expand=True)
    for _ in range(2):
        drawn.add_column(no_wrap=True, width=1)
        drawn.add_column(overflow="fold", ratio=1)
    for before, now in _pairs(lines):
        drawn.add_row(*_half(before), *_half(now))
    return drawn


def _half(line: DiffLine | None) -> tuple[Text, Text]:
    if line is None:
        return Text(), Text()
    if line.op == "~":
        return Text("⋮", style=DIM), Text()
    style = _STYLES.get(line.op, "")
    return Text(line.op, style=style), Text(_plain(line.text), style=style)


def _pairs(lines: Sequence[DiffLine]) -> Iterator[tuple[DiffLine | None, DiffLine | None]]:
    """What went beside what came in its place."""
    gone: list[DiffLine] = []
    come: list[DiffLine] = []
    for line in (*lines, None):
        if line is not None and line.op == "-" and not come:
            gone.append(line)
        elif line is not None and line.op == "+":
            come.append(line)
        else:
            for index in range(max(len(gone), len(come))):
                yield gone[index] if index < len(gone) else None, come[index] if index < len(come) else None
            gone, come = [], []
            if line is not None and line.op == "-":
                gone.append(line)
            elif line is not None:
                yield line, line


@dataclass(frozen=True, slots=True)
class _Row:
    """A value that changed; `aside` is what it belongs to."""

    label: str
    old: Text
    new: Text
    aside: str = ""


def _settings(heading: str, changes: Sequence[SettingChange], width: int) -> RenderableType:
    rows = [_Row(clean(one.path), _value(one.old), _value(one.new)) for one in changes]
    return _changes(heading, rows, width)


def _dependencies(changes: Sequence[DependencyChange], width: int) -> RenderableType:
    rows = [_Row(clean(one.name), _version(one.old), _version(one.new), clean(one.file)) for one in changes]
    return _changes("DEPENDENCY", rows, width)


def _changes(heading: str, rows: Sequence[_Row], width: int) -> RenderableType:
    """A line for each, in columns; two for each where they are too wide for that."""
    columns = [(row.label, "", row.old.plain, row.new.plain, row.aside) for row in rows]
    widest = [max(map(cell_len, column)) for column in zip(*columns, strict=True)]
    if sum(widest) + _BETWEEN_CELLS <= width:
        cells = [(row.label, row.old, "→", row.new, Text(row.aside, style=DIM)) for row in rows]
        return table((heading, "BEFORE", "", "NOW", ""), cells, gives_way="")
    lines: list[RenderableType] = [Text(heading, style=DIM)]
    for row in rows:
        lines.append(joined(row.label, Text(row.aside, style=DIM)))
        lines.append(Padding(joined(row.old, "→", row.new, gap=" "), (0, 0, 0, 2)))
    return Group(*lines)


_BETWEEN_CELLS = 12


def _value(value: str | None) -> Text:
    return Text("not set", style=DIM) if value is None else Text(plain_value(value))


def _version(version: str | None) -> Text:
    return Text("none", style=DIM) if version is None else Text(clean(version) or "any")


def _plain(text: str) -> str:
    return clean_line(text.replace("\t", _TAB))
