"""The settings of a pipeline's steps.

Short forms are written out before validation (`test: pytest` becomes `test: {run: pytest}`).
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field

from trimtab.config.defaults import STEP, STEP_FOR_EACH, STEP_SERVICE
from trimtab.config.fields import (
    Command,
    Duration,
    EnvName,
    FilePatterns,
    FolderPaths,
    Name,
    OutputPaths,
    PlainData,
    Size,
    ToolNames,
    Variables,
)
from trimtab.config.quantities import show_size, wrong_type
from trimtab.config.reports import Reports
from trimtab.config.setting import Settings, duration, group, listed, mapping, required, setting, size
from trimtab.config.sources import Elsewhere
from trimtab.core.model.pipeline import PendingPolicy


class Retry(Settings):
    """When a failed step is tried again. `retry: N` is short for `retry: {times: N}`."""

    times: int = setting(1, "How many times.", 2, ge=0, le=10)
    delay: Duration = duration(STEP.retry_delay_s, "How long it waits before each.", "10s", ge=0, le=3600)
    exit_codes: list[Annotated[int, Field(ge=1, le=255)]] = setting(
        [], "Only these exit codes are worth another try. Left out: every failure is, and the end of its time.", [75]
    )


class StepCondition(Settings):
    """When a step is part of a run. What it asks for must all be so."""

    changed: FilePatterns | None = setting(
        None,
        "Only when one of these files differs from the last change that passed (for a pull request, from the branch it"
        " is to be merged into). Patterns as in `inputs`.",
        ["prompts/"],
    )
    branch: FilePatterns | None = setting(
        None, "Only on these branches; for a pull request, into them. `*` stands for any characters.", ["main"]
    )
    pull_request: bool | None = setting(None, "`true`: only for pull requests; `false`: never for them.", False)
    schedule: bool | None = setting(
        None, "`true`: only in runs that a schedule has started; `false`: never in those.", True
    )


class Sandbox(Settings):
    """What a step sees of the machine. `sandbox: none` is short for `sandbox: {isolated: false}`."""

    isolated: bool = setting(
        STEP.sandbox.on,
        "Whether it runs in namespaces of its own: without a view of other steps, of Trimtab's files and of the rest of"
        " the machine. `false`: like any other process of the user that runs Trimtab.",
        False,
    )
    network: bool = setting(STEP.sandbox.network, "Whether it may use the network.", True)
    read: FolderPaths = setting(
        [],
        "Further folders of the machine that it may read, beside the system's programs and libraries.",
        ["/opt/models"],
    )


def _sandbox(value: Any) -> Any:
    if value == "none":
        return {"isolated": False}
    return mapping(value, "a mapping with `network` and `read`, or `none`", "for example `sandbox: {network: true}`")


class Limits(Settings):
    """What a step may use. A step that wants more is ended, and the run says which limit it was."""

    memory: Size | None = size(STEP.limits.memory_bytes, "Memory of all its processes together.", "8GiB")
    processes: int | None = setting(STEP.limits.processes, "How many processes and threads.", 4096, ge=8, le=1_000_000)
    cpus: float | None = setting(
        STEP.limits.cpus, "Processors' worth of time: `0.5` is half of one. Left out: all.", 2.0, ge=0.01, le=1024
    )
    disk: Size | None = size(STEP.limits.disk_bytes, "What it may write.", "50GiB")
    output: Size | None = size(STEP.limits.output_bytes, "What it may print.", "5GiB")


class StepService(Settings):
    """A program that runs beside a step for as long as the step does. `NAME: COMMAND` is short for
    `NAME: {run: COMMAND}`."""

    run: Command = required(
        "Shell command that starts it, in the step's folder and sandbox.", "redis-server --port 6379"
    )
    port: int | None = setting(
        None,
        "Ready when this port of 127.0.0.1 accepts a connection; the step begins then. Left out: at once.",
        6379,
        ge=1,
        le=65535,
    )
    ready: Command | None = setting(
        None,
        "Shell command that succeeds once it is ready, asked again and again after `port` accepts connections.",
        "pg_isready -h 127.0.0.1",
    )
    timeout: Duration = duration(STEP_SERVICE.ready_timeout_s, "How long it may take to be ready.", "2m", ge=1, le=3600)
    env: Variables = setting({}, "Environment variables of its own, beside those of the step.", {"PGDATA": "/tmp/db"})


class Concurrency(Settings):
    """Of the steps of one group, in all runs of the application, one runs at a time. `concurrency: NAME` is short for
    `concurrency: {group: NAME}`."""

    group: Name = required("Name of the group.", "database")
    pending: PendingPolicy = setting(
        "queue",
        "When a step meets another one of its group. `queue`: all wait and go in order. `latest`: it waits, and of"
        " several that wait only the newest goes on. `cancel`: the run whose step is under way is stopped.",
        "latest",
    )


class ForEach(Settings):
    """A step that works document by document. `for_each: PATTERNS` is short for `for_each: {documents: PATTERNS}`."""

    documents: FilePatterns = required(
        "Which files of the commit are documents. Patterns as in `inputs`.", "docs/**/*.md", ["docs/", "!docs/drafts/"]
    )
    limit: Size = setting(
        STEP_FOR_EACH.limit_bytes,
        "How large a document may be.",
        "50MB",
        json_schema_extra={"default": show_size(STEP_FOR_EACH.limit_bytes)},
        ge=1,
    )
    text: bool = setting(STEP_FOR_EACH.text, "Whether each must be text in UTF-8; `false` allows PDFs.", False)


def _for_each(value: Any) -> Any:
    if isinstance(value, (str, list)):
        return {"documents": value}
    return mapping(value, "patterns of files, or a mapping with `documents`", 'for example `for_each: "docs/**/*.md"`')


def _run(value: Any) -> Any:
    return {"run": value} if isinstance(value, str) else mapping(value, "a command, or a mapping with `run`", "")


def _retry(value: Any) -> Any:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return {"times": value}
    return mapping(value, "a number of times, or a mapping with `times`", "for example `retry: 2`")


def _concurrency(value: Any) -> Any:
    return {"group": value} if isinstance(value, str) else mapping(value, "the name of a group, or a mapping", "")


def _matrix(value: Any) -> Any:
    if not isinstance(value, dict):
        raise wrong_type("a mapping of variables to lists", value, 'for example `matrix: {PYTHON: ["3.11", "3.12"]}`')
    return value


# Text only: an unquoted 3.10 would be the number 3.1.
Matrix = Annotated[
    dict[EnvName, Annotated[list[str], Field(min_length=1)]],
    BeforeValidator(_matrix, json_schema_input_type=dict[EnvName, list[str]]),
]


def _run_or_uses(schema: dict[str, Any]) -> None:
    schema["required"] = [name for name in schema["required"] if name != "run"]
    schema["anyOf"] = [{"required": ["run"]}, {"required": ["uses"]}]


class Step(Settings):
    """A pipeline step. `NAME: COMMAND` is short for `NAME: {run: COMMAND}`."""

    # What is validated has its templates written out already; what people write has one or the other.
    model_config = ConfigDict(json_schema_extra=_run_or_uses)

    run: Command = required(
        "Shell command, run in a folder with the commit's files. Of several lines, the first that fails ends it"
        " (`sh -e`). Exit code 0 means passed. A step without `uses` must have it.",
        "python -m pytest",
    )
    uses: str | Elsewhere | None = setting(
        None,
        "The template that the step is made of: `trimtab/NAME` (see [Gates](../guides/gates.md)), a file of the"
        " repository, or a file of another one. What the step says itself goes before what the template says.",
        "trimtab/unit-tests",
        ".trimtab/steps/python-test.yaml",
    )
    with_: PlainData | None = setting(
        None, "What the template is told: its parameters.", {"python": "python3.12"}, alias="with"
    )
    needs: Annotated[list[str], BeforeValidator(listed, json_schema_input_type=str | list[str])] = setting(
        [],
        "Steps that must pass before this one starts; it finds their outputs in its folder. Steps that need nothing run"
        " side by side.",
        ["test"],
    )
    inputs: FilePatterns | None = setting(
        None,
        "The only files of the commit that it sees: `src/` is all below that folder, `*` stands for any characters but"
        " `/`, `**` for any, `!docs` takes away. While they, the command and what it needs stay as they are, it is not"
        " run again. Left out: all files.",
        ["src/", "pyproject.toml"],
    )
    outputs: OutputPaths = setting(
        [],
        "Files and folders that are kept of what it writes, for the steps that need it and for the release. All else is"
        " gone when it ends.",
        ["dist/"],
    )
    for_each: (
        Annotated[ForEach, BeforeValidator(_for_each, json_schema_input_type=str | list[str] | ForEach)] | None
    ) = setting(
        None,
        "It works document by document: it is run with the documents whose results are not known yet, and writes those"
        " of document PATH below `OUTPUT/PATH/`; the results of all others are added. See"
        " [Indexes](../guides/indexes.md).",
        "docs/**/*.md",
        {"documents": ["docs/**/*.pdf"], "limit": "50MB", "text": False},
    )
    cache: bool | None = setting(
        None,
        "Whether what it gave once stands for what it would give again. Left out: yes, unless it uses the network or"
        " secrets, or is not isolated; with `for_each` always. Such a step is not told its run and commit"
        " (`TRIMTAB_RUN`, `TRIMTAB_COMMIT`).",
        False,
    )
    tools: ToolNames = setting(
        [], "Programs it uses: with another version of one of them it runs again.", ["python3", "node"]
    )
    matrix: Matrix = setting(
        {},
        "Run it once for each combination of these variables, side by side. A step that needs it needs all of them.",
        {"PYTHON": ["3.11", "3.12"]},
    )
    env: Variables = setting({}, "Environment variables of the command.", {"CI": "true"})
    secrets: Annotated[list[EnvName], BeforeValidator(listed, json_schema_input_type=str | list[str])] = setting(
        [],
        "Secrets that it gets as environment variables; they are masked in its log. A pull request from a fork gets"
        " none.",
        ["OPENAI_API_KEY"],
    )
    timeout: Duration = duration(
        STEP.timeout_s, "A step that takes longer is ended and has failed.", "30m", ge=1, le=86_400
    )
    retry: Annotated[Retry, BeforeValidator(_retry, json_schema_input_type=int | Retry)] = group(
        lambda: Retry(times=STEP.retries),
        "When it is tried again after it has failed. What is lost because a machine breaks down is tried again anyway.",
        1,
        {"times": 2, "delay": "10s", "exit_codes": [75]},
        shown=STEP.retries,
    )
    when: StepCondition = group(
        StepCondition, "When it is part of a run at all. Left out: always.", {"branch": "main"}, alias="if"
    )
    services: dict[
        Name, Annotated[StepService, BeforeValidator(_run, json_schema_input_type=Command | StepService)]
    ] = setting({}, "Programs that run beside it, such as a database for its tests.", {"cache": "redis-server"})
    concurrency: (
        Annotated[Concurrency, BeforeValidator(_concurrency, json_schema_input_type=Name | Concurrency)] | None
    ) = setting(None, "One at a time of all steps of the same group, in all runs.", "database")
    sandbox: Annotated[Sandbox, BeforeValidator(_sandbox, json_schema_input_type=Literal["none"] | Sandbox)] = group(
        Sandbox, "What it sees of the machine.", {"network": True}, "none"
    )
    limits: Limits = group(Limits, "What it may use.", {"memory": "8GiB"})
    reports: Reports = group(
        Reports,
        "Files that its tools write, read when it has passed or failed: the run shows how many tests there were, which"
        " of them fail, and what else was found.",
        {"junit": "report.xml", "coverage": {"file": "coverage.xml", "min": "80%"}},
    )


def step(value: Any) -> Any:
    """Write out the short form of a step."""
    if isinstance(value, str):
        return {"run": value}
    number = isinstance(value, (int, float))
    hint = "put it in quotes if that is the command" if number else "for example `test: python -m pytest`"
    return mapping(value, "a command, or a mapping with `run`", hint)
