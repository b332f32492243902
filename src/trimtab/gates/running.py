"""What all gates share: their words, their exit codes, and how they say what they found."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from trimtab.core.errors import Problem, TrimtabError, failure
from trimtab.core.model.report import Finding

PASSED, FAILED, NOT_ASKED, INFRASTRUCTURE = 0, 1, 2, 75
UNAVAILABLE = "gate-unavailable"
"""The code of what passes by itself: the world is in the way, and not what was to be judged."""
_SARIF = "https://json.schemastore.org/sarif-2.1.0.json"
_MOST_PRINTED = 200


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a gate has found; it has passed if there is nothing. `said`: the last line of its log."""

    said: str
    findings: tuple[Finding, ...] = ()
    numbers: Mapping[str, Any] = field(default_factory=dict)
    """For `--json`: what else is known."""
    failed: bool = False
    """Whether it has failed without a finding of its own: a tool has said why already."""


def parser(name: str, about: str) -> argparse.ArgumentParser:
    """The words that every gate knows; a gate adds its own."""
    made = argparse.ArgumentParser(
        prog=f"python -m trimtab.gates {name}",
        description=about,
        epilog="Exit codes: 0 passed, 1 failed, 2 could not be asked, 75 try again later.",
    )
    made.add_argument("--json", action="store_true", help="say what was found as JSON")
    made.add_argument("--sarif", type=Path, metavar="FILE", help="write the findings to a file, as SARIF")
    return made


def run(words: argparse.ArgumentParser, gate: Callable[[argparse.Namespace], Outcome], argv: Sequence[str]) -> int:
    """Ask the gate and say what it found; the exit code. Nobody sees a traceback."""
    asked = words.parse_args(argv)
    name = words.prog.rpartition(" ")[2]
    try:
        outcome = gate(asked)
        if asked.sarif is not None:
            asked.sarif.parent.mkdir(parents=True, exist_ok=True)
            asked.sarif.write_text(sarif(name, outcome.findings))
    except TrimtabError as error:
        return _refused(name, error.problems, asked.json)
    except (OSError, UnicodeError) as error:
        return _refused(name, (Problem("gate-input", f"a file cannot be read or written: {error}"),), asked.json)
    passed = not outcome.findings and not outcome.failed
    if asked.json:
        about = {"gate": name, "passed": passed, "said": outcome.said}
        print(json.dumps({**about, "findings": [asdict(each) for each in outcome.findings], **outcome.numbers}))
    else:
        for finding in outcome.findings[:_MOST_PRINTED]:
            print(": ".join(part for part in (finding.place, finding.rule, finding.message) if part))
        print(outcome.said)
    return PASSED if passed else FAILED


def _refused(name: str, problems: Sequence[Problem], as_json: bool) -> int:
    if as_json:
        print(json.dumps({"gate": name, "passed": False, "problems": [asdict(problem) for problem in problems]}))
    sys.stdout.flush()
    for problem in problems:
        print(f"error: {problem}", file=sys.stderr)
    return INFRASTRUCTURE if any(problem.code == UNAVAILABLE for problem in problems) else NOT_ASKED


def tool_missing(name: str, package: str) -> TrimtabError:
    """The gate's tool is not installed where Trimtab is."""
    hint = f"install Trimtab with its gates, `pip install 'trimtab[gates]'`, or `pip install {package}` beside it"
    return failure("gate-tool-missing", f"the gate needs {name}, which is not installed beside Trimtab", hint)


def sarif(tool: str, findings: Sequence[Finding]) -> str:
    """The findings as SARIF 2.1.0: the same ones give the same text."""
    results = [
        {
            "ruleId": finding.rule,
            "level": finding.level,
            "message": {"text": finding.message},
            "locations": [_location(finding.place)] if finding.place else [],
        }
        for finding in findings
    ]
    driver = {"name": f"trimtab {tool}", "rules": [{"id": rule} for rule in sorted({each.rule for each in findings})]}
    document = {"$schema": _SARIF, "version": "2.1.0", "runs": [{"tool": {"driver": driver}, "results": results}]}
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def _location(place: str) -> dict[str, Any]:
    file, _, line = place.rpartition(":")
    if not file or not line.isdecimal():
        return {"physicalLocation": {"artifactLocation": {"uri": place}}}
    return {"physicalLocation": {"artifactLocation": {"uri": file}, "region": {"startLine": int(line)}}}
