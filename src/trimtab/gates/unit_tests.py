"""A project's tests, run by pytest of the project's own interpreter."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from trimtab.core.errors import failure
from trimtab.gates.running import Outcome, parser, run
from trimtab.gates.tools import ask, interpreter, show

_NO_TESTS, _TESTS_FAILED, _INTERRUPTED = 5, 1, 2
_ENDS = {3: "pytest itself broke down", 4: "pytest does not know what it was told"}


def main(argv: Sequence[str]) -> int:
    words = parser("unit-tests", "Run tests with pytest, and write JUnit XML and coverage (Cobertura XML).")
    words.add_argument("--python", default="python3", help="the project's interpreter, in which pytest is installed")
    words.add_argument("--junit", type=Path, default=Path("report.xml"), metavar="FILE")
    words.add_argument("--coverage", metavar="FILE", help="left out: coverage is not measured")
    words.add_argument("--source", nargs="*", default=[], help="packages or folders whose coverage is measured")
    words.add_argument("arguments", nargs="*", help="for pytest; put them after `--`")
    return run(words, test, argv)


def test(asked: argparse.Namespace) -> Outcome:
    """Raises `TrimtabError`: `gate-input`, `gate-undecided`."""
    python = interpreter(asked.python)
    _need(python, "pytest")
    measured = []
    if asked.coverage:
        _need(python, "coverage")
        measured = ["-m", "coverage", "run", *(f"--source={source}" for source in (",".join(asked.source),) if source)]
    code = show([python, *measured, "-m", "pytest", f"--junit-xml={asked.junit}", *asked.arguments])
    if asked.coverage and code in (0, _TESTS_FAILED):
        written = ask([python, "-m", "coverage", "xml", "-o", asked.coverage])
        if written.returncode != 0:
            said = (written.stdout + written.stderr).strip()[-300:]
            raise failure(
                "gate-undecided", f"coverage cannot tell what was covered: {said}", "see what `--source` names"
            )
    if code == _NO_TESTS:
        hint = "see where pytest looks for them (`testpaths`), or name the folder"
        raise failure("gate-undecided", "there is not one test", hint, str(Path.cwd().name))
    if code in _ENDS:
        raise failure("gate-undecided", _ENDS[code], "read what it printed above")
    if code != 0:
        why = "the tests were interrupted" if code == _INTERRUPTED else "tests fail"
        return Outcome(why if code in (_TESTS_FAILED, _INTERRUPTED) else f"pytest ended with {code}", failed=True)
    return Outcome("all tests pass")


def _need(python: str, module: str) -> None:
    if ask([python, "-c", f"import {module}"]).returncode != 0:
        hint = f"install {module} for it in a step before, or name another with `--python`"
        raise failure("gate-tool-missing", f"the interpreter `{python}` has no {module}", hint)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
