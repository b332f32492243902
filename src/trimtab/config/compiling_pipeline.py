"""The settings of a pipeline to its steps: each variant of a matrix is a step."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence

from trimtab.config.pipeline import Step
from trimtab.config.reports import compiled
from trimtab.core.model.pipeline import (
    ConcurrencySpec,
    ConditionSpec,
    LimitsSpec,
    SandboxSpec,
    ServiceBesideSpec,
    StepSpec,
)


def steps(pipeline: Mapping[str, Step]) -> tuple[StepSpec, ...]:
    """All steps, in the order of the file."""
    names = {
        name: [variant_name(name, variant) for variant in variants(step.matrix)] for name, step in pipeline.items()
    }
    return tuple(
        _compiled(variant_name(name, variant), step, variant, [found for need in step.needs for found in names[need]])
        for name, step in pipeline.items()
        for variant in variants(step.matrix)
    )


def variants(matrix: Mapping[str, Sequence[str]]) -> Iterator[dict[str, str]]:
    """Every combination of a matrix; one without variables where there is none."""
    for values in itertools.product(*matrix.values()):
        yield dict(zip(matrix, values, strict=True))


def variant_name(name: str, variant: Mapping[str, str]) -> str:
    """``test``, or ``test@3.11-linux`` for a variant: what can stand in the name of a process."""
    if not variant:
        return name
    values = (re.sub(r"[^A-Za-z0-9._]+", "_", value)[:24] or "_" for value in variant.values())
    return f"{name}@{'-'.join(values)}"


def _compiled(name: str, step: Step, variant: dict[str, str], needs: Sequence[str]) -> StepSpec:
    hermetic = step.sandbox.isolated and not step.sandbox.network and not step.secrets
    return StepSpec(
        name=name,
        run=step.run,
        needs=tuple(needs),
        env={**variant, **step.env},
        timeout_s=step.timeout,
        retries=step.retry.times,
        retry_codes=tuple(step.retry.exit_codes),
        retry_delay_s=step.retry.delay,
        matrix=variant,
        when=ConditionSpec(
            changed=tuple(step.when.changed or ()),
            branches=tuple(step.when.branch or ()),
            pull_request=step.when.pull_request,
        ),
        inputs=tuple(step.inputs or ()),
        outputs=tuple(step.outputs),
        tools=tuple(step.tools),
        cached=hermetic if step.cache is None else step.cache,
        secrets=tuple(step.secrets),
        services=tuple(
            ServiceBesideSpec(service_name, service.run, service.port, service.timeout, service.env)
            for service_name, service in step.services.items()
        ),
        concurrency=ConcurrencySpec(step.concurrency.group, step.concurrency.pending) if step.concurrency else None,
        sandbox=SandboxSpec(step.sandbox.isolated, step.sandbox.network, tuple(step.sandbox.read)),
        limits=LimitsSpec(
            memory_bytes=step.limits.memory,
            processes=step.limits.processes,
            cpus=step.limits.cpus,
            disk_bytes=step.limits.disk,
            output_bytes=step.limits.output,
        ),
        reports=tuple(compiled(step.reports)),
    )
