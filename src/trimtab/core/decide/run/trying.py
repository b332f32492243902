"""Whether a step that did not pass is tried again."""

from __future__ import annotations

from dataclasses import dataclass, replace

from trimtab.core.decide.run.state import StepReading, StepState
from trimtab.core.errors import Problem
from trimtab.core.model.pipeline import StepSpec
from trimtab.core.say import duration

LOSSES = 2
"""How many attempts may be lost before the step is given up. They count as no failure and need no `retry`."""
INFRASTRUCTURE = (
    "process-not-started",
    "supervisor-failed",
    "supervisor-lost",
    "workspace-io",
    "step-cache-io",
    "outputs-missing",
    "secret-store-unreachable",
    "log-disk-full",
    "report-io",
    "release-check-io",
    "template-unreachable",
)
"""Problems that are not the change's."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What follows from an attempt that did not pass: the step to be tried again, or None, and what to say of it."""

    again: StepState | None
    said: str


def is_infrastructure(problem: Problem) -> bool:
    return problem.code in INFRASTRUCTURE


def tried(spec: StepSpec, step: StepState, reading: StepReading, now: float) -> Trial:
    """After an attempt that failed, ran out of time or was lost."""
    said = f"{spec.name} {reading.outcome.replace('_', ' ')} after {duration(reading.duration_s)}: {reading.detail}"
    waiting = replace(step, status="waiting", process="", reading=None, report=None, documents=None)
    if reading.outcome == "lost":
        losses = step.losses + 1
        if losses > LOSSES:
            return Trial(None, f"{said} ({losses} times, given up)")
        return Trial(replace(waiting, losses=losses), f"{said} (not the change's fault, trying again)")
    failures = step.failures + 1
    if failures > spec.retries or not _is_worth_it(spec, reading):
        return Trial(None, said)
    delay = f" in {duration(spec.retry_delay_s)}" if spec.retry_delay_s else ""
    again = replace(waiting, failures=failures, not_before=now + spec.retry_delay_s if spec.retry_delay_s else 0.0)
    return Trial(again, f"{said} (attempt {failures} of {spec.retries + 1}, trying again{delay})")


def _is_worth_it(spec: StepSpec, reading: StepReading) -> bool:
    return not spec.retry_codes or reading.exit_code in spec.retry_codes
