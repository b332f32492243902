"""kill -9 of the real controller at every stored transition of a run, with real steps: no run is lost and no finished
step runs again. How soon the next controller goes on is printed."""

from __future__ import annotations

import itertools
import time
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.conftest import tidied
from tests.e2e.test_deaths import Doomed
from tests.e2e.world import wait_for
from trimtab.core.errors import TrimtabError

KINDS = (
    # Each marks its start and its end; some have outputs, some wait for their turn, some are in the sandbox.
    "{{run: '{mark}', needs: [{needs}], sandbox: none}}",
    "{{run: '{mark}; mkdir -p out; echo {name} > out/{name}', needs: [{needs}], sandbox: none, outputs: out/{name}}}",
    "{{run: '{mark}', needs: [{needs}], sandbox: none, concurrency: one}}",
    "{{run: 'echo {name} > made', needs: [{needs}], outputs: made, cache: false}}",
)


def pipeline(steps: int, marks: Path) -> str:
    """`steps` steps in rows of two, each needing one of the row before."""
    lines = []
    for number in range(steps):
        name = f"s{number}"
        mark = f"echo {name} >> {marks}; sleep 0.05; echo {name}. >> {marks}"
        needs = f"s{number - 2}" if number > 1 else ""
        lines.append(f"  {name}: {KINDS[number % len(KINDS)].format(mark=mark, needs=needs, name=name)}\n")
    return "pipeline:\n" + "".join(lines)


def walk_through(steps: int) -> tuple[int, float]:
    """How often the controller died, and the longest time from a start until it had done something new (seconds)."""
    with tidied(Doomed) as world:
        world.of = ("run", "turn")
        marks = world.folder / "marks"
        world.plant(strategy="instant", pipeline=pipeline(steps, marks))
        world.answering()
        world.end_life()
        commit = world.leave_change(version=1)
        deaths, slowest_s = 0, 0.0
        for moment in itertools.cycle(("before", "after")):
            began_s = time.monotonic()
            world.begin(moment)
            died_at = wait_for(lambda: world.ended_at() or over(world, commit), within_s=60.0, why=f"{deaths} deaths")
            if deaths:  # the first life has to find a push that nobody announced
                slowest_s = max(slowest_s, time.monotonic() - began_s)
            if died_at == "over":
                break
            deaths += 1
        world.end_life()
        world.answering()
        run = world.finished(commit)
        assert run.status == "passed", run.reason
        assert len(world.client.runs("shop")) == 1
        marked = marks.read_text().split()
        expected = [f"s{number}" for number in range(steps) if number % len(KINDS) != 3]
        assert sorted(word for word in marked if not word.endswith(".")) == sorted(expected), "each step ran once"
        assert sorted(word.rstrip(".") for word in marked if word.endswith(".")) == sorted(expected)
        assert {step.attempt for step in run.steps} == {1}
        return deaths, slowest_s


def over(world: Doomed, commit: str) -> str | None:
    with suppress(TrimtabError):
        run = world.run(commit)
        return "over" if run is not None and run.status != "running" else None
    return None


@pytest.mark.timeout(300)
def test_a_run_survives_a_death_at_every_write() -> None:
    deaths, slowest_s = walk_through(4)
    print(f"{deaths} deaths, goes on within {slowest_s:.1f} s")
    assert deaths >= 30


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_a_long_run_survives_five_hundred_deaths() -> None:
    deaths, slowest_s = walk_through(110)
    print(f"{deaths} deaths, goes on within {slowest_s:.1f} s")
    assert deaths >= 500
