"""A controller that dies at any of its writes, just before it or just after, loses nothing and does nothing twice:
whatever the strategy, and whether the second release is good or bad."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.engine.world import PRODUCTION, World
from trimtab.core.model.facts import ApproveRequested
from trimtab.core.model.identity import rollout_object

CONFIGURATION = """
app: shop
pipeline: {{test: pytest}}
release: {release}
service: {{command: serve}}
environments:
  production:
    strategy: {strategy}
    analysis: {{latency: false, errors: {{acceptable: 5%}}}}
    {more}
"""
SEGMENTS = "segments: {beta: {header: X-Beta, equals: '1'}}"


@dataclass(frozen=True)
class Case:
    """A strategy. `highest_pct`: what a candidate may ever get. `harmless`: nothing looks at it before it has all.
    `hot`: the second release needs no other instance than the first."""

    strategy: str
    more: str = ""
    highest_pct: float = 100.0
    harmless: bool = False
    hot: bool = False

    @property
    def configuration(self) -> str:
        release = (
            "{parts: {code: [trimtab.yaml], words: [version.txt]}, hot: [words]}" if self.hot else "{parts: ['.']}"
        )
        return CONFIGURATION.format(release=release, strategy=self.strategy, more=self.more)


CASES = {
    "canary": Case(
        "{canary: {steps: [{weight: 20%, hold: 1s, requests: 10}, {weight: 50%, hold: 1s, requests: 20}]}}",
        highest_pct=50.0,
    ),
    "every step": Case(
        """{canary: {bake: 1s, scale_down_delay: 0s, steps: [
            {weight: 20%, hold: 1s, requests: 5, scale: 1},
            {gate: ./may-i},
            approve,
            {mirror: 50%, hold: 500ms},
            {experiment: {weight: 10%, variants: {short: {VARIANT: short}}}, hold: 500ms},
            {mirror: false, weight: 50%, hold: 500ms, ramp: 500ms, evidence: true}]}}""",
        "replicas: 2",
    ),
    "blue-green": Case(
        "{blue-green: {warm_up: {for: 500ms}, gate: ./may-i, approve: true, bake: 1s, scale_down_delay: 0s}}"
    ),
    "rolling": Case("{rolling: {hold: 500ms, requests: 5, scale_down_delay: 0s}}", "replicas: 3"),
    "shadow": Case("{shadow: {for: 500ms, ramp: 1s, scale_down_delay: 0s}}"),
    "ab": Case("{ab: {match: beta, weight: 50%, for: 500ms, requests: 30, scale_down_delay: 0s}}", SEGMENTS),
    "instant": Case("instant", harmless=True),
    "hot": Case(
        "{canary: {scale_down_delay: 0s, steps: [{weight: 20%, hold: 1s, requests: 10, scale: 1}, {weight: 50%}]}}",
        "replicas: 2",
        highest_pct=50.0,
        hot=True,
    ),
    "hot, instant": Case("instant", harmless=True, hot=True),
}


class Delivery:
    """A first release, and a second one by the strategy; the controller dies once on the way."""

    def __init__(self, folder: Path, case: Case, *, bad: bool) -> None:
        self.world, self.case, self.bad = World(folder), case, bad
        self.writes_of_first = 0
        self._approved: set[int] = set()

    async def go(self, crash_at: int | None = None, *, after: bool = False) -> None:
        world = self.world
        configuration = self.case.configuration
        world.register()
        world.start(crash_at, after=after)
        world.push("first", configuration)
        await world.until(lambda: world.ended(1))
        self.writes_of_first = world.crashing.writes if world.crashing else 0
        world.errors["second"] = 0.5 if self.bad else 0.0
        world.push("second", configuration)
        await world.until(self._ended)
        await world.until(lambda: len(instances(world)) == 1)

    def _ended(self) -> bool:
        self._approve_if_asked()
        return self.world.ended(2)

    def _approve_if_asked(self) -> None:
        rollout = self.world.board.rollouts(PRODUCTION)[0]
        if rollout.awaiting_approval and rollout.step is not None and rollout.step not in self._approved:
            self._approved.add(rollout.step)
            self.world.append(ApproveRequested("ann"), rollout_object(PRODUCTION, rollout.number))

    def examine(self) -> None:
        """The same end as without a crash, and nothing that should not have been."""
        world = self.world
        first, second = reversed(world.board.rollouts(PRODUCTION))
        fails = self.bad and not self.case.harmless
        assert first.status == "promoted"
        assert second.status == ("rolled_back" if fails else "promoted"), second.reason
        place = world.board.environment(PRODUCTION)
        assert place is not None
        assert place.live == (first.release if fails else second.release)
        steps = [name for name in world.processes.started if name.startswith("step/")]
        assert steps == ["step/shop/1/test/1", "step/shop/2/test/1"]
        assert len(set(world.processes.started)) == len(world.processes.started)
        assert world.commits() == (["Promote", "Promote", "Roll"] if fails else ["Promote", "Promote"])
        assert world.highest_share_pct <= self.case.highest_pct
        assert instances(world) == {place.live}
        if self.case.hot:
            assert {instance.pid for _, instance in world.runtime.everywhere()} <= {1001, 1002}, "no other was started"
        kinds = [recorded.kind for recorded in world.facts()]
        assert kinds.count("RunFinished") == 4  # two runs, each told to its application too
        assert kinds.count("RolloutEnded") == 4


def instances(world: World) -> set[str]:
    """The releases that have instances."""
    return {instance.release for _, instance in world.runtime.everywhere() if instance.phase != "stopped"}


async def writes_of(folder: Path, case: Case, *, bad: bool) -> range:
    """The numbers of the writes to die at. The first release's come about alike whatever the strategy is."""
    whole = Delivery(folder, case, bad=bad)
    await whole.go()
    whole.examine()
    assert whole.world.crashing is not None
    writes = whole.world.crashing.writes
    await whole.world.stop()
    first = 1 if case is CASES["canary"] else whole.writes_of_first + 1
    return range(first, writes + 1)


@pytest.mark.parametrize(
    ("name", "bad"), [(name, bad) for name in CASES for bad in (False, True) if not (bad and CASES[name].harmless)]
)
async def test_a_crash_at_every_write_changes_nothing_in_the_end(tmp_path: Path, name: str, bad: bool) -> None:
    case = CASES[name]
    writes = await writes_of(tmp_path / "whole", case, bad=bad)
    print(f"{name}, {'bad' if bad else 'good'}: {2 * len(writes)} deaths")
    for crash_at in writes:
        for after in (False, True):
            delivery = Delivery(tmp_path / f"{crash_at}-{after}", case, bad=bad)
            try:
                await delivery.go(crash_at, after=after)
                delivery.examine()
            except AssertionError as error:
                raise AssertionError(
                    f"crash {'after' if after else 'before'} write {crash_at} of {writes[-1]}"
                ) from error
            finally:
                await delivery.world.stop()
