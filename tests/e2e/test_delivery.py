"""From `git push` to production and back, with the real program, real Git, a real gateway and real requests."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from tests.e2e.world import LONG_CANARY, World, users, wait_for, whole_stream


def test_changes_go_to_production_or_back(world: World) -> None:
    world.plant(pipeline="pipeline: {test: test ! -e broken}")
    world.up()
    first = world.push(version=1)
    assert world.ended(first).status == "promoted"

    with users(world.url) as answers:
        second = world.push(version=2)
        good = world.ended(second)
        assert (good.status, good.verdict) == ("promoted", "PASS")

        (world.repository / "broken").touch()
        broken = world.finished(world.push(version=3))
        assert broken.status == "failed"
        assert "exit code 1" in broken.steps[0].detail
        (world.repository / "broken").unlink()

        bad = world.ended(world.push(version=4, fail=0.5))
        assert (bad.status, bad.verdict) == ("rolled_back", "FAIL")
        assert "the candidate fails more often" in bad.reason

        wait_for(lambda: len(world.desired_log()) == 4, why="the rollback is written to Git")
    assert answers.versions["version 2"] > 0
    assert set(answers.bad) <= {"500"}
    live, failed = world.production.live, bad.release
    assert live == good.release
    assert [line.split()[0] for line in world.desired_log()] == ["Promote", "Promote", "Promote", "Roll"]
    assert failed is not None


def test_git_is_the_source_of_truth(world: World) -> None:
    world.plant(strategy="instant")
    world.up()
    first = world.ended(world.push(version=1)).release
    second = world.ended(world.push(version=2)).release
    world.live(second)

    clone = world.clone_state()
    world.git("revert", "--no-edit", "HEAD", cwd=clone)
    world.git("push", "--quiet", cwd=clone)
    world.live(first)

    (clone / "shop" / "production.yaml").write_text("release: sha256:" + "0" * 64 + "\n")
    world.git("commit", "--quiet", "--all", "--message", "Deploy what does not exist", cwd=clone)
    pushed = subprocess.run(["git", "push"], cwd=clone, capture_output=True, text=True)
    assert pushed.returncode != 0
    assert "Refused, nothing was changed" in pushed.stderr
    assert world.production.live == first

    world.client.rollback("shop", "production", second)
    world.live(second)
    assert world.desired_log()[-1].startswith("Roll back shop/production to")


def test_an_edit_behind_the_back_of_the_hooks_is_refused_too(world: World) -> None:
    """Somebody commits to the bare repository itself: nothing is changed, and status says why."""
    world.plant(strategy="instant")
    world.up()
    first = world.ended(world.push(version=1)).release
    clone = world.folder / "by-hand"
    world.git("clone", "--quiet", str(world.home / "git" / "state.git"), str(clone))
    (clone / "shop" / "production.yaml").write_text("release: latest\n")
    world.git("commit", "--quiet", "--all", "--message", "Deploy the latest", cwd=clone)
    bare = world.home / "git" / "state.git"
    world.git("--git-dir", str(bare), "fetch", "--quiet", str(clone), "main:by-hand", cwd=world.folder)
    commit = world.git("--git-dir", str(bare), "rev-parse", "by-hand", cwd=world.folder)
    world.git("--git-dir", str(bare), "update-ref", "refs/heads/main", commit, cwd=world.folder)
    problem = wait_for(lambda: next(iter(world.production.problems), None), why="status names the problem")
    assert "latest" in problem.message
    assert world.production.live == first


def test_a_person_steers_a_rollout(world: World) -> None:
    world.plant(strategy=LONG_CANARY)
    world.up()
    first = world.ended(world.push(version=1)).release
    with users(world.url):
        second = world.push(version=2)
        world.observing(second)
        world.client.steer("shop", "production", "pause")
        wait_for(lambda: (r := world.rollout_of(second)) and r.status == "paused")
        world.client.steer("shop", "production", "resume")
        wait_for(lambda: (r := world.rollout_of(second)) and r.status == "observing")
        world.client.steer("shop", "production", "abort")
        assert world.ended(second).status == "aborted"
        world.live(first)
        third = world.push(version=3)
        world.observing(third)
        world.client.steer("shop", "production", "promote")
        assert world.ended(third).status == "promoted"


def test_no_request_is_lost_and_no_stream_is_cut_by_deployments(world: World) -> None:
    world.plant(strategy="instant")
    world.up()
    world.ended(world.push(version=0))
    with ThreadPoolExecutor() as threads, users(world.url) as answers:
        stream = threads.submit(whole_stream, f"{world.url}/stream?seconds=6")
        for version in range(1, 6):
            assert world.ended(world.push(version=version)).status == "promoted"
        output = stream.result(timeout=30)
    assert output.endswith("data: [DONE]\n\n")
    assert set(output.split("\n\n")[:-2]) == {"data: version 0"}
    assert not answers.bad
    wait_for(lambda: len(world.processes("app.py")) <= 2, why="old instances are stopped")


def test_an_existing_remote_is_polled(world: World, tmp_path: Path) -> None:
    world.plant(strategy="instant")
    world.up()
    elsewhere = tmp_path / "elsewhere"
    world.git("clone", "--quiet", "--bare", str(_committed(world)), str(elsewhere))
    world.client.register("shop", poll_url=str(elsewhere))
    commit = world.git("rev-parse", "HEAD")
    assert world.ended(commit).status == "promoted"


def _committed(world: World) -> Path:
    (world.repository / "behaviour.json").write_text("{}")
    world.git("add", "--all")
    world.git("commit", "--quiet", "--message", "First")
    return world.repository


def test_a_newer_change_meets_a_running_rollout_by_the_stated_policy(world: World) -> None:
    world.plant(strategy=LONG_CANARY)
    text = (world.repository / "trimtab.yaml").read_text()
    (world.repository / "trimtab.yaml").write_text(f"{text}on_newer_change: cancel\n")
    world.up()
    world.ended(world.push(version=1))
    with users(world.url):
        second = world.push(version=2)
        world.observing(second)
        third = world.push(version=3)
        assert world.ended(second).status == "superseded"
        world.observing(third)


def test_headers_pick_an_arm(world: World) -> None:
    world.plant(strategy=LONG_CANARY)
    world.up()
    world.ended(world.push(version=1))
    second = world.push(version=2)
    world.observing(second)

    def ask(arm: str) -> str:
        return httpx.get(world.url, headers={"x-trimtab-arm": arm}).text

    assert {ask("candidate") for _ in range(20)} == {"version 2"}
    assert {ask("stable") for _ in range(20)} == {"version 1"}
