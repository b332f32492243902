"""`python -m trimtab.reports FOLDER`: read reports in a process of its own, which may use so much and no more.

On its standard input: the specifications as JSON; on its output: the report.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from pydantic import TypeAdapter

from trimtab.core.model.report import ReportSpec, StepReport
from trimtab.reports.reading import read

_MOST_MEMORY_BYTES = 1024 * 1024 * 1024
_LONGEST_CPU_S = 60


def main() -> None:
    specs = TypeAdapter(tuple[ReportSpec, ...]).validate_json(sys.stdin.buffer.read())
    resource.setrlimit(resource.RLIMIT_AS, (_MOST_MEMORY_BYTES, _MOST_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_LONGEST_CPU_S, _LONGEST_CPU_S))
    report = read(Path(sys.argv[1]), specs)
    sys.stdout.buffer.write(TypeAdapter(StepReport).dump_json(report))


if __name__ == "__main__":
    main()
