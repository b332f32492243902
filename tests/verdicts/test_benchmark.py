"""What the benchmark of verdicts is made of: worlds, the bound, tables, figures, the picture."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from benchmarks import _verdict_picture
from benchmarks._verdict_runs import COARSER, EVERY_TICK, ours, rivals, wald_bound_requests
from benchmarks._verdict_tables import OURS, Cells, Summary, dips, figures, tables
from benchmarks._verdict_worlds import NULLS, SEVERITY, WORSE, World, series
from benchmarks.rivals.settings import RIVALS
from benchmarks.verdicts import BEGIN, END, QUICK, jobs, keep, kept, results, write_docs

BOUNDS = {2.0: (1256, 1345, 2671), 3.0: (378, 409, 863), 5.0: (123, 135, 308), 10.0: (36, 41, 103)}


@pytest.mark.parametrize("ratio", BOUNDS)
def test_the_bound(ratio: float) -> None:
    found = [wald_bound_requests(world) for world in WORSE if world.ratio == ratio]
    assert found == pytest.approx(BOUNDS[ratio], abs=0.6)


def test_a_world_as_a_rival_sees_it() -> None:
    chance = np.random.default_rng(1)
    seen = series(World("", 0.1, 2.0, incident=True, minutes=30.0), 200, chance).every(600.0)
    assert seen.candidate.all.mean() == pytest.approx(6000, rel=0.01)
    assert seen.stable.all.mean() == pytest.approx(54_000, rel=0.01)
    assert seen.candidate.error_pct.mean(axis=0) == pytest.approx([2.0, 10.0, 2.0], rel=0.03)
    assert seen.baseline.error_pct.mean(axis=0) == pytest.approx([1.0, 5.0, 1.0], rel=0.03)


def test_users_fail_on_all_of_their_requests() -> None:
    seen = series(World("", 0.5, minutes=60.0, requests_each=50), 200, np.random.default_rng(2)).every(1500.0)
    late = seen.stable.all[:, 1]
    assert late.mean() == pytest.approx(75_000, rel=0.02)
    errors = seen.stable.bad[:, 1]
    assert errors.mean() == pytest.approx(0.01 * late.mean(), rel=0.05)
    assert errors.var() / errors.mean() > 20  # 1 if they were independent


def test_our_rule_and_the_rivals_run_in_a_world() -> None:
    bad, good = World("bad", 0.5, 10.0, minutes=5.0), World("good", 0.5, minutes=5.0)
    assert ours(bad, 50, 1, EVERY_TICK).rolled_back_pct == 100.0
    healthy = ours(good, 200, 1, COARSER, promotes=True)
    assert healthy.rolled_back_pct < 5.0
    assert healthy.promoted_pct > 80.0
    found = rivals(RIVALS, bad, 5, 1)
    assert found.keys() == {rule.name for rule in RIVALS}


def test_without_data_nothing_is_promoted() -> None:
    for world in (World("", 0.0, minutes=2.0), World("", rate=0.0, minutes=2.0)):
        ended = ours(world, 20, 1, EVERY_TICK, promotes=True)
        assert (ended.promoted_pct, ended.rolled_back_pct) == (0.0, 0.0)


@pytest.fixture
def cells() -> Cells:
    """Made up: every cell that the benchmark fills."""
    made = {}
    for rule, world, _ in jobs(QUICK):
        for name in (rule,) if rule else (each.name for each in RIVALS):
            made[name, world] = Summary(1000, 50.0, 100.0, 2.0, 30.0, 4.0, 5.0)
    return made


def test_tables_figures_and_picture(cells: Cells, tmp_path: Path) -> None:
    text = tables(cells)
    assert text.count(f"| {OURS} |") == 3
    assert all(f"| {rule.name} |" in text for rule in RIVALS)
    found = results(cells)
    assert found["promotions_without_data"] == 600
    assert found["promote_min_5_95"] == 4.0
    assert all(math.isfinite(value) for value in found.values() if isinstance(value, float))
    _verdict_picture.draw(cells, tmp_path / "verdicts.svg")
    assert (tmp_path / "verdicts.svg").stat().st_size > 10_000


def test_the_worst_cell_counts(cells: Cells) -> None:
    worse = {**cells, (OURS, NULLS[3].name): replace(cells[OURS, NULLS[3].name], rolled_back_pct=77.0)}
    assert figures(worse)["false_rollback_pct_max"] == 77.0


def test_a_dip_is_more_than_chance(cells: Cells) -> None:
    assert dips(cells, OURS) == []
    slightly, much = (
        {**cells, (OURS, SEVERITY[4].name): replace(cells[OURS, SEVERITY[4].name], rolled_back_pct=pct)}
        for pct in (46.0, 30.0)
    )
    assert dips(slightly, OURS) == []
    assert dips(much, OURS) == [SEVERITY[4].name]


def test_the_page_gets_its_tables_and_cells_are_kept(cells: Cells, tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}old\n{END}after\n")
    write_docs(page, "new")
    write_docs(page, "newer")
    assert page.read_text() == f"before\n{BEGIN}\nnewer\n\n{END}after\n"
    keep(cells, tmp_path / "cells.json")
    assert kept(tmp_path / "cells.json") == cells
