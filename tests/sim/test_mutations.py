"""Every deliberate bug is found, and in few seeds."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from tests.sim.mutations import MUTATIONS, Mutation, Patch
from trimtab.testing.sim.world import Outcome, simulate

MARGIN = 6
"""Seeds change their meaning whenever a scenario gets another possibility, and a bug its luck with them. One that is
found stops the search, so that the margin costs time only when it is needed."""

QUICK = [mutation for mutation in MUTATIONS if mutation.seeds <= 40]
LONG = [mutation for mutation in MUTATIONS if mutation.seeds > 40]


@pytest.mark.parametrize("mutation", QUICK, ids=lambda mutation: mutation.says)
def test_a_bug_is_found_in_a_few_seeds(mutation: Mutation, monkeypatch: Patch) -> None:
    mutation.make(monkeypatch)
    assert any(outcome.broken for outcome in map(simulate, range(MARGIN * mutation.seeds)))


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("mutation", LONG, ids=lambda mutation: mutation.says)
def test_a_rarer_bug_is_found(mutation: Mutation, monkeypatch: Patch) -> None:
    mutation.make(monkeypatch)
    assert any(outcome.broken for outcome in _on_all_cores(MARGIN * mutation.seeds))


def _on_all_cores(seeds: int) -> Iterator[Outcome]:
    """Forked, so that the processes have the bug, too."""
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("fork")) as pool:
        try:
            yield from pool.map(simulate, range(seeds))
        finally:
            pool.shutdown(cancel_futures=True)
