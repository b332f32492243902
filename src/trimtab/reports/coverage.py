"""Covered lines, as Cobertura XML (coverage.py, gcovr, Istanbul), coverage.py's JSON and lcov say it.

Several files are one report: a line is covered if one of them says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trimtab.core.model.report import CoverageReport
from trimtab.reports.documents import document
from trimtab.reports.unreadable import Unreadable, shortened
from trimtab.reports.xml import parse

_BEGINNING_BYTES = 4096
_XML_MARKS = (b"<", b"\xef\xbb\xbf<", b"\xff\xfe", b"\xfe\xff")


@dataclass
class _Lines:
    """Lines by the file that they are in, as Cobertura's elements name them."""

    known: dict[str, set[int]] = field(default_factory=dict)
    covered: dict[str, set[int]] = field(default_factory=dict)
    totals: list[tuple[int, int]] = field(default_factory=list)
    """Lines and covered ones, where a file has no more than that."""
    _file: str = ""
    _root: str = ""
    _root_attributes: Mapping[str, str] = field(default_factory=dict)
    _any: bool = False

    def line(self, file: str, number: int, *, hit: bool) -> None:
        self.known.setdefault(file, set()).add(number)
        if hit:
            self.covered.setdefault(file, set()).add(number)

    def report(self) -> CoverageReport:
        lines = sum(map(len, self.known.values())) + sum(lines for lines, _ in self.totals)
        covered = sum(map(len, self.covered.values())) + sum(covered for _, covered in self.totals)
        return CoverageReport(lines, covered)

    # --- Cobertura ---

    def begin(self, name: str, attributes: Mapping[str, str]) -> None:
        if not self._root:
            self._root, self._root_attributes, self._any = name, attributes, False
            if name != "coverage":
                raise Unreadable(f"it is no Cobertura XML: its root is `{shortened(name)}`")
        elif name == "class":
            self._file, self._any = attributes.get("filename") or attributes.get("name", ""), True
        elif name == "line" and self._file:
            self.line(self._file, _whole(attributes, "number"), hit=_whole(attributes, "hits") > 0)

    def text(self, text: str) -> None:
        pass

    def end(self, name: str) -> None:
        if name == "class":
            self._file = ""

    def xml(self, file: Path) -> None:
        self._root = ""
        parse(file, self)
        if not self._any and "lines-valid" in self._root_attributes:
            valid, covered = (_whole(self._root_attributes, name) for name in ("lines-valid", "lines-covered"))
            self.totals.append(_checked(valid, covered))


def read_coverage(files: Sequence[Path]) -> CoverageReport:
    """Raises `Unreadable`, OSError."""
    lines = _Lines()
    for file in files:
        with file.open("rb") as opened:
            beginning = opened.read(_BEGINNING_BYTES).lstrip()
        if beginning.startswith(_XML_MARKS):
            lines.xml(file)
        elif beginning.startswith(b"{"):
            _read_json(document(file), lines)
        elif any(line.startswith((b"TN:", b"SF:")) for line in beginning.splitlines()):
            _read_lcov(file, lines)
        else:
            raise Unreadable("it is neither Cobertura XML nor coverage.py's JSON nor lcov")
    return lines.report()


def _read_json(found: Mapping[str, Any], lines: _Lines) -> None:
    files, totals = found.get("files"), found.get("totals")
    if isinstance(files, dict) and all(_has_lines(each) for each in files.values()):
        for name, each in files.items():
            for number in each["executed_lines"]:
                lines.line(name, _number(number), hit=True)
            for number in each["missing_lines"]:
                lines.line(name, _number(number), hit=False)
    elif isinstance(totals, dict):
        lines.totals.append(_checked(_number(totals.get("num_statements")), _number(totals.get("covered_lines"))))
    else:
        raise Unreadable("it has neither `files` nor `totals`, as coverage.py's JSON has")


def _has_lines(file: Any) -> bool:
    return isinstance(file, dict) and all(
        isinstance(file.get(name), list) for name in ("executed_lines", "missing_lines")
    )


def _read_lcov(file: Path, lines: _Lines) -> None:
    name = ""
    with file.open(encoding="utf-8", errors="replace") as opened:
        for number, line in enumerate(opened, 1):
            kind, _, rest = line.strip().partition(":")
            if kind == "SF":
                name = rest
            elif kind == "DA":
                where, _, hits = rest.partition(",")
                try:
                    lines.line(name, int(where), hit=float(hits.split(",")[0]) > 0)
                except ValueError:
                    raise Unreadable(f"line {number}: `{shortened(line)}` is no line of lcov") from None


def _whole(attributes: Mapping[str, str], name: str) -> int:
    text = attributes.get(name, "")
    try:
        return int(text[:18])
    except ValueError:
        raise Unreadable(f"`{name}` is `{shortened(text)}`, and must be a whole number") from None


def _number(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise Unreadable(f"`{shortened(str(value))}` stands where there must be a whole number")


def _checked(lines: int, covered: int) -> tuple[int, int]:
    if not 0 <= covered <= lines < 10**12:
        raise Unreadable(f"{covered} of {lines} lines cannot be covered")
    return lines, covered
