"""The ratchet on long functions: none above 70 lines, and never more above 40 than `long_functions.txt` says.

Run as ``python -m tests.repo.long_functions``; part of `make check`.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
RATCHET = Path(__file__).with_suffix(".txt")
LONG_LINES, LIMIT_LINES = 40, 70


def functions(root: Path) -> list[tuple[int, str]]:
    """(lines, place) of every function below `root`, longest first."""
    found = []
    for path in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                found.append((lines, f"{path.relative_to(root.parent)}:{node.lineno} {node.name}"))
    return sorted(found, reverse=True)


def complaints(found: list[tuple[int, str]], allowed: int) -> list[str]:
    """What is wrong, as sentences; empty when nothing is."""
    said = [
        f"{place} has {lines} lines; split it ({LIMIT_LINES} at most)" for lines, place in found if lines > LIMIT_LINES
    ]
    long = [f"{place} ({lines})" for lines, place in found if lines > LONG_LINES]
    if len(long) > allowed:
        said.append(f"{len(long)} functions have over {LONG_LINES} lines, {allowed} are allowed: {', '.join(long)}")
    if len(long) < allowed:
        said.append(
            f"only {len(long)} functions have over {LONG_LINES} lines now: write {len(long)} into {RATCHET.name}"
        )
    return said


def main() -> int:
    said = complaints(functions(ROOT / "src"), int(RATCHET.read_text()))
    for complaint in said:
        print(complaint, file=sys.stderr)
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
