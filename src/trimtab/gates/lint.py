"""Mistakes that ruff finds: with the project's ruff where it has one, else with the one beside Trimtab."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from trimtab.core.errors import failure
from trimtab.core.model.report import Finding
from trimtab.core.say import count
from trimtab.gates.running import Outcome, parser, run, tool_missing
from trimtab.gates.tools import ask, program

_CHANGED = re.compile(r"^--- (.+)\n\+\+\+ \1$", re.MULTILINE)


def main(argv: Sequence[str]) -> int:
    words = parser("lint", "Look for mistakes with ruff, by the rules that the project has set for it.")
    words.add_argument("--format", action="store_true", help="files that ruff would format otherwise are findings, too")
    words.add_argument("paths", nargs="*", default=["."])
    return run(words, lint, argv)


def lint(asked: argparse.Namespace) -> Outcome:
    """Raises `TrimtabError`: `gate-tool-missing`, `gate-input`."""
    ruff = program("ruff", "ruff")
    if ruff is None:
        raise tool_missing("ruff", "ruff")
    paths = asked.paths or ["."]
    findings = [_finding(each) for each in _check(ruff, paths)]
    if asked.format:
        findings += _unformatted(ruff, paths)
    rules = ", ".join(f"{rule} {times}" for rule, times in Counter(each.rule for each in findings).most_common(5))
    said = f"{count(len(findings), 'mistake')} found ({rules})" if findings else "no mistakes found"
    return Outcome(said, tuple(findings))


def _check(ruff: Sequence[str], paths: Sequence[str]) -> list[Any]:
    checked = ask([*ruff, "check", "--output-format=json", "--no-cache", "--no-fix", *paths])
    try:
        if checked.returncode in (0, 1):
            return list(json.loads(checked.stdout))
    except ValueError:
        pass
    said = (checked.stderr.strip() or checked.stdout.strip())[-400:]
    raise failure("gate-input", f"ruff cannot look: {' '.join(said.split())}", "see what `ruff check` says")


def _unformatted(ruff: Sequence[str], paths: Sequence[str]) -> list[Finding]:
    # The difference, since how the other forms name files is another in each version.
    checked = ask([*ruff, "format", "--diff", "--no-cache", *paths], {"NO_COLOR": "1"})
    named = [found[1] for found in _CHANGED.finditer(checked.stdout)]
    if checked.returncode not in (0, 1) or (checked.returncode == 1 and not named):
        said = " ".join(checked.stderr.split())[-400:]
        raise failure("gate-input", f"ruff cannot look: {said}", "see what `ruff format --check` says")
    return [Finding("format", "error", _relative(file), "ruff would format it otherwise") for file in named]


def _finding(found: Any) -> Finding:
    place = f"{_relative(found['filename'])}:{found['location']['row']}"
    return Finding(str(found["code"] or "invalid-syntax"), "error", place, str(found["message"]))


def _relative(file: str) -> str:
    path = Path(file)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else file


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
