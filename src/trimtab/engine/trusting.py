"""Looks at what is attested of a release, and lets nothing start that is not trusted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trimtab.core.decide.trust import REFUSED, Examined, judge, verify
from trimtab.core.errors import failure
from trimtab.core.model.envelope import Envelope, decode_bundle
from trimtab.core.model.identity import Digest, EnvironmentId, short
from trimtab.core.model.specification import RequireSpec, Specification
from trimtab.ports.artifacts import Artifacts
from trimtab.ports.clock import Clock
from trimtab.ports.signing import Verifier


@dataclass(frozen=True, slots=True)
class Trusting:
    artifacts: Artifacts
    verifier: Verifier
    clock: Clock

    async def ensure(
        self, environment: EnvironmentId, release: Digest, specification: Specification, since: float
    ) -> None:
        """Raises `TrimtabError` (`release-refused`) unless the release fulfils what the environment requires. `since`:
        when its rollout began; 0: now."""
        place = specification.environment(environment.name)
        policy = place.require if place is not None else RequireSpec()
        found = await self.examined(release) if policy.provenance else ()
        now, preview = since or self.clock.now(), environment.is_preview
        trust = verify(policy, environment.app, release, found, now, preview=preview)
        if not trust.accepted:
            raise failure(
                REFUSED,
                f"release {short(release)} is refused: {trust.reason}",
                "start the run of its commit again (`trimtab rerun RUN --all --deploy`): it is attested anew then;"
                " `trimtab verify` tells more",
                str(environment),
            )

    async def examined(self, release: Digest) -> tuple[Examined, ...]:
        """Everything that is kept of the release's attestations, with what its signatures are worth."""
        found = []
        for name, content in sorted((await self.artifacts.attestations(release)).items()):
            for number, envelope in enumerate(decode_bundle(content), start=1):
                found.append(await self._examined(f"{name}, attestation {number}", envelope))
        return tuple(found)

    async def damaged(self, app: str, release: Digest) -> Mapping[str, str]:
        """The names under which attestations of the release are kept that are not what was once written, and why."""
        judged = [judge(app, release, each) for each in await self.examined(release)]
        return {each.place.partition(",")[0]: each.fault for each in judged if each.fault}

    async def _examined(self, place: str, envelope: Envelope | str) -> Examined:
        if isinstance(envelope, str):
            return Examined(place, None, why=envelope)
        standings = [await self.verifier.verify(envelope.signed, each) for each in envelope.signatures]
        return Examined(place, envelope, tuple(standings))
