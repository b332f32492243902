"""What `trimtab verify` tells of a release: what it is, who says so, and where it may go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from trimtab.core.decide.trust import REFUSED, Examined, Judged, Trust, judge, verify
from trimtab.core.errors import Problem
from trimtab.core.model.attestation import PROVENANCE, TEST_RESULT, ProvenanceRead, TestResultRead
from trimtab.core.model.identity import Digest, short
from trimtab.core.model.release import Manifest, Part

_KINDS = {PROVENANCE: "provenance", TEST_RESULT: "test result"}
_AGAIN = "start the run of its commit again (`trimtab rerun RUN --all --deploy`): it stores and attests everything anew"


@dataclass(frozen=True, slots=True)
class AttestationView:
    """One attestation. What its kind does not say is empty. `keys`: those that have signed it and are trusted."""

    place: str
    kind: str = ""
    keys: tuple[str, ...] = ()
    run: str = ""
    commit: str = ""
    builder: str = ""
    finished_at: float | None = None
    step: str = ""
    result: str = ""
    fault: str = ""
    """Why it is not what was once written for this release."""
    uncounted: str = ""
    """Why it is no reason to trust the release."""


@dataclass(frozen=True, slots=True)
class AdmissionView:
    """Whether an environment would let the release in now, and why."""

    environment: str
    accepted: bool
    reason: str


@dataclass(frozen=True, slots=True)
class VerificationView:
    """A release, verified to the last byte. `problems`: everything that is wrong; nothing is when it is empty."""

    app: str
    release: Digest
    parts: Mapping[str, Part] = field(default_factory=dict)
    """Empty when the manifest cannot be read."""
    attestations: tuple[AttestationView, ...] = ()
    environments: tuple[AdmissionView, ...] = ()
    problems: tuple[Problem, ...] = ()


def verification(
    app: str,
    release: Digest,
    manifest: Manifest | None,
    damage: Sequence[Problem],
    found: Sequence[Examined],
    now: float,
) -> VerificationView:
    """`manifest`: None when it cannot be read; `damage`: what is wrong with what is kept, apart from attestations;
    `now`: the moment at which it would be deployed (seconds)."""
    judged = [judge(app, release, each) for each in found]
    places = manifest.specification.environments if manifest is not None else ()
    trusts = {place.name: verify(place.require, app, release, found, now) for place in places}
    problems = [*damage, *(problem for each in judged if (problem := _problem(each, found)) is not None)]
    if not any(each.fault for each in judged):  # else that has been said
        problems += (_refused(app, name, release, trust) for name, trust in trusts.items() if not trust.accepted)
    return VerificationView(
        app,
        release,
        manifest.parts if manifest is not None else {},
        tuple(map(_view, judged)),
        tuple(AdmissionView(name, trust.accepted, trust.reason) for name, trust in trusts.items()),
        tuple(problems),
    )


def _problem(judged: Judged, found: Sequence[Examined]) -> Problem | None:
    if judged.fault:
        return Problem(
            "attestation-damaged", f"an attestation is not what it was: {judged.fault}", _AGAIN, judged.place
        )
    standings = next(each.standings for each in found if each.place == judged.place)
    if judged.uncounted and "revoked" not in standings:
        hint = "`trimtab keys trust FILE` trusts the key of another installation; else look who has written there"
        return Problem(
            "attestation-untrusted", f"an attestation does not count: {judged.uncounted}", hint, judged.place
        )
    return None


def _refused(app: str, environment: str, release: Digest, trust: Trust) -> Problem:
    message = f"{environment} would refuse release {short(release)}: {trust.reason}"
    return Problem(REFUSED, message, _AGAIN, f"{app}/{environment}")


def _view(judged: Judged) -> AttestationView:
    if judged.statement is None or judged.fault:
        return AttestationView(judged.place, keys=judged.keys, fault=judged.fault, uncounted=judged.uncounted)
    about, kind = judged.statement.about, _KINDS.get(judged.statement.kind, judged.statement.kind)
    source = about if isinstance(about, ProvenanceRead) else None
    tested = about if isinstance(about, TestResultRead) else None
    return AttestationView(
        judged.place,
        kind,
        judged.keys,
        run=about.run if about is not None else "",
        commit=source.commit if source else "",
        builder=source.builder if source else "",
        finished_at=source.finished_at if source else None,
        step=tested.step if tested else "",
        result=tested.result if tested else "",
        uncounted=judged.uncounted,
    )
