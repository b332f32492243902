"""A forge in memory, and secrets in memory."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping

from trimtab.core.errors import TrimtabError, failure
from trimtab.core.model.facts import PullRequest
from trimtab.core.model.forge import ForgeKind, ForgeSpec
from trimtab.ports.clock import Clock
from trimtab.ports.forge import CommitStatus, EventKind, ForgeEvent, OpenPull, OpenPulls
from trimtab.testing.faults import Faults

SIGNATURE = "x-memory-signature"
PAUSE_S = 1.0
ATTEMPTS = 20


class MemoryForges:
    """`Forges` without HTTP: one forge with one repository, whose token is `token`. `faults` makes methods fail or
    hang; the next `stumbles` attempts to tell it something fail and are repeated."""

    def __init__(self, clock: Clock, token: str = "the-token") -> None:
        self.faults = Faults()
        self.stumbles = 0
        self.statuses: list[CommitStatus] = []
        self.comments: dict[int, dict[str, str]] = {}
        """Of each pull request, the comment on each topic."""
        self.pulls: dict[int, OpenPull] = {}
        self.whole = True
        """Whether lists of pull requests are complete."""
        self._clock, self._token = clock, token

    def spec(self, kind: ForgeKind, repository: str, api_url: str | None) -> ForgeSpec:
        if "/" not in repository:
            raise failure("forge-address", f"`{repository}` cannot be a repository", "write `org/shop`")
        return ForgeSpec(kind, repository, (api_url or "memory:").rstrip("/"))

    @staticmethod
    def message(
        kind: str,
        delivery: str,
        secret: str,
        *,
        branch: str = "",
        number: int = 0,
        source: str = "",
        base: str = "main",
    ) -> tuple[dict[str, str], bytes]:
        """A signed message: headers and body."""
        said = {"kind": kind, "delivery": delivery, "branch": branch, "number": number, "source": source, "base": base}
        return MemoryForges.signed(json.dumps(said).encode(), secret)

    @staticmethod
    def signed(body: bytes, secret: str) -> tuple[dict[str, str], bytes]:
        """Any bytes, signed."""
        return {SIGNATURE: hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()}, body

    def read_webhook(
        self, forge: ForgeSpec, secret: str, headers: Mapping[str, str], body: bytes, now: float
    ) -> ForgeEvent:
        if SIGNATURE not in headers:
            raise failure("webhook-unsigned", f"the message has no {SIGNATURE}", "sign it")
        if self.signed(body, secret)[0][SIGNATURE] != headers[SIGNATURE]:
            raise failure("webhook-signature", f"at {now:g} {forge.repository} signed otherwise", "see the secret")
        try:
            said = json.loads(body)
            kind: EventKind = said["kind"]
            pull = None
            if said["number"]:
                request = PullRequest(said["number"], said["base"])
                pull = OpenPull(request, "", said["source"])
            branches = (said["branch"],) if said["branch"] else ()
            about = str(pull.pull_request) if pull else said["branch"]
            return ForgeEvent(kind, said["delivery"], f"{about} {kind}".strip(), branches, pull)
        except (ValueError, KeyError, TypeError, RecursionError):
            raise failure("webhook-malformed", "the message cannot be read", "send JSON") from None

    def clone_url(self, forge: ForgeSpec) -> str:
        return f"memory:{forge.repository.rpartition('/')[2]}"

    def head_of(self, forge: ForgeSpec, pull: OpenPull) -> tuple[str | None, str]:
        return (
            self.clone_url(ForgeSpec(forge.kind, pull.fork, "")) if pull.fork else None
        ), f"refs/heads/{pull.branch}"

    def git_authorization(self, forge: ForgeSpec, token: str) -> str:
        return f"{forge.kind} {token}"

    async def open_pull_requests(self, forge: ForgeSpec, token: str) -> OpenPulls:
        await self.faults.here("open_pull_requests")
        self._admit(forge, token)
        if self.stumbles:
            self.stumbles -= 1
            raise self._silent(forge)
        return OpenPulls(tuple(self.pulls.values()), self.whole)

    async def set_status(self, forge: ForgeSpec, token: str, status: CommitStatus) -> None:
        await self._patiently("set_status", forge, token)
        self.statuses.append(status)

    async def comment(self, forge: ForgeSpec, token: str, number: int, topic: str, text: str) -> None:
        await self._patiently("comment", forge, token)
        if number not in self.pulls:
            raise failure("forge-missing", f"there is no pull request {number}", "see its number")
        self.comments.setdefault(number, {})[topic] = text

    async def aclose(self) -> None:
        pass

    async def _patiently(self, method: str, forge: ForgeSpec, token: str) -> None:
        await self.faults.here(method)
        self._admit(forge, token)
        for _ in range(ATTEMPTS):
            if not self.stumbles:
                return
            self.stumbles -= 1
            await self._clock.sleep(PAUSE_S)
        raise self._silent(forge)

    @staticmethod
    def _silent(forge: ForgeSpec) -> TrimtabError:
        return failure("forge-unreachable", f"{forge.repository} does not answer", "see whether it is up")

    def _admit(self, forge: ForgeSpec, token: str) -> None:
        if token != self._token:
            raise failure("forge-token", f"{forge.repository} refuses the token", "make a new one")


class MemoryForgeSecrets:
    """`ForgeSecrets` that forgets."""

    def __init__(self) -> None:
        self.tokens: dict[str, str] = {}
        self.webhooks: dict[str, str] = {}

    def token(self, app: str) -> str | None:
        return self.tokens.get(app)

    def keep_token(self, app: str, token: str) -> None:
        if not token.strip() or len(token.split()) != 1 or not token.isascii():
            raise failure("forge-token-form", "this cannot be a token", "copy it whole")
        self.tokens[app] = token.strip()

    def webhook_secret(self, app: str) -> str | None:
        return self.webhooks.get(app)

    def make_webhook_secret(self, app: str) -> str | None:
        if app in self.webhooks:
            return None
        return self.webhooks.setdefault(app, f"secret-of-{app}")
