"""The settings of a pipeline to its steps: each variant of a matrix is a step."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from trimtab.config.own_templates import ASK_THE_MODEL, ASK_THE_SERVICE
from trimtab.config.pipeline import Step
from trimtab.config.reports import compiled
from trimtab.core.model.pipeline import (
    ConcurrencySpec,
    ConditionSpec,
    ForEachSpec,
    LimitsSpec,
    SandboxSpec,
    ServiceBesideSpec,
    StepSpec,
)
from trimtab.core.model.specification import ServiceSpec


def steps(
    pipeline: Mapping[str, Step],
    gates: Mapping[str, str],
    service: ServiceSpec,
    model: Mapping[str, Any] | None = None,
) -> tuple[StepSpec, ...]:
    """All steps, in the order of the file. `gates`: which of Trimtab's own gates they run; `service` and `model`: what
    some of these start, or ask."""
    names = {
        name: [variant_name(name, variant) for variant in variants(step.matrix)] for name, step in pipeline.items()
    }
    compiled = {
        variant_name(name, variant): (name, step, variant)
        for name, step in pipeline.items()
        for variant in variants(step.matrix)
    }
    return tuple(
        _with_gate(
            _compiled(variant, step, values, [found for need in step.needs for found in names[need]]),
            gates.get(name, ""),
            service,
            model,
        )
        for variant, (name, step, values) in compiled.items()
    )


def _with_gate(spec: StepSpec, gate: str, service: ServiceSpec, model: Mapping[str, Any] | None) -> StepSpec:
    if gate in ASK_THE_MODEL:
        told_model = json.dumps(model, sort_keys=True, ensure_ascii=False)
        return replace(spec, gate=gate, env={"TRIMTAB_RELEASE_MODEL": told_model, **spec.env})
    if gate not in ASK_THE_SERVICE:
        return replace(spec, gate=gate)
    told = {
        "command": service.command,
        "port_env": service.port_env,
        "health_path": service.health_path,
        "health_timeout_s": service.health_timeout_s,
        "stop_timeout_s": service.stop_timeout_s,
        "env": dict(service.env),
    }
    return replace(spec, gate=gate, env={"TRIMTAB_SERVICE": json.dumps(told, sort_keys=True), **spec.env})


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
            schedule=step.when.schedule,
        ),
        inputs=tuple(step.inputs or ()),
        outputs=tuple(step.outputs),
        tools=tuple(step.tools),
        cached=_is_cached(step),
        secrets=tuple(step.secrets),
        services=tuple(
            ServiceBesideSpec(
                service_name, service.run, service.port, service.timeout, service.env, service.ready or ""
            )
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
        for_each=_for_each(step),
    )


def _for_each(step: Step) -> ForEachSpec | None:
    documents = step.for_each
    return ForEachSpec(tuple(documents.documents), documents.limit, documents.text) if documents is not None else None


def _is_cached(step: Step) -> bool:
    if step.cache is not None:
        return step.cache
    hermetic = step.sandbox.isolated and not step.sandbox.network and not step.secrets
    return hermetic or step.for_each is not None
