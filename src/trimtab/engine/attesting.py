"""Attests a release when it is cut: where it comes from, and what each step found."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from trimtab.codec import decode_state
from trimtab.core.decide.run import RunState
from trimtab.core.model.actions import CutRelease
from trimtab.core.model.attestation import PULL_REQUEST, BuildInput, BuildRecord, StepRecord, provenance, step_result
from trimtab.core.model.envelope import IN_TOTO, Envelope, encode_bundle, pae
from trimtab.core.model.identity import run_object, short
from trimtab.core.model.release import Manifest
from trimtab.engine.trusting import Trusting
from trimtab.ports.signing import Signer
from trimtab.ports.store import Store

MOST_RUNS = 20
"""So many of the newest runs that have cut a release attest it."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StoredRuns:
    """Runs as they are stored; one that is not there is told of as far as its name goes."""

    store: Store

    def __call__(self, app: str, run: int) -> RunState:
        row = self.store.get(run_object(app, run))
        return RunState(app, run) if row is None or row.state is None else decode_state(RunState, row.state)


@dataclass(frozen=True, slots=True)
class Attesting:
    """Signs in the name of `builder`, a URI. What a run attests twice takes the place of what it attested before; what
    others attested and is damaged goes, as damaged bytes do when the release is cut again."""

    trusting: Trusting
    signer: Signer
    runs: Callable[[str, int], RunState]
    builder: str
    version: str

    async def attest(self, action: CutRelease, manifest: Manifest) -> None:
        build = self._record(action, manifest)
        statements = [provenance(build), *(step_result(build, step) for step in build.steps)]
        envelopes = [await self._signed(statement) for statement in statements]
        name, artifacts = f"run-{action.run}", self.trusting.artifacts
        await artifacts.attest(manifest.digest, name, encode_bundle(envelopes))
        damaged = await self.trusting.damaged(action.app, manifest.digest)
        for other, why in damaged.items():
            log.warning("what %s attested of %s was changed, and is removed: %s", other, short(manifest.digest), why)
        if gone := {*damaged, *_old(await artifacts.attestations(manifest.digest))}:
            await artifacts.retract(manifest.digest, gone)

    async def _signed(self, statement: bytes) -> Envelope:
        return Envelope(statement, (await self.signer.sign(pae(IN_TOTO, statement)),))

    def _record(self, action: CutRelease, manifest: Manifest) -> BuildRecord:
        run, change = self.runs(action.app, action.run), action.change
        specs = {spec.name: spec for spec in action.specification.steps}
        passed = {name: step for name, step in run.steps.items() if step.status == "passed" and name in specs}
        outputs = [(f"outputs of {name}", step.outputs) for name, step in passed.items()]
        return BuildRecord(
            app=action.app,
            run=action.run,
            commit=change.commit,
            branch=change.branch,
            release=manifest.digest,
            parts=manifest.parts,
            builder=self.builder,
            version=self.version,
            started_at=run.started_at,
            finished_at=self.trusting.clock.now(),
            inputs=[
                *(BuildInput(f"template {place}", digest) for place, digest in run.templates.items()),
                *(BuildInput(name, digest) for name, digest in outputs if digest is not None),
            ],
            steps=[StepRecord(specs[name], step.process, step.report) for name, step in passed.items()],
            asked=_asked(run),
        )


def _old(names: Iterable[str]) -> Sequence[str]:
    """The runs of one release whose attestations need not be kept: a schedule may cut the same every night."""
    by_number = sorted(names, key=lambda name: (len(name), name), reverse=True)
    return by_number[MOST_RUNS:]


def _asked(run: RunState) -> dict[str, Any]:
    said = {
        PULL_REQUEST: str(run.pull_request) if run.pull_request is not None else "",
        "schedule": run.schedule,
        "againOf": run.again_of,
    }
    return {name: value for name, value in said.items() if value}
