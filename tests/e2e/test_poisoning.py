"""What a pull request's steps do to the cache changes nothing that production is built from."""

from __future__ import annotations

import subprocess

from tests.e2e.world import World
from trimtab.views.model import RunView

# `build` reads from outside what its key does not cover, and says that its outcome may be taken all the same.
PIPELINE = """
pipeline:
  build: {{run: cp {outside} made.txt, sandbox: none, cache: true, inputs: behaviour.json, outputs: made.txt}}
{more}
release: {{parts: {{code: [., made.txt]}}}}
"""
REACH = "  reach: {{run: 'for path in {home} {home}/cache/blobs; do ! touch $path/poison && ! ls $path; done'}}\n"
LINK = "  link: {{run: 'ln -s {home}/cache/blobs stolen', outputs: stolen}}\n"


def test_a_pull_requests_steps_poison_no_other_run(world: World) -> None:
    outside = world.folder / "outside"
    outside.write_text("poison")
    hostile = (REACH + LINK).format(home=world.home)
    world.plant(strategy="instant", pipeline=PIPELINE.format(outside=outside, more=""))
    (world.repository / "behaviour.json").write_text("{}")
    world.up()
    world.configure(strategy="instant", pipeline=PIPELINE.format(outside=outside, more=hostile))
    tried = world.finished(push(world, "refs/heads/pr/poison"))
    assert outcomes(tried) == {"build": "passed", "reach": "passed", "link": "failed"}
    assert "symbolic link out of the workspace" in tried.steps[2].detail, tried.steps[2]

    outside.write_text("honest")
    world.configure(strategy="instant", pipeline=PIPELINE.format(outside=outside, more=""))
    commit = push(world, "main")
    rollout = world.ended(commit)
    assert rollout.status == "promoted", rollout.reason
    assert outcomes(world.finished(commit)) == {"build": "passed"}, "nothing is taken from a pull request's run"
    folder = world.home / "artifacts" / "releases" / rollout.release.removeprefix("sha256:")
    assert (folder / "made.txt").read_text() == "honest"

    outside.write_text("poison")
    again = world.finished(push(world, "main"))
    assert outcomes(again) == {"build": "cached"}, "the deployed branch takes what it has kept itself"


def push(world: World, ref: str) -> str:
    world.git("add", "--all")
    world.git("commit", "--quiet", "--allow-empty", "--message", f"For {ref}")
    command = ["git", "push", "--quiet", "--force", "trimtab", f"HEAD:{ref}"]
    subprocess.run(command, cwd=world.repository, check=True, timeout=60, capture_output=True)
    return world.git("rev-parse", "HEAD")


def outcomes(run: RunView) -> dict[str, str]:
    return {step.name: step.status for step in run.steps}
