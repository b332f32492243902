"""From a pull request to a preview and to nothing: a real controller, Envoy, and a forge that signs and keeps."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator

import httpx
import pytest

from tests.e2e.conftest import tidied
from tests.e2e.forged import Forged
from tests.e2e.world import free_port, users, wait_for
from trimtab.testing.forge_double import ForgeDouble
from trimtab.views.model import EnvironmentView


class Previewing(Forged):
    """A world whose pull requests have previews, at one port."""

    def plant_with_previews(self) -> str:
        """Make the repository; the address of the only preview that there can be."""
        port = free_port()
        self.plant(strategy="instant", pipeline="pipeline: {test: test ! -e broken}")
        settings = self.repository / "trimtab.yaml"
        settings.write_text(f"{settings.read_text()}\npreviews: {{ports: {port}, env: {{VARIANT: preview}}}}\n")
        return f"http://127.0.0.1:{port}"

    def preview(self) -> EnvironmentView | None:
        return next(iter(self.client.previews("shop")), None)

    def serves(self, run: int) -> bool:
        place = self.preview()
        return (
            place is not None
            and place.preview is not None
            and (place.preview.run, place.preview.status)
            == (
                run,
                "serving",
            )
        )

    def nothing_left(self, url: str) -> bool:
        """No view, process, listener or file, but for the number that keeps controllers of before away."""
        traces = [path for path in self.home.rglob("*") if "/preview-" in str(path) and path.is_file()]
        kept = [path for path in traces if path.name != "fence"]
        return self.preview() is None and not self.processes("preview-") and not answers(url) and not kept

    def cli(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "trimtab.cli.main", *words, "--home", str(self.home)],
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr


def answers(url: str) -> str:
    """What is answered there; empty when nobody listens."""
    try:
        return httpx.get(url).text
    except httpx.ConnectError:
        return ""


@pytest.fixture
def world() -> Iterator[Previewing]:
    with tidied(Previewing) as world:
        yield world


def test_a_pull_request_has_an_address_of_its_own_until_it_is_closed(world: Previewing) -> None:
    url = world.plant_with_previews()
    world.up()
    with ForgeDouble("github") as forge, users(world.url, number=1, pause_s=0.05) as visitors:
        world.connect(forge)
        first = world.git("rev-parse", "HEAD")
        world.say(world.messenger.push("main", first, world.delivery()))
        production = world.ended(first).release
        visitors.statuses.clear()  # before it, there was nothing to visit
        visitors.versions.clear()

        proposed = world.propose(7, "opened", version=2)
        wait_for(lambda: world.serves(2), why="the preview serves")
        assert answers(url) == "version 2 preview"
        assert answers(world.url) == "version 1"
        wait_for(lambda: f"Preview: {url}" in world.comment(7), why="the comment has the address")
        status = [said for said in forge.statuses if said.commit == proposed][-1]
        assert (status.state, status.description) == ("success", f"run 2 passed; preview at {url}")
        assert f"preview ● serving {url}" in world.cli("runs", "2", "--app", "shop")
        assert "preview-7" in world.cli("status")
        assert url in world.cli("previews")

        with users(url, number=2) as reviewers:
            world.propose(7, "updated", version=3)
            wait_for(lambda: world.serves(3), why="the newer head takes its place")
            wait_for(lambda: answers(url) == "version 3 preview")
        assert reviewers.bad == {}
        assert world.preview().address == url.removeprefix("http://")  # type: ignore[union-attr]

        other = world.propose(8, "opened", version=8)
        run = world.finished(other)
        assert run.status == "passed"
        wait_for(lambda: "taken by preview-7" in world.comment(8), why="the comment says why there is none")

        world.kill_controller()
        world.forge.pulls[7].is_open = False
        world.up()
        world.say(world.messenger.pull("closed", world.forge.pulls[7], world.delivery()))
        wait_for(lambda: world.serves(run.number), why="who waited for the port has it")
        assert answers(url) == "version 8 preview"
        world.cli("previews", "close", "preview-8", "--app", "shop")
        wait_for(lambda: world.nothing_left(url), why="nothing is left of either")
        wait_for(lambda: "Preview" not in world.comment(8), why="the comment does not name it any more")

        assert world.production.live == production
        assert world.desired_log() == [f"Promote {production.removeprefix('sha256:')[:12]} to shop/production"]
        assert len(world.client.releases("shop")) == 1
        assert visitors.bad == {}
        assert set(visitors.versions) == {"version 1"}


def test_what_cannot_start_is_said_and_leaves_production_alone(world: Previewing) -> None:
    """A branch of our own repository; its second head does not start, and the first one stays."""
    url = world.plant_with_previews()
    world.up()
    world.ended(world.push(version=1))
    push = ["push", "--quiet", "--force", "trimtab", "HEAD:refs/heads/pr/something"]
    (world.repository / "behaviour.json").write_text(json.dumps({"version": 2}))
    world.git("commit", "--quiet", "--all", "--message", "Try something")
    world.git(*push)
    wait_for(lambda: world.serves(2), why="the preview serves")
    (world.repository / "app.py").write_text("import sys; sys.exit('no such model')\n")
    world.git("commit", "--quiet", "--all", "--message", "Break it")
    world.git(*push)
    failed = wait_for(
        lambda: (
            (seen := world.preview()) is not None
            and seen.preview is not None
            and seen.preview.status == "failed"
            and seen.preview
        )
    )
    assert failed
    assert answers(url) == "version 2 preview"
    assert "preview ✘ failed" in world.cli("runs", "3", "--app", "shop")
    world.git("push", "--quiet", "trimtab", ":refs/heads/pr/something")
    wait_for(lambda: world.preview() is None and not answers(url), why="it is gone")
    assert answers(world.url) == "version 1"
