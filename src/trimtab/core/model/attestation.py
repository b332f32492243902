"""What is attested of a release: where it comes from (SLSA provenance), and what each step found (test results).

Statements are in-toto's (https://in-toto.io/Statement/v1), and mean what their predicates' specifications say:
https://slsa.dev/provenance/v1 and https://in-toto.io/attestation/test-result/v0.1.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from trimtab.core.model.identity import Digest, is_digest
from trimtab.core.model.pipeline import StepSpec
from trimtab.core.model.release import Part, canonical_json, digest_of
from trimtab.core.model.report import StepReport

STATEMENT = "https://in-toto.io/Statement/v1"
PROVENANCE = "https://slsa.dev/provenance/v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
BUILD_TYPE = "urn:trimtab:build:run-v1"
PULL_REQUEST = "pullRequest"
"""The parameter that says which one a run was of."""
_RUN, _STEP = "urn:trimtab:run:", "urn:trimtab:step:"

Result = Literal["PASSED", "WARNED", "FAILED"]


@dataclass(frozen=True, slots=True)
class BuildInput:
    """What a release was made of besides the commit: a step template, or what a step has written."""

    name: str
    digest: Digest


@dataclass(frozen=True, slots=True)
class StepRecord:
    """What is told of a step that has passed. `process`: the process that did it, maybe one of an earlier run."""

    spec: StepSpec
    process: str
    report: StepReport | None = None


@dataclass(frozen=True, slots=True)
class BuildRecord:
    """What is told of the run that cut a release. Times are seconds since the epoch."""

    app: str
    run: int
    commit: str
    branch: str
    release: Digest
    parts: Mapping[str, Part]
    builder: str
    version: str
    started_at: float
    finished_at: float
    inputs: Sequence[BuildInput] = ()
    steps: Sequence[StepRecord] = ()
    asked: Mapping[str, Any] = field(default_factory=dict)
    """What was asked for besides the commit: the pull request, the schedule. What is not said is left out."""


# --- writing ---


def provenance(build: BuildRecord) -> bytes:
    """The statement of where the release comes from."""
    commit = {
        "uri": f"git+urn:trimtab:repository:{build.app}@{build.branch}",
        "digest": {"gitCommit": build.commit},
    }
    return _statement(
        build,
        PROVENANCE,
        {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": {
                    "app": build.app,
                    "repository": build.app,
                    "ref": build.branch,
                    "commit": build.commit,
                    **build.asked,
                },
                "internalParameters": {"steps": {each.spec.name: _spec_digest(each.spec) for each in build.steps}},
                "resolvedDependencies": [
                    commit,
                    *({"name": each.name, "digest": _sha256(each.digest)} for each in build.inputs),
                ],
            },
            "runDetails": {
                "builder": {"id": build.builder, "version": {"trimtab": build.version}},
                "metadata": {
                    "invocationId": f"{_RUN}{build.app}/{build.run}",
                    "startedOn": _moment(build.started_at),
                    "finishedOn": _moment(build.finished_at),
                },
            },
        },
    )


def step_result(build: BuildRecord, step: StepRecord) -> bytes:
    """The statement of what a step of the run has found."""
    result, passed, warned, failed = _judged(step)
    return _statement(
        build,
        TEST_RESULT,
        {
            "result": result,
            "configuration": [
                {
                    "name": step.spec.name,
                    "uri": f"{_STEP}{build.app}/{build.run}/{step.spec.name}",
                    "digest": {"sha256": _spec_digest(step.spec)},
                    "annotations": {"process": step.process},
                }
            ],
            "passedTests": passed,
            "warnedTests": warned,
            "failedTests": failed,
        },
    )


def _statement(build: BuildRecord, kind: str, predicate: Mapping[str, Any]) -> bytes:
    subjects = [{"name": build.app, "digest": _sha256(build.release)}]
    subjects += [
        {"name": f"{build.app}/{name}", "digest": _sha256(part.digest)} for name, part in sorted(build.parts.items())
    ]
    return canonical_json({"_type": STATEMENT, "subject": subjects, "predicateType": kind, "predicate": predicate})


def _judged(step: StepRecord) -> tuple[Result, list[str], list[str], list[str]]:
    """The step has passed. It has warned where a report of it could not be read, or names findings or failed tests."""
    report, name = step.report or StepReport(), step.spec.name
    warned = [f"{each.kind} report" for each in report.unread]
    if report.findings is not None and report.findings.errors + report.findings.warnings:
        warned.append("findings")
    failed = [each.name for each in report.tests.failing] if report.tests is not None else []
    return ("WARNED" if warned or failed else "PASSED"), ([] if warned else [name]), warned, failed


def _spec_digest(spec: StepSpec) -> str:
    return digest_of(canonical_json(asdict(spec))).removeprefix("sha256:")


def _sha256(digest: Digest) -> dict[str, str]:
    return {"sha256": digest.removeprefix("sha256:")}


def _moment(at_s: float) -> str:
    return datetime.fromtimestamp(int(at_s), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- reading ---


@dataclass(frozen=True, slots=True)
class ProvenanceRead:
    """`run`: ``shop/12``. `finished_at`: seconds since the epoch. `pull_request`: what the run was of, if it was not of
    the deployed branch."""

    app: str
    run: str
    commit: str
    builder: str
    finished_at: float
    pull_request: str = ""


@dataclass(frozen=True, slots=True)
class TestResultRead:
    __test__ = False

    run: str
    step: str
    result: Result


@dataclass(frozen=True, slots=True)
class Statement:
    """`subjects`: digests by name. `about`: None when its predicate is of no kind that is known here."""

    subjects: Mapping[str, Digest]
    kind: str
    about: ProvenanceRead | TestResultRead | None


def read_statement(payload: bytes) -> Statement:
    """Raises `ValueError` for what is no statement, or whose predicate lacks what its kind must have."""
    try:
        fields = json.loads(payload)
        if fields["_type"] != STATEMENT:
            raise ValueError("it is no in-toto statement")
        subjects = {str(each["name"]): f"sha256:{each['digest']['sha256']}" for each in fields["subject"]}
        if not subjects or not all(map(is_digest, subjects.values())):
            raise ValueError("it says of nothing what it is about")
        kind, predicate = str(fields["predicateType"]), fields["predicate"]
        return Statement(subjects, kind, _READERS[kind](predicate) if kind in _READERS else None)
    except (KeyError, TypeError, IndexError, AttributeError, RecursionError, OverflowError) as error:
        raise ValueError(f"it lacks what such a statement must have ({error})") from None


def _read_provenance(predicate: Mapping[str, Any]) -> ProvenanceRead:
    definition, details = predicate["buildDefinition"], predicate["runDetails"]
    if definition["buildType"] != BUILD_TYPE:
        raise ValueError(f"its buildType is {definition['buildType']}, which is not known here")
    parameters, metadata = definition["externalParameters"], details["metadata"]
    return ProvenanceRead(
        app=str(parameters["app"]),
        run=str(metadata["invocationId"]).removeprefix(_RUN),
        commit=str(parameters["commit"]),
        builder=str(details["builder"]["id"]),
        finished_at=_seconds(metadata["finishedOn"]),
        pull_request=str(parameters.get(PULL_REQUEST, "")),
    )


def _seconds(moment: str) -> float:
    read = datetime.fromisoformat(moment)
    if read.tzinfo is None:
        raise ValueError(f"{moment} is in no time zone")
    return read.timestamp()


def _read_test_result(predicate: Mapping[str, Any]) -> TestResultRead:
    result, configured = predicate["result"], predicate["configuration"][0]
    if result not in ("PASSED", "WARNED", "FAILED"):
        raise ValueError("its result is none that there is")
    app, run, step = str(configured["uri"]).removeprefix(_STEP).split("/", 2)
    return TestResultRead(f"{app}/{run}", step, result)


_READERS: Mapping[str, Callable[[Mapping[str, Any]], ProvenanceRead | TestResultRead]] = {
    PROVENANCE: _read_provenance,
    TEST_RESULT: _read_test_result,
}
