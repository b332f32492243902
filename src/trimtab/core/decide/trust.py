"""Whether a release may be deployed, by what is attested of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from trimtab.core.model.attestation import ProvenanceRead, Statement, TestResultRead, read_statement
from trimtab.core.model.envelope import IN_TOTO, Envelope, Standing
from trimtab.core.model.identity import Digest, short
from trimtab.core.model.specification import RequireSpec
from trimtab.core.say import count, duration

REFUSED = "release-refused"
"""The code of the problem with a release that is not trusted."""
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Examined:
    """An envelope as it was found. `place`: where; `why`: why it cannot be read, then `envelope` is None; `standings`:
    of its signatures, in their order."""

    place: str
    envelope: Envelope | None
    standings: tuple[Standing, ...] = ()
    why: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """What an envelope is worth. `keys`: that have signed it and are trusted. `fault`: it is not what was once written
    for this release. `uncounted`: nothing is wrong with it, and it is no reason to trust the release either."""

    place: str
    keys: tuple[str, ...] = ()
    statement: Statement | None = None
    fault: str = ""
    uncounted: str = ""


@dataclass(frozen=True, slots=True)
class Trust:
    """`reason`: a sentence's end, after what is spoken of."""

    accepted: bool
    reason: str


def judge(app: str, release: Digest, found: Examined) -> Judged:
    """An envelope, whatever is required."""
    envelope = found.envelope
    if envelope is None:
        return Judged(found.place, fault=found.why)
    by = tuple(zip((signature.keyid for signature in envelope.signatures), found.standings, strict=True))
    for keyid, standing in by:
        if standing == "bad":
            return Judged(found.place, fault=f"its signature is not key {short(keyid)}'s: it was changed")
    if envelope.payload_type != IN_TOTO:
        return Judged(found.place, fault=f"it holds {envelope.payload_type}, not a statement")
    try:
        statement = read_statement(envelope.payload)
    except ValueError as error:
        return Judged(found.place, fault=str(error))
    fault = _about_something_else(app, release, statement)
    keys = tuple(keyid for keyid, standing in by if standing == "good")
    return Judged(found.place, keys, statement, fault, "" if keys else _not_trusted(by))


def _about_something_else(app: str, release: Digest, statement: Statement) -> str:
    subject, about = statement.subjects.get(app), statement.about
    if subject is None:
        return f"it is about {', '.join(sorted(statement.subjects))}, not about {app}"
    if subject != release:
        return f"it is about release {short(subject)}"
    named = about.app if isinstance(about, ProvenanceRead) else app
    run_of = about.run.partition("/")[0] if about is not None else app
    return "" if named == run_of == app else f"it tells of a run of {named if named != app else run_of}, not of {app}"


def _not_trusted(by: Iterable[tuple[str, Standing]]) -> str:
    said = [
        f"key {short(keyid)}, which {'was revoked' if standing == 'revoked' else 'is not trusted here'}"
        for keyid, standing in by
    ]
    return f"it is signed by {' and '.join(said)}" if said else "it is not signed"


# --- a whole release ---


def verify(
    policy: RequireSpec, app: str, release: Digest, found: Sequence[Examined], now: float, *, preview: bool = False
) -> Trust:
    """Whether the release fulfils the policy at the moment `now` (seconds), in a `preview` or where it would last."""
    if not policy.provenance:
        return Trust(True, "nothing is required of it")
    if not found:
        return Trust(False, "it is not signed: nothing is attested of it")
    judged = [judge(app, release, each) for each in found]
    damaged = next((f"{each.place}: {each.fault}" for each in judged if each.fault), "")
    if damaged:
        return Trust(False, damaged)
    sources = [each.statement.about for each in judged if each.statement is not None and not each.uncounted]
    provenances = [about for about in sources if isinstance(about, ProvenanceRead)]
    results = [about for about in sources if isinstance(about, TestResultRead)]
    if not provenances:
        why = next((each.uncounted for each in judged if each.uncounted), "nothing says where it comes from")
        return Trust(False, why)
    reasons = []
    for made in sorted(provenances, key=lambda each: each.finished_at, reverse=True):
        missing = [*_not_for_here(made, preview), *_missing(policy, made, results, now)]
        if not missing:
            gates = f", with {count(len(policy.gates), 'gate')} passed" if policy.gates else ""
            return Trust(True, f"run {made.run} cut it from {made.commit[:8]}{gates}")
        reasons.append("; ".join(missing))
    return Trust(False, reasons[0])


def _not_for_here(provenance: ProvenanceRead, preview: bool) -> Iterator[str]:
    """Nobody has agreed yet to what a pull request brings."""
    if provenance.pull_request and not preview:
        yield f"run {provenance.run} cut it of {provenance.pull_request}, which is for its preview only"


def _missing(
    policy: RequireSpec, provenance: ProvenanceRead, results: Iterable[TestResultRead], now: float
) -> Iterator[str]:
    """What the run does not fulfil."""
    age_s = now - provenance.finished_at
    if policy.max_age_s is not None and age_s > policy.max_age_s:
        yield f"it was cut {_age(age_s)} ago by run {provenance.run}, and {_age(policy.max_age_s)} are allowed"
    if policy.builders and provenance.builder not in policy.builders:
        yield f"{provenance.builder} made it, which is none of the builders that may"
    mine = [each for each in results if each.run == provenance.run]
    for gate in policy.gates:
        of_gate = [each for each in mine if each.step == gate or each.step.partition("@")[0] == gate]
        if not of_gate:
            yield f"nothing is attested of {gate} in run {provenance.run}"
        elif any(each.result == "FAILED" for each in of_gate):
            yield f"{gate} failed in run {provenance.run}"


def _age(seconds: float) -> str:
    return f"{seconds / DAY_S:.0f} days" if seconds >= 2 * DAY_S else duration(seconds)
