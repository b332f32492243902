"""The files of a step to its report."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from trimtab.core.model.report import MOST_REPORT_BYTES, ReportKind, ReportSpec, StepReport, UnreadReport
from trimtab.reports.coverage import read_coverage
from trimtab.reports.documents import read_load, read_sarif, read_sbom
from trimtab.reports.junit import read_junit
from trimtab.reports.unreadable import Unreadable, shortened

_MOST_FILES = 10_000
_MEGABYTE = 1000 * 1000
_READERS: Mapping[ReportKind, tuple[str, Callable[[Sequence[Path]], Any]]] = {
    "junit": ("tests", read_junit),
    "coverage": ("coverage", read_coverage),
    "sarif": ("findings", read_sarif),
    "sbom": ("components", read_sbom),
    "load": ("load", read_load),
}
_ENDINGS: Mapping[ReportKind, tuple[str, ...]] = {
    "junit": (".xml",),
    "coverage": (".xml", ".json", ".info", ".lcov"),
    "sarif": (".sarif", ".json"),
    "sbom": (".json",),
    "load": (".json",),
}
"""What is read of a folder."""


def read(folder: Path, specs: Sequence[ReportSpec]) -> StepReport:
    """What the files say that were collected into `folder`, those of each kind in the folder of its name. Whatever is
    in them, it is said in the report. Blocks."""
    report = StepReport()
    for spec in specs:
        field, reader = _READERS[spec.kind]
        try:
            report = replace(report, **{field: reader(_files(folder / spec.kind, spec))})
        except Unreadable as error:
            report = unread(report, spec.kind, str(error))
        except OSError as error:
            report = unread(report, spec.kind, error.strerror or "it cannot be opened")
    return report


def unread(report: StepReport, kind: ReportKind, why: str) -> StepReport:
    """The report with one more part that could not be read."""
    return replace(report, unread=(*report.unread, UnreadReport(kind, shortened(why))))


def _files(folder: Path, spec: ReportSpec) -> list[Path]:
    found = [path for name in spec.files for path in _below(folder / name, _ENDINGS[spec.kind])]
    if not found:
        raise Unreadable(f"there is no file in {' and '.join(f'`{name}`' for name in spec.files)} that could be one")
    if len(found) > _MOST_FILES:
        raise Unreadable(f"it has {len(found):,} files, and at most {_MOST_FILES:,} are read")
    size_bytes = sum(path.lstat().st_size for path in found)
    if size_bytes > MOST_REPORT_BYTES:
        most = MOST_REPORT_BYTES // _MEGABYTE
        raise Unreadable(f"it has {size_bytes / _MEGABYTE:.1f} MB, and at most {most} MB are read")
    return found


def _below(path: Path, endings: Sequence[str]) -> Iterator[Path]:
    """The file, or what is in the folder; in an order that does not depend on the disk."""
    mode = path.lstat().st_mode
    if stat.S_ISREG(mode):
        yield path
    elif stat.S_ISDIR(mode):
        for inner, folders, names in os.walk(path):
            folders.sort()
            files = (Path(inner, name) for name in sorted(names) if name.endswith(tuple(endings)))
            yield from (file for file in files if stat.S_ISREG(file.lstat().st_mode))
    else:
        raise Unreadable(f"`{path.name}` is no file but a link; name the file itself")
