"""Pull requests through the whole engine: seen, run beside the deployed branch, reported, and never deployed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine.world import CONFIGURATION, World
from trimtab.core.errors import failure
from trimtab.core.model import facts as f
from trimtab.core.model.forge import ForgeSpec
from trimtab.core.model.identity import app_object
from trimtab.engine.loop import Engine
from trimtab.engine.observe import Applications
from trimtab.engine.reporting import Reporting
from trimtab.ports.forge import OpenPull
from trimtab.testing.memory_forges import MemoryForges, MemoryForgeSecrets
from trimtab.testing.memory_source import File
from trimtab.views.model import RunView

FORGE = ForgeSpec("github", "org/upstream", "memory:")
URL = "https://trimtab.example.com"


class Forged(World):
    """A world with a forge, whose repository is `upstream`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.forges = MemoryForges(self.clock)
        self.forge_secrets = MemoryForgeSecrets()
        self.forge_secrets.keep_token("shop", "the-token")
        self.deliveries = 0

    def engine(self, store: object, owner: str, lead: object = None) -> Engine:
        made = super().engine(store, owner, None)
        reporting = Reporting(self.store, self.forges, self.forge_secrets, URL)
        made._kinds = {**made._kinds, "app": Applications(self.source, self.forges, self.forge_secrets, self.traffic)}
        made._handlers = {**made._handlers, **reporting.handlers()}
        return made

    async def begin(self, *, poll_interval_s: float = 30.0, forge: ForgeSpec | None = FORGE) -> None:
        await self.source.create("shop")
        poll_url = "memory:upstream" if forge else None
        self.append(f.AppRegistered(poll_url=poll_url, poll_interval_s=poll_interval_s, forge=forge))
        self.start()

    def merge(self, subject: str) -> str:
        """A commit on the forge's deployed branch."""
        return self._commit("upstream", "main", subject).commit

    def propose(self, number: int, subject: str, base: str = "main") -> str:
        """Open a pull request, or give it a new head."""
        change = self._commit("upstream", f"branch-{number}", subject)
        self.forges.pulls[number] = OpenPull(f.PullRequest(number, base), change.commit, change.branch)
        return change.commit

    def _commit(self, app: str, branch: str, subject: str) -> f.Change:
        files = {"trimtab.yaml": File(CONFIGURATION.encode()), "version.txt": File(subject.encode())}
        return self.source.commit(app, files, branch=branch, subject=subject, at=self.clock.now())

    def say(self, number: int | None = None, *, closed: bool = False) -> None:
        """The webhook says that something changed."""
        self.deliveries += 1
        request = f.PullRequest(number, "main") if number is not None else None
        branch = f"branch-{number}" if number is not None else ""
        self.append(f.ForgeNotified(str(self.deliveries), "something changed", request, branch, "", closed))

    def runs(self) -> list[RunView]:
        """Oldest first."""
        return list(reversed(self.board.runs("shop")))

    def run_of(self, commit: str) -> RunView | None:
        return next((run for run in self.runs() if run.change.commit == commit), None)

    def has(self, commit: str, status: str) -> bool:
        run = self.run_of(commit)
        return run is not None and run.status == status

    def told(self, commit: str) -> list[str]:
        return [status.state for status in self.forges.statuses if status.commit == commit]


@pytest.fixture
def world(tmp_path: Path) -> Forged:
    return Forged(tmp_path)


async def test_a_pull_request_is_run_and_reported_and_not_deployed(world: Forged) -> None:
    world.merge("first")
    await world.begin()
    await world.until(lambda: world.ended(1))
    proposed = world.propose(7, "better")
    world.say(7)
    await world.until(lambda: len(world.told(proposed)) == 2)
    assert world.told(proposed) == ["pending", "success"]
    assert "run 2: all steps passed" in world.forges.statuses[-1].description
    assert world.forges.statuses[-1].url == f"{URL}/api/v1/apps/shop/runs/2"
    text = world.forges.comments[7]["shop"]
    assert f"**Trimtab: [run 2]({URL}/api/v1/apps/shop/runs/2) passed**" in text
    assert "| test | ✔ passed |" in text
    assert len(world.board.releases("shop")) == 1
    merged = world.merge("better")
    del world.forges.pulls[7]
    world.say(7, closed=True)
    world.say()
    await world.until(lambda: world.ended(2))
    assert world.told(merged) == ["pending", "success"]
    assert len(world.board.releases("shop")) == 2
    await world.stop()


async def test_lost_webhooks_cost_time_only(world: Forged) -> None:
    """Nobody says anything: polling finds the head, the newer head, and that it was closed."""
    world.merge("first")
    await world.begin()
    await world.until(lambda: bool(world.runs()))
    first = world.propose(7, "better")
    await world.until(lambda: world.run_of(first) is not None)
    second = world.propose(7, "best")
    await world.until(lambda: world.has(second, "passed"))
    third = world.propose(7, "even better")
    await world.until(lambda: world.has(third, "running"))
    del world.forges.pulls[7]
    await world.until(lambda: any(fact.kind == "PullRequestClosed" for fact in world.facts()))
    await world.until(lambda: not world.has(third, "running"))
    await world.stop()


