"""What a pusher is told, and what is recorded of a push to Trimtab's own repository."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.client.server import TOKEN, Api, served, until
from trimtab.core.model import facts as f
from trimtab.testing.memory_source import File

GONE = "0" * 40


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    with served(Api(tmp_path)) as running:
        yield running


def pushed(api: Api, *refs: tuple[str, str]) -> list[str]:
    """The lines that the pusher sees; of each ref its name and its new commit."""
    body: dict[str, Any] = {
        "repository": "shop",
        "pusher": "ann",
        "refs": [{"old": "1" * 40, "new": new, "ref": f"refs/heads/{name}"} for name, new in refs],
    }
    url, headers = f"{api.url}/internal/git/post-receive", {"Authorization": f"Bearer {TOKEN}"}
    answer = httpx.post(url, json=body, headers=headers, trust_env=False, timeout=30)
    lines: list[str] = answer.json()["lines"]
    return lines


def commit(api: Api, branch: str, subject: str = "Answer in verse") -> f.Change:
    asyncio.run(api.source.create("shop"))
    return api.source.commit("shop", {"a": File(subject.encode())}, branch=branch, subject=subject)


def test_a_branch_to_be_tried_gets_a_run_and_the_pusher_its_number(api: Api) -> None:
    change = commit(api, "pr/verse")
    request = f.PullRequest(0, "main", name="verse")

    def begin() -> None:
        """As the engine does when it sees the fact."""
        until(lambda: api.last().kind == "PullRequestUpdated")
        api.store.append([f.Recorded("run/shop/9", f.RunRequested(9, change, request))], api.clock.now())

    engine = threading.Thread(target=begin)
    engine.start()
    lines = pushed(api, ("pr/verse", change.commit))
    engine.join()
    assert lines == [f"Run 9 of shop, pr/verse, not deployed: {api.url}/api/v1/apps/shop/runs/9"]
    updated = api.store.facts(kinds=("PullRequestUpdated",))[0].fact
    assert isinstance(updated, f.PullRequestUpdated)
    assert (updated.pull_request, updated.change.commit, updated.change.actor) == (request, change.commit, "ann")


def test_deleting_the_branch_closes_it(api: Api) -> None:
    assert pushed(api, ("pr/verse", GONE)) == ["pr/verse is closed."]
    assert api.last().fact == f.PullRequestClosed(f.PullRequest(0, "main", name="verse"))


def test_other_branches_are_kept_and_nothing_follows(api: Api) -> None:
    before = api.last().seq
    commit(api, "prose")
    assert pushed(api, ("prose", "2" * 40)) == [
        "Only main is deployed; pr/NAME is tried and not deployed. Nothing else follows."
    ]
    assert pushed(api, ("main", GONE)) == []
    assert [recorded.kind for recorded in api.store.facts(after=before)] in ([], ["AppRegistered"])
