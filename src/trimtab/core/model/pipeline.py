"""What the steps of a pipeline are, and what one of them gave."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from trimtab.core.model.identity import Digest
from trimtab.core.model.report import ReportSpec, StepReport
from trimtab.core.model.secret import SecretSpec

PendingPolicy = Literal["queue", "latest", "cancel"]
"""What becomes of a step that meets another one of its concurrency group.

``queue``: all wait and go in order. ``latest``: it waits, and of several that wait only the newest goes on; the runs of
the others end as superseded. ``cancel``: the run whose step is under way is stopped, and the newest goes on.
"""


@dataclass(frozen=True, slots=True)
class ConditionSpec:
    """When a step is part of a run at all. Empty: always."""

    changed: tuple[str, ...] = ()
    """Only when one of these files differs from the last change that passed; for a pull request, from its base."""
    branches: tuple[str, ...] = ()
    """Only on these branches (for a pull request: into them); ``*`` stands for any characters."""
    pull_request: bool | None = None
    """Only for pull requests, or never for them."""
    schedule: bool | None = None
    """Only when a schedule starts the run, or never then."""


@dataclass(frozen=True, slots=True)
class ServiceBesideSpec:
    """A program that runs beside a step for as long as the step does: a database for its tests."""

    name: str
    run: str
    port: int | None = None
    """Ready when this port of 127.0.0.1 accepts a connection; None: as soon as it runs."""
    ready_timeout_s: float = 60.0
    env: Mapping[str, str] = field(default_factory=dict)
    ready: str = ""
    """Shell command that succeeds once it is ready: what accepts a connection need not answer yet."""


@dataclass(frozen=True, slots=True)
class ConcurrencySpec:
    """Of the steps of one group, in all runs of the application, one runs at a time."""

    group: str
    pending: PendingPolicy = "queue"


@dataclass(frozen=True, slots=True)
class SandboxSpec:
    """What a step sees of the machine."""

    on: bool = True
    network: bool = False
    read: tuple[str, ...] = ()
    """Further folders of the machine that it may read."""


@dataclass(frozen=True, slots=True)
class LimitsSpec:
    """What a step may use; None: as much as there is."""

    memory_bytes: int | None = 4 * 1024**3
    processes: int | None = 1024
    cpus: float | None = None
    disk_bytes: int | None = 10 * 1024**3
    output_bytes: int | None = 1024**3


@dataclass(frozen=True, slots=True)
class ForEachSpec:
    """That a step works document by document: what it gave for one it need not give again."""

    documents: tuple[str, ...]
    """Which files of the commit are documents (see `paths.matching`)."""
    limit_bytes: int = 20 * 1024**2
    """Of one document."""
    text: bool = True
    """Whether each must be text in UTF-8."""


@dataclass(frozen=True, slots=True)
class StepSpec:
    """One pipeline step: a shell command in the commit's files and the outputs of the steps that it needs."""

    name: str
    run: str
    needs: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float = 600.0
    retries: int = 0
    retry_codes: tuple[int, ...] = ()
    """Only these exit codes are worth another try. Empty: every failure is, and the end of its time."""
    retry_delay_s: float = 0.0
    matrix: Mapping[str, str] = field(default_factory=dict)
    """The variables by which it differs from the other variants of the same step; they are in `env`, too."""
    when: ConditionSpec = field(default_factory=ConditionSpec)
    inputs: tuple[str, ...] = ()
    """The only files of the commit that it sees (see `paths.matching`). Empty: all."""
    outputs: tuple[str, ...] = ()
    """What is kept of what it writes."""
    tools: tuple[str, ...] = ()
    """Programs that it uses: another version of one of them makes it another step."""
    cached: bool = True
    """Whether what it gave once stands for what it would give again."""
    secrets: tuple[str, ...] = ()
    secret_places: tuple[SecretSpec, ...] = ()
    """Of those secrets that are not among Trimtab's own."""
    services: tuple[ServiceBesideSpec, ...] = ()
    concurrency: ConcurrencySpec | None = None
    sandbox: SandboxSpec = field(default_factory=SandboxSpec)
    limits: LimitsSpec = field(default_factory=LimitsSpec)
    reports: tuple[ReportSpec, ...] = ()
    """What is read of what its tools have written, whether it passed or failed."""
    gate: str = ""
    """The gate of Trimtab's own that it runs: it sees Trimtab's interpreter and code, and another version of them makes
    it another step."""
    for_each: ForEachSpec | None = None


