"""From a forge to production: a real controller, a bare repository, and a forge that signs and keeps what it hears."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import tidied
from tests.e2e.forged import Forged
from tests.e2e.world import wait_for
from trimtab.core.model.forge import ForgeKind
from trimtab.testing.forge_double import ForgeDouble, Mischief


@pytest.fixture
def world() -> Iterator[Forged]:
    with tidied(Forged) as world:
        yield world


@pytest.mark.parametrize("kind", ["github", "gitlab"])
def test_a_pull_request_is_run_and_a_merge_is_deployed(world: Forged, kind: ForgeKind) -> None:
    good, bad = {"github": ("success", "failure"), "gitlab": ("success", "failed")}[kind]
    world.plant(strategy="instant", pipeline="pipeline: {test: test ! -e broken}")
    world.up()
    with ForgeDouble(kind) as forge:
        world.connect(forge)
        first = world.git("rev-parse", "HEAD")
        world.say(world.messenger.push("main", first, world.delivery()))
        live = world.ended(first).release
        wait_for(lambda: world.told(first) == good, why="the deployed commit has its status")

        (world.repository / "broken").touch()
        broken = world.propose(7, "opened", version=2)
        wait_for(lambda: world.told(broken) == bad, why="the pull request has its status")
        wait_for(lambda: "failed" in world.comment(7), why="the comment says that it failed")
        assert "run 2" in world.comment(7)
        assert "exit code 1" in world.comment(7)

        mended = world.propose(7, "updated", version=2)
        wait_for(lambda: world.told(mended) == good, why="its new head has a status of its own")
        wait_for(lambda: "run 3" in world.comment(7) and "passed" in world.comment(7), why="the comment follows")
        run = world.finished(mended)
        assert run.pull_request is not None
        assert (run.pull_request.number, run.release) == (7, None)
        assert world.production.live == live
        assert len(world.client.releases("shop")) == 1

        merged = world.merge(7)
        assert world.ended(merged).status == "promoted"
        wait_for(lambda: world.told(merged) == good)
        again = world.messenger.push("main", merged, f"delivery-{world.deliveries}")
        assert "seen before" in world.say(again)
        assert len(world.client.runs("shop")) == 4
        for secret in (forge.token, world.messenger.secret):
            assert secret.encode() not in world.everything_written()


def test_nothing_is_lost_while_the_forge_and_the_controller_stumble(world: Forged) -> None:
    """The forge answers 500; the controller is killed while it waits; the forge recovers, and is told."""
    world.plant(strategy="instant")
    world.up()
    with ForgeDouble("github") as forge:
        world.connect(forge)
        forge.mischief.extend([Mischief(500)] * 100_000)
        first = world.git("rev-parse", "HEAD")
        world.say(world.messenger.push("main", first, world.delivery()))
        world.ended(first)
        wait_for(lambda: any("statuses" in request for request in forge.requests), why="it was tried to tell")
        world.kill_controller()
        forge.mischief.clear()
        world.up()
        wait_for(lambda: world.told(first) == "success", why="the forge is told by the next controller")


def test_a_branch_is_tried_without_any_forge(world: Forged) -> None:
    world.plant(strategy="instant")
    world.up()
    live = world.ended(world.push(version=1)).release
    (world.repository / "behaviour.json").write_text('{"version": 2}')
    world.git("commit", "--quiet", "--all", "--message", "Try something")
    push = ["git", "push", "trimtab", "HEAD:refs/heads/pr/something"]
    done = subprocess.run(push, cwd=world.repository, capture_output=True, text=True, timeout=60)
    assert "remote: Run 2 of shop, pr/something, not deployed: http" in done.stderr
    run = world.finished(world.git("rev-parse", "HEAD"))
    assert (run.status, run.release) == ("passed", None)
    assert world.production.live == live
    done = subprocess.run(
        ["git", "push", "trimtab", ":refs/heads/pr/something"],
        cwd=world.repository,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert "remote: pr/something is closed." in done.stderr
