"""Every strategy and every step end to end: the real program, real processes, a real Envoy and real requests.

Each strategy is first aborted at each of its steps, under load, and then let through.
"""

from __future__ import annotations

from collections import Counter

import pytest

from tests.e2e.world import Answers, World, users, wait_for
from trimtab.views.model import RolloutView

SEGMENTS = "segments: {beta: {header: X-Beta, equals: '1'}}\n"
CANARY = """{canary: {bake: 1s, scale_down_delay: 0s, steps: [
      {match: beta, weight: 50%, hold: 500ms, requests: 3},
      {match: everybody, weight: 10%, hold: 500ms, requests: 3, scale: 1},
      {gate: sleep 0.5},
      approve,
      {mirror: {share: 50%, compare: status}, hold: 500ms},
      {experiment: {weight: 10%, variants: {short: {VARIANT: short}}}, hold: 500ms},
      {mirror: false, weight: 50%, hold: 500ms, ramp: 500ms, evidence: true}]}}"""
BLUE_GREEN = "{blue-green: {warm_up: {for: 500ms}, gate: sleep 0.5, approve: true, bake: 1s}}"
ROLLING = "{rolling: {hold: 500ms, requests: 5}}"
SHADOW = "{shadow: {for: 500ms, mirror: {compare: status}, ramp: 1s}}"
AB = "{ab: {match: beta, weight: 50%, for: 500ms, requests: 30}}"

STRATEGIES: dict[str, tuple[str, str]] = {
    "canary": (CANARY, SEGMENTS + "replicas: 2"),
    "blue-green": (BLUE_GREEN, ""),
    "rolling": (ROLLING, "replicas: 3"),
    "shadow": (SHADOW, ""),
    "ab": (AB, SEGMENTS),
}


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.timeout(240)
def test_every_step_is_aborted_and_then_passed_without_a_failed_request(world: World, name: str) -> None:
    strategy, more = STRATEGIES[name]
    world.plant(strategy=strategy, more=more)
    world.up()
    first = world.ended(world.push(version=0)).release
    version, steps = 0, 1
    with users(world.url) as everybody, users(world.url, headers={"X-Beta": "1"}, number=2) as beta:
        for step in range(100):
            if step >= steps:
                break
            version += 1
            commit = world.push(version=version)
            at_step = reached(world, commit, step)
            steps = len(at_step.steps)
            world.client.steer("shop", "production", "abort")
            aborted = world.ended(commit)
            assert (aborted.status, aborted.step) == ("aborted", step)
            world.live(first)
            only(world, "version 0", [everybody, beta])
        version += 1
        commit = world.push(version=version)
        promoted = ended_with_approval(world, commit)
        assert promoted.status == "promoted", promoted.reason
        only(world, f"version {version}", [everybody, beta])
    assert not everybody.bad
    assert not beta.bad
    assert [line.split()[0] for line in world.desired_log()] == ["Promote", *["Promote", "Abort"] * steps, "Promote"]


def reached(world: World, commit: str, step: int) -> RolloutView:
    """The commit's rollout, once it is seen in this step; what asks for a person on the way there gets one."""

    def look() -> RolloutView | None:
        rollout = world.rollout_of(commit)
        assert rollout is None or not rollout.ended, rollout.reason
        approve_if_asked(world, rollout, below=step)
        there = rollout is not None and rollout.status == "observing" and rollout.step == step
        return rollout if there else None

    return wait_for(look, why=f"step {step + 1} is reached")


def approve_if_asked(world: World, rollout: RolloutView | None, below: int = 100) -> None:
    if rollout is not None and rollout.awaiting_approval and (rollout.step or 0) < below:
        world.client.steer("shop", "production", "approve")


def ended_with_approval(world: World, commit: str) -> RolloutView:
    def look() -> RolloutView | None:
        rollout = world.rollout_of(commit)
        approve_if_asked(world, rollout)
        return rollout if rollout is not None and rollout.ended else None

    return wait_for(look, within_s=60.0, why="the rollout ends")


def only(world: World, version: str, watched: list[Answers]) -> None:
    """Nobody gets anything else any more."""
    several_answers(watched)  # whoever asked before traffic was moved may be answered after it
    before = several_answers(watched)
    for answers, known in zip(watched, before, strict=True):
        assert set(answers.versions - known) == {version}


def several_answers(watched: list[Answers]) -> list[Counter[str]]:
    """Wait until each got some; what they had before."""
    before = [answers.versions.copy() for answers in watched]
    enough = [known.total() + 40 for known in before]

    def all_did() -> bool:
        return all(answers.versions.total() >= number for answers, number in zip(watched, enough, strict=True))

    wait_for(all_did, why="users get answers")
    return before
