"""Reports in JSON: findings (SARIF), bills of materials (CycloneDX), and Trimtab's own of a load test."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

from trimtab.core.model.report import MOST_NAMED, Finding, FindingsReport, LoadReport
from trimtab.reports.unreadable import Unreadable, first_line, shortened

LOAD_SCHEMA = "trimtab.load/v1"
Level = Literal["error", "warning", "note"]
_LEVELS: tuple[Level, ...] = ("error", "warning", "note")


def document(file: Path) -> Mapping[str, Any]:
    """The JSON object in a file. Raises `Unreadable`, OSError."""
    try:
        found = json.loads(file.read_bytes())
    except json.JSONDecodeError as error:
        raise Unreadable(f"line {error.lineno}, column {error.colno}: it is no JSON ({error.msg})") from None
    except UnicodeDecodeError:
        raise Unreadable("it is no JSON: it is not UTF-8") from None
    except (RecursionError, ValueError):
        raise Unreadable("it is no JSON that can be read: it is nested too deep, or has numbers too long") from None
    return _mapping(found, "the whole")


def read_sarif(files: Sequence[Path]) -> FindingsReport:
    """Raises `Unreadable`, OSError."""
    counts, first = Counter[Level](), dict[Level, list[Finding]]()
    for file in files:
        for finding in _findings(document(file)):
            counts[finding.level] += 1
            named = first.setdefault(finding.level, [])
            if len(named) < MOST_NAMED:
                named.append(finding)
    gravest = [finding for level in _LEVELS for finding in first.get(level, [])][:MOST_NAMED]
    return FindingsReport(counts["error"], counts["warning"], counts["note"], tuple(gravest))


def _findings(found: Mapping[str, Any]) -> Iterator[Finding]:
    if "runs" not in found:
        raise Unreadable("it is no SARIF: it has no `runs`")
    for run in map(_run, _list(found["runs"], "runs")):
        usual = _usual_levels(run)
        for each in _list(run.get("results") or [], "results"):
            result = _mapping(each, "a result")
            if result.get("suppressions") or result.get("kind") in ("pass", "notApplicable", "informational"):
                continue
            rule = str(result.get("ruleId") or "")
            level = result.get("level") or usual.get(rule, "warning")
            if level != "none":
                yield Finding(shortened(rule), _level(level), _place(result), _message(result))


def _run(run: Any) -> Mapping[str, Any]:
    return _mapping(run, "a run")


def _usual_levels(run: Mapping[str, Any]) -> Mapping[str, str]:
    """The levels of rules for results that say none."""
    driver = _inner(run, "tool", "driver")
    rules = [_mapping(rule, "a rule") for rule in _list(driver.get("rules") or [], "rules")]
    levels = {str(rule.get("id")): _inner(rule, "defaultConfiguration").get("level") for rule in rules}
    return {name: level for name, level in levels.items() if isinstance(level, str)}


def _level(level: Any) -> Level:
    return cast(Level, level) if level in _LEVELS else "warning"


def _place(result: Mapping[str, Any]) -> str:
    locations = result.get("locations")
    if not isinstance(locations, list) or not locations or not isinstance(locations[0], dict):
        return ""
    physical = _inner(locations[0], "physicalLocation")
    file, line = _inner(physical, "artifactLocation").get("uri"), _inner(physical, "region").get("startLine")
    if not isinstance(file, str):
        return ""
    return shortened(f"{file}:{line}" if isinstance(line, int) else file)


def _message(result: Mapping[str, Any]) -> str:
    message = _inner(result, "message")
    return first_line(str(message.get("text") or message.get("markdown") or ""))


def read_sbom(files: Sequence[Path]) -> int:
    """How many components the bills have. Raises `Unreadable`, OSError."""
    components = 0
    for file in files:
        found = document(file)
        if found.get("bomFormat") != "CycloneDX":
            raise Unreadable("it is no CycloneDX in JSON: `bomFormat` does not say so")
        components += len(_list(found.get("components") or [], "components"))
    return components


def read_load(files: Sequence[Path]) -> LoadReport:
    """Raises `Unreadable`, OSError."""
    if len(files) != 1:
        raise Unreadable("a load test has one report, and its percentiles cannot be added")
    found = document(files[0])
    if found.get("schema") != LOAD_SCHEMA:
        raise Unreadable(f"it is no report of a load test: `schema` is not {LOAD_SCHEMA}")
    return LoadReport(
        requests=int(_number(found, "requests")),
        errors=int(_number(found, "errors")),
        p50_ms=_number(found, "p50_ms"),
        p95_ms=_number(found, "p95_ms"),
        p99_ms=_number(found, "p99_ms"),
        throughput_per_s=_number(found, "throughput_per_s"),
    )


def _number(found: Mapping[str, Any], name: str) -> float:
    value = found.get(name)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value) or value < 0:
        raise Unreadable(f"`{name}` must be a number that is not negative")
    return float(value)


def _inner(value: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    """A mapping in a mapping; an empty one where there is none."""
    for name in names:
        inner = value.get(name)
        value = inner if isinstance(inner, dict) else {}
    return value


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Unreadable(f"{what} must be a JSON object")
    return value


def _list(value: Any, what: str) -> list[Any]:
    if not isinstance(value, list):
        raise Unreadable(f"`{what}` must be a list")
    return value
