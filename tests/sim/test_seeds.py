"""Every seed keeps every promise, and means the same wherever and whenever it is run."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from trimtab.testing.sim.many import explain, run_many
from trimtab.testing.sim.world import simulate

QUICK = 500
MANY = 10_000


@pytest.mark.timeout(600)
def test_five_hundred_seeds_keep_every_promise() -> None:
    _keep_every_promise(0, QUICK)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_ten_thousand_seeds_keep_every_promise() -> None:
    _keep_every_promise(QUICK, MANY)


@pytest.mark.parametrize("seed", [3, 8, 21])
def test_the_same_seed_is_the_same_story_in_another_process(seed: int) -> None:
    """Also where strings have other hashes, and so sets another order."""
    program = f"from trimtab.testing.sim.world import simulate; print(simulate({seed}).digest)"
    environment = {**os.environ, "PYTHONHASHSEED": str(seed + 1)}
    told = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == simulate(seed).digest


def test_other_seeds_are_other_stories() -> None:
    assert simulate(1).digest != simulate(2).digest


def _keep_every_promise(begin: int, count: int) -> None:
    tally = run_many(begin, count)
    assert tally.seeds == count
    assert not tally.failed, "\n\n".join(explain(outcome) for outcome in tally.failed[:3])