async def test_a_newer_head_stops_the_older_run_and_has_the_comment(world: Forged) -> None:
    world.merge("first")
    await world.begin()
    await world.until(lambda: world.ended(1))
    older = world.propose(7, "better")
    world.say(7)
    await world.until(lambda: world.has(older, "running"))
    newer = world.propose(7, "best")
    world.say(7)
    await world.until(lambda: len(world.told(newer)) == 2 and len(world.told(older)) == 2)
    assert world.has(older, "superseded")
    assert world.told(older) == ["pending", "cancelled"]
    assert "[run 3]" in world.forges.comments[7]["shop"]
    await world.stop()


async def test_without_a_token_webhooks_and_git_are_enough(world: Forged) -> None:
    world.forge_secrets.tokens.clear()
    world.merge("first")
    await world.begin()
    await world.until(lambda: world.ended(1))
    first = world.propose(7, "better")
    world.say(7)
    await world.until(lambda: world.has(first, "passed"))
    world.say(7, closed=True)
    await world.until(lambda: any(fact.kind == "PullRequestClosed" for fact in world.facts()))
    assert world.forges.statuses == []
    await world.stop()


async def test_a_message_that_is_replayed_closes_nothing_that_is_open(world: Forged) -> None:
    """Its id is not signed, so who has seen it can send it again under another one."""
    world.merge("first")
    await world.begin()
    proposed = world.propose(7, "better")
    world.say(7)
    await world.until(lambda: world.has(proposed, "passed"))
    world.say(7, closed=True)
    world.say(7)
    await world.until(lambda: world.store.peek(app_object("shop")) is not None)
    kinds = [fact.kind for fact in world.facts()]
    assert "PullRequestClosed" not in kinds
    assert len(world.runs()) == 2
    await world.stop()


async def test_a_pull_request_for_another_branch_gets_no_run(world: Forged) -> None:
    world.merge("first")
    await world.begin()
    world.propose(8, "elsewhere", base="develop")
    mine = world.propose(7, "better")
    world.say(7)
    await world.until(lambda: world.has(mine, "passed"))
    assert len(world.runs()) == 2
    await world.stop()


async def test_a_list_that_is_not_whole_closes_nothing(world: Forged) -> None:
    world.merge("first")
    await world.begin()
    mine = world.propose(7, "better")
    world.say(7)
    await world.until(lambda: world.has(mine, "passed"))
    world.forges.whole = False
    kept = world.forges.pulls.pop(7)
    other = world.propose(8, "other")
    world.say(8)
    await world.until(lambda: world.has(other, "passed"))
    assert "PullRequestClosed" not in [fact.kind for fact in world.facts()]
    assert kept.pull_request.number == 7
    await world.stop()


async def test_a_forge_that_fails_is_a_problem_until_it_does_not(world: Forged) -> None:
    world.merge("first")
    await world.begin()
    await world.until(lambda: world.ended(1))
    world.forges.faults.fail("open_pull_requests", failure("forge-unreachable", "it answers 500"), 2)
    world.say()
    await world.until(lambda: world.board.app("shop").problems != ())  # type: ignore[union-attr]
    await world.until(lambda: world.board.app("shop").problems == (), within_s=600.0)  # type: ignore[union-attr]
    world.forges.faults.fail("set_status", failure("forge-token", "it may not do that"))
    merged = world.merge("second")
    world.say()
    await world.until(lambda: world.board.app("shop").problems != ())  # type: ignore[union-attr]
    await world.until(lambda: world.ended(2))
    assert world.told(merged) == ["success"]
    assert world.board.app("shop").problems == ()  # type: ignore[union-attr]
    await world.stop()


async def test_a_report_that_waits_for_the_forge_survives_the_controller(world: Forged) -> None:
    """The forge hangs while the run goes on; the controller dies; the next one tells what is true then."""
    world.merge("first")
    world.forges.faults.hang("set_status")
    await world.begin()
    await world.until(lambda: world.ended(1))
    assert world.forges.statuses == []
    await world.kill("controller")
    world.forges.faults.resume("set_status")
    world.start(owner="another")
    await world.until(lambda: len(world.forges.statuses) == 2)
    assert {status.state for status in world.forges.statuses} == {"success"}
    await world.stop()


async def test_branches_of_our_own_repository_may_be_tried(world: Forged) -> None:
    """No forge: a branch below `pr/` is a pull request, whether its hook was heard or not."""
    await world.begin(forge=None)
    world.push("first")
    await world.until(lambda: world.ended(1))
    tried = world._commit("shop", "pr/verse", "better")
    await world.until(lambda: world.has(tried.commit, "passed"))
    run = world.run_of(tried.commit)
    assert run is not None
    assert run.pull_request == f.PullRequest(0, "main", name="verse")
    again = world._commit("shop", "pr/verse", "best")
    world.append(f.PullRequestUpdated(run.pull_request, replace(again, branch="pr/verse")))
    await world.until(lambda: world.has(again.commit, "running"))
    world.source.close_branch("shop", "pr/verse")
    await world.until(lambda: any(fact.kind == "PullRequestClosed" for fact in world.facts()))
    assert len(world.board.releases("shop")) == 1
    await world.stop()
