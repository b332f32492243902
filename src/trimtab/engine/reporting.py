"""Telling a forge how runs go. What is told is how the run is at that moment, so a report that comes late says what is
true, and one that comes twice says the same."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from trimtab.core.decide.previews import name_of
from trimtab.core.model.actions import Action, ReportRun
from trimtab.core.model.facts import Fact, Recorded, RunRequested
from trimtab.core.model.forge import ForgeSpec
from trimtab.core.model.identity import EnvironmentId, ObjectId, run_object
from trimtab.engine.loop import Handler, Order, done
from trimtab.ports.forge import LONGEST_DESCRIPTION, CommitStatus, Forges, ForgeSecrets, StatusState
from trimtab.ports.store import Store
from trimtab.views.board import Board
from trimtab.views.comment import comment
from trimtab.views.model import RunView

PAGE = 500
RECENT = 500
"""Among how many of an application's newest runs a newer one of the same pull request is looked for."""
_STATES: Mapping[str, StatusState] = {
    "running": "pending",
    "passed": "success",
    "failed": "failure",
    "invalid": "failure",
    "superseded": "cancelled",
    "cancelled": "cancelled",
    "lost": "error",
}


@dataclass(frozen=True, slots=True)
class Reporting:
    """The action `ReportRun`. `url`: where others reach the API."""

    store: Store
    forges: Forges
    secrets: ForgeSecrets
    url: str
    _turns: dict[str, asyncio.Lock] = field(default_factory=dict)

    def handlers(self) -> Mapping[type[Action], Handler]:
        return {ReportRun: Handler(self.report_run, in_line=False)}

    async def report_run(self, order: Order) -> Fact:
        """Waits for as long as the forge has to be waited for. Reports on one run, or on one pull request, take turns:
        what was true earlier is said earlier."""
        action: ReportRun = order.action
        token, run = self.secrets.token(action.app), self._run(action)
        if token is not None and run is not None:
            of = run.pull_request.branch if run.pull_request else str(run.number)
            turns = self._turns.setdefault(f"{action.app}/{of}", asyncio.Lock())
            async with turns:
                await self._report(action, action.forge, token)
        return done(order)

    async def _report(self, action: ReportRun, forge: ForgeSpec, token: str) -> None:
        run = self._run(action)
        if run is None:
            return
        link = f"{self.url}/api/v1/apps/{action.app}/runs/{action.run}"
        await self.forges.set_status(forge, token, commit_status(run, link))
        request = run.pull_request
        if request is not None and not request.name and self._is_newest(run, action.app):
            await self.forges.comment(forge, token, request.number, action.app, comment(run, link))

    def _run(self, action: ReportRun) -> RunView | None:
        board, told = Board(), self._facts(run_object(action.app, action.run))
        asked = told[0].fact if told else None
        if isinstance(asked, RunRequested) and asked.preview and asked.pull_request is not None:
            told += self._facts(EnvironmentId(action.app, name_of(asked.pull_request)).object_id)
        board.apply(sorted(told, key=lambda recorded: recorded.seq))
        return board.run(action.app, action.run)

    def _facts(self, of: ObjectId) -> list[Recorded]:
        found: list[Recorded] = []
        while page := self.store.facts(after=found[-1].seq if found else 0, object_id=of, limit=PAGE):
            found += page
        return found

    def _is_newest(self, run: RunView, app: str) -> bool:
        """Whether no newer head of the pull request has a run already: that one's comment stays."""
        asked = self.store.facts(object_prefix=f"run/{app}/", kinds=("RunRequested",), newest_first=True, limit=RECENT)
        mine = (fact for recorded in asked if (fact := _of(recorded, run)) is not None)
        newest = next(mine, None)
        return newest is None or newest.run <= run.number


def _of(recorded: Recorded, run: RunView) -> RunRequested | None:
    """The fact, if it asks for a run of the same pull request."""
    fact, mine = recorded.fact, run.pull_request
    if not isinstance(fact, RunRequested) or fact.pull_request is None or mine is None:
        return None
    return fact if fact.pull_request.branch == mine.branch else None


def commit_status(run: RunView, url: str) -> CommitStatus:
    """What is said of the run's commit."""
    said = f"run {run.number} is on its way" if run.status == "running" else f"run {run.number}: {run.reason}"
    if run.preview is not None and run.preview.status == "serving":
        said = f"run {run.number} passed; preview at {run.preview.url}"
    elif run.preview is not None and run.preview.status == "failed":
        said = f"run {run.number} passed; its preview did not start: {run.preview.reason}"
    one_line = " ".join(said.split())
    if len(one_line) > LONGEST_DESCRIPTION:
        one_line = f"{one_line[: LONGEST_DESCRIPTION - 1]}…"
    return CommitStatus(run.change.commit, _STATES.get(run.status, "error"), one_line, url)