@dataclass(frozen=True, slots=True)
class DocumentCount:
    """Of a step that works document by document, how many it builds and of how many the results were known."""

    built: int
    taken: int

    @property
    def all(self) -> int:
        return self.built + self.taken


@dataclass(frozen=True, slots=True)
class DocumentWork:
    """What a step that works document by document was started with."""

    key: Digest
    """What it is known by without its documents; empty: what it gives is kept for nobody."""
    taken: Digest | None
    """The tree of the results that were known; None: of no document."""
    count: DocumentCount


@dataclass(frozen=True, slots=True)
class StepResult:
    """What a step that passed has given."""

    outputs: Digest | None
    """The tree of its outputs; None: it has none."""
    process: str
    """The process that gave it, by which its log can be read."""
    duration_s: float
    report: StepReport | None = None
    documents: DocumentCount | None = None
    """Of a step that works document by document."""


LINK = "120000"
"""The mode of a symbolic link."""


@dataclass(frozen=True, slots=True)
class InputFile:
    """A file of a commit, or a link. `content` is the name that Git gives to its bytes."""

    path: str
    mode: str
    content: str


def layers_of(outputs: Iterable[Digest | None]) -> tuple[Digest, ...]:
    """What a step works on beside the commit's files: the trees of others' outputs in their order, each once."""
    return tuple(dict.fromkeys(tree for tree in outputs if tree is not None))


def in_order(steps: Iterable[StepSpec]) -> tuple[StepSpec, ...]:
    """The steps, each after those that it needs, otherwise in their order. Circles are none (`config` refuses them)."""
    by_name = {step.name: step for step in steps}
    if _are_in_order(by_name.values()):
        return tuple(by_name.values())
    ordered: dict[str, StepSpec] = {}

    def put(step: StepSpec) -> None:
        # Not by recursion: a chain may be longer than Python's stack.
        waiting = [step]
        while waiting:
            first = waiting[-1]
            missing = [by_name[need] for need in first.needs if need not in ordered]
            if missing:
                waiting += missing
            else:
                ordered.setdefault(waiting.pop().name, first)

    for step in by_name.values():
        put(step)
    return tuple(ordered.values())


def _are_in_order(steps: Iterable[StepSpec]) -> bool:
    """As most files have them: asked at every decision."""
    seen = set[str]()
    for step in steps:
        if not seen.issuperset(step.needs):
            return False
        seen.add(step.name)
    return True


def needed_by(steps: Sequence[StepSpec], name: str) -> tuple[str, ...]:
    """All steps that `name` needs, directly or through others, each after those that it needs itself.
    `steps`: as `in_order` gives them."""
    needs = {step.name: step.needs for step in steps}
    wanted, waiting = set[str](), [*needs[name]]
    while waiting:
        need = waiting.pop()
        if need not in wanted:
            wanted.add(need)
            waiting += needs[need]
    return tuple(step.name for step in steps if step.name in wanted)


def with_needs(steps: Sequence[StepSpec], names: Sequence[str]) -> frozenset[str]:
    """These steps and all that they need; without names all steps. `steps`: as `in_order` gives them. Names of no step
    are passed over."""
    if not names:
        return frozenset(step.name for step in steps)
    named = [step.name for step in steps if step.name in names]
    return frozenset(named).union(*(needed_by(steps, name) for name in named))


def with_variants(known: Sequence[str], names: Sequence[str]) -> tuple[str, ...] | None:
    """The steps that are meant, where a name means all variants of its matrix; None when one of them means none."""
    found: dict[str, None] = {}
    for name in names:
        mine = [step for step in known if step == name or step.partition("@")[0] == name]
        if not mine:
            return None
        found |= dict.fromkeys(mine)
    return tuple(found)
