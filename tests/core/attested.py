"""A release with what is attested of it, signed by made-up keys."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from trimtab.core.decide.trust import Examined
from trimtab.core.model.attestation import BuildInput, BuildRecord, StepRecord, provenance, step_result
from trimtab.core.model.envelope import Envelope, Signature, Standing
from trimtab.core.model.release import Part, digest_of
from trimtab.core.model.report import FindingsReport, StepReport
from trimtab.core.model.specification import StepSpec

KEY = hashlib.sha256(b"a key").hexdigest()
RELEASE = digest_of(b"a manifest")
CUT_AT = 1_790_000_000.0
WARNING = StepReport(findings=FindingsReport(0, 2, 0))


def build(run: int = 12, *, finished_at: float = CUT_AT, builder: str = "https://trimtab.example.com") -> BuildRecord:
    return BuildRecord(
        app="shop",
        run=run,
        commit="c" * 40,
        branch="main",
        release=RELEASE,
        parts={"code": Part(digest_of(b"a tree"), 4, 100)},
        builder=builder,
        version="1.2.3",
        started_at=finished_at - 60,
        finished_at=finished_at,
        inputs=[BuildInput("outputs of test", digest_of(b"outputs"))],
        steps=[
            StepRecord(StepSpec("test", "pytest"), "step/shop/12/test/1"),
            StepRecord(StepSpec("lint", "ruff check"), "step/shop/11/lint/1", WARNING),
        ],
    )


def examined(payload: bytes, standing: Standing = "good", place: str = "run-12, attestation 1") -> Examined:
    return Examined(place, Envelope(payload, (Signature(KEY, b"signed"),)), (standing,))


def attested(record: BuildRecord, standing: Standing = "good") -> Sequence[Examined]:
    statements = [provenance(record), *(step_result(record, step) for step in record.steps)]
    return [
        examined(statement, standing, f"run-{record.run}, attestation {number}")
        for number, statement in enumerate(statements, start=1)
    ]
