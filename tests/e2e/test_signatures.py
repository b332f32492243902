"""Signed releases with the real program: what was tampered with does not come back, and what is live serves on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.e2e.world import World, users, wait_for
from trimtab.views.model import RolloutView


def trimtab(world: World, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "trimtab.cli.main", "--home", str(world.home), *words]
    return subprocess.run(command, cwd=world.repository, capture_output=True, text=True, timeout=60)


def verified(world: World, release: str) -> tuple[int, dict[str, Any]]:
    said = trimtab(world, "verify", release[7:19], "--json")
    return said.returncode, json.loads(said.stdout)


def failed(world: World) -> RolloutView:
    """The newest rollout, once it has failed."""

    def look() -> RolloutView | None:
        newest = world.client.rollouts("shop", "production", 1)[0]
        return newest if newest.status == "failed" else None

    return wait_for(look, why="the newest rollout fails")


def attestation(world: World, release: str) -> Path:
    (path,) = (world.home / "artifacts" / "attestations" / release[7:]).iterdir()
    return path


def test_a_release_whose_attestation_was_damaged_does_not_come_back(world: World) -> None:
    world.plant(strategy="instant", pipeline="pipeline: {test: test ! -e broken}")
    world.up()
    first = world.ended(world.push(version=1)).release
    second = world.ended(world.push(version=2)).release
    world.live(second)
    code, seen = verified(world, first)
    assert (code, seen["problems"]) == (0, [])
    assert [each["kind"] for each in seen["attestations"]] == ["provenance", "test result"]
    assert [key["role"] for key in json.loads(trimtab(world, "keys", "list", "--json").stdout)] == ["signs"]

    path = attestation(world, first)
    content = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(content.replace(b'"payload":"e', b'"payload":"f', 1))
    code, seen = verified(world, first)
    assert code == 1
    assert seen["problems"][0]["code"] == "attestation-damaged"
    with users(world.url) as answers:
        world.client.rollback("shop", "production", first)
        rollout = failed(world)
        assert f"release {first[7:19]} is refused: run-1, attestation 1" in rollout.reason
        wait_for(lambda: world.desired_log()[-1].startswith("Give up on"), why="Git says so, too")
        assert world.production.live == second
        wait_for(lambda: answers.versions["version 2"] > 50)
        # What the reason says helps: the same content is the same release, and is attested anew.
        world.client.rerun("shop", 1, everything=True, deploy=True)
        world.live(first)
    assert not answers.bad
    assert verified(world, first)[0] == 0

    # A key that was revoked: what is live serves on, and what it has signed does not come back.
    keyid = json.loads(trimtab(world, "keys", "list", "--json").stdout)[0]["keyid"]
    assert trimtab(world, "keys", "revoke", keyid).returncode == 0
    world.client.rollback("shop", "production", second)
    rollout = failed(world)
    assert f"it is signed by key {keyid[:12]}, which was revoked" in rollout.reason
    assert world.production.live == first
    assert world.ended(world.push(version=3)).status == "promoted"
    log = (world.folder / "up.log").read_text()
    assert "was changed, and is removed" in log
    assert "PRIVATE KEY" not in log
