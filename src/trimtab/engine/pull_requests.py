"""A look at pull requests: which are open, and what their heads are.

Those of a forge are listed by its API and fetched with Git. A webhook says which to look at first and is believed no
further than that; one that never came, or came late or twice, changes nothing. Without a token there is no list: then
webhooks say which are open, and Git what their heads are. In Trimtab's own repository the branches below ``pr/`` are
pull requests.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trimtab.core.decide.application import AppState
from trimtab.core.decide.pull_requests import PullReading
from trimtab.core.errors import Problem, TrimtabError
from trimtab.core.model.facts import Change, ForgeNotified, PullRequest, Recorded
from trimtab.core.model.forge import ForgeSpec
from trimtab.ports.forge import Forges, ForgeSecrets, OpenPull
from trimtab.ports.source import Source

OWN = "pr/"
"""What branches of Trimtab's own repository begin with that are pull requests."""
FETCHES = 20
"""How many heads are fetched in one look; the next one fetches the others."""


async def look_at_pulls(
    source: Source,
    forges: Forges | None,
    secrets: ForgeSecrets | None,
    state: AppState,
    facts: tuple[Recorded, ...],
) -> PullReading:
    """The pull requests of an application. Raises `TrimtabError` when its own repository cannot be read."""
    opened, closed = await _own(source, state)
    forge = state.source.forge
    if forge is None or forges is None or secrets is None:
        return PullReading(tuple(opened), tuple(closed))
    look = _Look(source, forges, state, forge)
    await look.whatever_is_open(secrets, [fact.fact for fact in facts if isinstance(fact.fact, ForgeNotified)])
    return PullReading((*opened, *look.opened), (*closed, *look.closed), look.problem)


async def _own(source: Source, state: AppState) -> tuple[list[tuple[PullRequest, Change]], list[str]]:
    deployed = state.source.branch
    heads = [head for head in await source.heads(state.name, OWN) if head.branch != deployed]
    opened = [(PullRequest(0, deployed, name=head.branch.removeprefix(OWN)), head) for head in heads]
    there = {head.branch for head in heads}
    known = [pull.request.branch for pull in state.pulls.open if pull.request.name]
    return opened, [branch for branch in known if branch not in there]


@dataclass(slots=True)
class _Look:
    """One look at the pull requests of one forge."""

    source: Source
    forges: Forges
    state: AppState
    forge: ForgeSpec
    opened: list[tuple[PullRequest, Change]] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)
    problem: Problem | None = None

    async def whatever_is_open(self, secrets: ForgeSecrets, said: list[ForgeNotified]) -> None:
        known = {pull.request.branch: pull for pull in self.state.pulls.open if not pull.request.name}
        told = {fact.pull_request.branch: fact for fact in said if fact.pull_request is not None}
        listed = await self._listed(secrets)
        if listed is None:
            self.closed = [branch for branch in known if branch in told and told[branch].closed]
            wanted = {branch: OpenPull(pull.request, "") for branch, pull in known.items()}
        else:
            pulls, whole = listed
            wanted = dict(pulls)
            # A list may be older than the message that something was opened.
            opened = {branch for branch, fact in told.items() if not fact.closed}
            self.closed = [branch for branch in known if whole and branch not in wanted and branch not in opened]
        for branch, fact in told.items():
            if not fact.closed and (listed is None or branch not in wanted):
                assert fact.pull_request is not None
                wanted[branch] = OpenPull(fact.pull_request, "", fact.source_branch, fact.source_repository)
        await self._fetch({branch: pull for branch, pull in wanted.items() if branch not in self.closed})

    async def _listed(self, secrets: ForgeSecrets) -> tuple[Mapping[str, OpenPull], bool] | None:
        """The open ones for the deployed branch, and whether these are all; None: that cannot be known now."""
        try:
            token = secrets.token(self.state.name)
            if token is None:
                return None
            listed = await self.forges.open_pull_requests(self.forge, token)
        except TrimtabError as error:
            self.problem = error.problem
            return None
        mine = [pull for pull in listed.pulls if pull.pull_request.base == self.state.source.branch]
        return {pull.pull_request.branch: pull for pull in mine}, listed.whole

    async def _fetch(self, wanted: Mapping[str, OpenPull]) -> None:
        fetches = 0
        for branch, pull in wanted.items():
            known = self.state.pulls.get(branch)
            if known is not None and pull.head and known.change.commit.startswith(pull.head):
                self.opened.append((pull.pull_request, known.change))
                continue
            url, ref = self.forges.head_of(self.forge, pull)
            if ref.endswith("/") or fetches >= FETCHES:
                continue  # a forge without refs of pull requests, and nobody said where the commits are
            fetches += 1
            await self._fetch_one(pull.pull_request, url or self.state.source.poll_url or "", ref)

    async def _fetch_one(self, request: PullRequest, url: str, ref: str) -> None:
        try:
            head = await self.source.fetch(self.state.name, url, request.branch, ref)
        except TrimtabError as error:
            # Without its branch it cannot be merged either; the forge may also be a moment behind its own message.
            if error.problem.code != "git-branch-missing":
                self.problem = error.problem
            return
        if head is not None:
            self.opened.append((request, head))
