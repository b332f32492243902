"""Rollouts, what they become and what is said about it, side by side: `argo_rollouts/NAME.yaml`, `NAME.trimtab.yaml`
and `NAME.txt`; what cannot be imported is in `argo_rollouts/bad/`, with its problems.

To add a case, write the YAML file and run `python -m tests.imports.golden`; then read what it wrote.
"""

from __future__ import annotations

from pathlib import Path

from trimtab.cli.pictures.imported import imported_lines, summary
from trimtab.core.errors import TrimtabError
from trimtab.imports.argo_rollouts import Source, translate

FOLDER = Path(__file__).parent / "argo_rollouts"
GOOD = sorted(path for path in FOLDER.glob("*.yaml") if not path.name.endswith(".trimtab.yaml"))
BAD = sorted((FOLDER / "bad").glob("*.yaml"))
WIDTH = 120


def configuration_of(case: Path) -> Path:
    return case.with_suffix(".trimtab.yaml")


def report_of(case: Path) -> Path:
    return case.with_suffix(".txt")


def pictures(case: Path) -> tuple[str, str]:
    """The configuration, and the report as it is printed."""
    made = translate([Source(case.name, case.read_bytes())])
    lines = [*imported_lines(made.fields, WIDTH), summary(made.fields)]
    return made.configuration, "\n".join(lines) + "\n"


def problems(case: Path) -> str:
    """Every problem as a user sees it."""
    try:
        translate([Source(case.name, case.read_bytes())])
    except TrimtabError as error:
        return "".join(
            f"{problem.where}  {problem.code}\n  {problem.message}\n"
            + (f"  -> {problem.hint}\n" if problem.hint else "")
            for problem in error.problems
        )
    return "is imported without a problem\n"


def main() -> None:
    for case in GOOD:
        configuration, report = pictures(case)
        configuration_of(case).write_text(configuration)
        report_of(case).write_text(report)
    for case in BAD:
        report_of(case).write_text(problems(case))


if __name__ == "__main__":
    main()
