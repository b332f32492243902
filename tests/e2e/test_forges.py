"""From a forge to production: a real controller, a bare repository, and a forge that signs and keeps what it hears."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import tidied
from tests.e2e.world import World, wait_for
from trimtab.core.model.forge import ForgeKind
from trimtab.testing.forge_double import ForgeDouble, Mischief
from trimtab.testing.forge_manners import Proposal
from trimtab.testing.forge_messages import Message, Messenger, PullAction

REFS = {"github": "refs/pull/{}/head", "gitlab": "refs/merge-requests/{}/head"}


class Forged(World):
    """A world whose application is at a forge, and not pushed to Trimtab."""

    forge: ForgeDouble
    messenger: Messenger
    hook: str
    deliveries = 0

    @property
    def bare(self) -> Path:
        return self.folder / "org" / "shop.git"

    def connect(self, forge: ForgeDouble) -> None:
        """As a person does it: add the application, and enter in the forge's settings what the command says."""
        self.forge = forge
        self.bare.parent.mkdir()
        self.git("init", "--quiet", "--bare", "--initial-branch=main", str(self.bare))
        self.git("remote", "add", "origin", str(self.bare))
        self.change(version=1)
        words = ["apps", "add", "shop", "--forge", forge.kind, "--repository", forge.repository, "--token-stdin"]
        words += ["--api-url", forge.api_url, "--poll", str(self.bare), "--home", str(self.home)]
        done = subprocess.run(
            [sys.executable, "-m", "trimtab.cli.main", *words],
            input=forge.token,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        said = dict(line.split(None, 1) for line in done.stderr.splitlines() if line.startswith(("webhook", "secret")))
        self.hook, self.messenger = said["webhook"], forge.messenger(said["secret"])

    def change(self, ref: str = "refs/heads/main", **behaviour: float | str) -> str:
        """Commit a version and push it to the forge, which says nothing of it; the commit."""
        (self.repository / "behaviour.json").write_text(json.dumps(behaviour))
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", f"Behave as {behaviour}")
        self.git("push", "--quiet", "--force", "origin", f"HEAD:{ref}")
        return self.git("rev-parse", "HEAD")

    def propose(self, number: int, action: PullAction, **behaviour: float | str) -> str:
        """Open a pull request or push to its branch, from where `main` is; the commit. The forge says so."""
        self.git("checkout", "--quiet", "-B", f"pull-{number}", "main")
        commit = self.change(REFS[self.forge.kind].format(number), **behaviour)
        self.git("checkout", "--quiet", "main")
        self.forge.pulls[number] = Proposal(number, f"pull-{number}", commit)
        self.say(self.messenger.pull(action, self.forge.pulls[number], self.delivery()))
        return commit

    def merge(self, number: int) -> str:
        """The commit on `main`; the forge says both."""
        self.git("merge", "--quiet", "--no-edit", "--no-ff", f"pull-{number}")
        self.git("push", "--quiet", "origin", "main")
        commit = self.git("rev-parse", "HEAD")
        self.forge.pulls[number].is_open = False
        self.say(self.messenger.pull("merged", self.forge.pulls[number], self.delivery()))
        self.say(self.messenger.push("main", commit, self.delivery()))
        return commit

    def delivery(self) -> str:
        self.deliveries += 1
        return f"delivery-{self.deliveries}"

    def say(self, message: Message) -> str:
        status, said = self.forge.deliver(self.hook, message)
        assert status == 200, said
        return said

    def told(self, commit: str) -> str:
        """What the commit's status is; empty while nothing was said of it."""
        return next((said.state for said in reversed(self.forge.statuses) if said.commit == commit), "")

    def comment(self, number: int) -> str:
        """The only comment on the pull request; empty while there is none."""
        there = self.forge.comments.get(number, [])
        assert len(there) <= 1
        return there[0].text if there else ""

    def everything_written(self) -> bytes:
        """All files of the installation but those with its secrets."""
        files = [path for path in self.home.rglob("*") if path.is_file() and "secrets" not in path.parts]
        return b"".join(path.read_bytes() for path in files) + (self.folder / "up.log").read_bytes()


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
