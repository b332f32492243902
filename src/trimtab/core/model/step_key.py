"""What the outcome of a step is known by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from trimtab.core.model.identity import Digest
from trimtab.core.model.paths import matching
from trimtab.core.model.pipeline import InputFile, StepSpec
from trimtab.core.model.release import canonical_json, digest_of

SCHEMA = "trimtab.step/v1"
"""Part of every key: raise it when the same step would give something else than before."""


def inputs_digest(files: Sequence[InputFile], patterns: Sequence[str]) -> Digest:
    """What the files are known by that a step sees of a commit; no patterns mean all of them."""
    seen = set(matching([file.path for file in files], patterns)) if patterns else None
    return digest_of(
        canonical_json([[file.path, file.mode, file.content] for file in files if seen is None or file.path in seen])
    )


def step_key(
    step: StepSpec,
    environment: Mapping[str, str],
    inputs: Digest,
    layers: Sequence[Digest],
    toolchain: str,
    gates: str = "",
) -> Digest:
    """The key of all that the step can see, and of nothing else: not of the values of secrets, and not of how long it
    may take.

    `environment`: all its variables. `inputs`: see `inputs_digest`. `layers`: the outputs that it works on.
    `toolchain`: what the machine and the versions of the step's tools are known by. `gates`: what Trimtab's own gates
    are known by, for a step that runs one.
    """
    parts = {
        "schema": SCHEMA,
        "run": step.run,
        "environment": dict(environment),
        "secrets": sorted(step.secrets),
        "services": [[service.name, service.run, service.port, dict(service.env)] for service in step.services],
        "sandbox": [step.sandbox.on, step.sandbox.network, list(step.sandbox.read)],
        "outputs": list(step.outputs),
        "inputs": inputs,
        "layers": list(layers),
        "toolchain": toolchain,
    }
    if step.gate:
        parts["gate"] = [step.gate, gates]
    if step.for_each is not None:
        # Which documents there are is not: each is known by a key of its own. What is refused is refused to all alike.
        parts["for_each"] = [step.for_each.limit_bytes, step.for_each.text]
    if step.reports:
        # Which limits they are held to is no part of it: what is taken is judged anew.
        parts["reports"] = sorted([report.kind, *report.files] for report in step.reports)
    return digest_of(canonical_json(parts))
