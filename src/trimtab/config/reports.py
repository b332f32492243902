"""The settings of what is read of a step's tools. A path, or a list of paths, is short for `{file: ...}`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from trimtab.config.fields import OutputPath, Percent
from trimtab.config.setting import Settings, listed, mapping, required, setting
from trimtab.core.model.report import ReportSpec

Files = Annotated[
    list[OutputPath],
    Field(min_length=1, max_length=100),
    BeforeValidator(
        listed, json_schema_input_type=OutputPath | Annotated[list[OutputPath], Field(min_length=1, max_length=100)]
    ),
]


class Report(Settings):
    """Files that a step's tools write. `PATH` is short for `{file: PATH}`."""

    file: Files = required(
        "The file, or several that are one report together. A folder stands for all such files in it.",
        "report.xml",
        ["unit.xml", "target/surefire-reports/"],
    )
    required: bool = setting(
        False, "Whether a step that passes has failed all the same when the report cannot be read.", True
    )


class Coverage(Settings):
    """How much of the code the tests run. `PATH` is short for `{file: PATH}`. With `min` or `max_drop` a report must be
    there."""

    file: Files = required(
        "The file, or several that are one report together: Cobertura XML, coverage.py's JSON or lcov.", "coverage.xml"
    )
    min: Percent | None = setting(None, "The step fails when fewer lines are covered.", "80%", ge=0, le=100)
    max_drop: Percent | None = setting(
        None,
        "The step fails when coverage is lower by more percentage points than when a change passed on the deployed"
        " branch the last time.",
        "1%",
        ge=0,
        le=100,
    )


def _report(value: Any) -> Any:
    if isinstance(value, (str, list)):
        return {"file": value}
    return mapping(value, "a path, a list of paths, or a mapping with `file`", "for example `report.xml`")


AnyReport = Annotated[Report, BeforeValidator(_report, json_schema_input_type=Files | Report)]
CoverageReport = Annotated[Coverage, BeforeValidator(_report, json_schema_input_type=Files | Coverage)]


class Reports(Settings):
    """What is read of what a step's tools have written, whether the step has passed or failed."""

    junit: AnyReport | None = setting(
        None, "Tests: JUnit XML, as most test runners write it. Those that fail are shown by name.", "report.xml"
    )
    coverage: CoverageReport | None = setting(
        None, "Covered lines.", "coverage.xml", {"file": "coverage.xml", "min": "80%", "max_drop": "1%"}
    )
    sarif: AnyReport | None = setting(None, "Findings of linters and scanners: SARIF.", "lint.sarif")
    sbom: AnyReport | None = setting(None, "What the software is made of: CycloneDX as JSON.", "sbom.json")
    load: AnyReport | None = setting(None, "What Trimtab's load test writes.", "load.json")


def compiled(reports: Reports) -> Iterator[ReportSpec]:
    """In the order in which they are shown."""
    if reports.junit is not None:
        yield ReportSpec("junit", tuple(reports.junit.file), reports.junit.required)
    if (coverage := reports.coverage) is not None:
        held = coverage.min is not None or coverage.max_drop is not None
        yield ReportSpec("coverage", tuple(coverage.file), held, coverage.min, coverage.max_drop)
    if reports.sarif is not None:
        yield ReportSpec("sarif", tuple(reports.sarif.file), reports.sarif.required)
    if reports.sbom is not None:
        yield ReportSpec("sbom", tuple(reports.sbom.file), reports.sbom.required)
    if reports.load is not None:
        yield ReportSpec("load", tuple(reports.load.file), reports.load.required)
