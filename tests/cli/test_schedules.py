"""What commands say of schedules and their runs."""

from __future__ import annotations

import pytest

from tests.cli.scenario import APP, SPECIFICATION
from tests.cli.terminal import Terminal
from tests.client.server import Api
from trimtab.core.model import facts as f
from trimtab.views.board import Board


@pytest.fixture
def scheduled(api: Api) -> Api:
    """`nightly` has run once and is due in seven and a half hours."""
    scene = api.scene
    change = f.Change("7" * 40, "main", "ann", "Cache the embeddings", scene.now)
    asked = f.RunRequested(6, change, until="steps", only=("evals",), schedule="nightly")
    scene.add(f"app/{APP}", f.SchedulesPlanned({"nightly": 2.0**31, "weekly": 2.0**31}))
    scene.add(f"run/{APP}/6", asked, "it is time for schedule nightly, at 77777777: Cache the embeddings")
    scene.add(f"run/{APP}/6", f.SpecificationRead(SPECIFICATION, {"lint": "not asked for", "test": "not asked for"}))
    scene.step("evals", 3.0)
    scene.add(f"run/{APP}/6", f.RunFinished(6, "passed", None, 3.0), "all steps passed; nothing was to be released")
    api.tell()
    return api


def test_runs_say_by_what_they_were_begun(scheduled: Api, run: Terminal) -> None:
    (line,) = [line for line in run("runs").out.splitlines() if line.split()[0] == "6"]
    assert "schedule nightly" in line
    assert "ann" not in line
    said = run("runs", "6").out
    assert "by schedule nightly, not deployed" in said
    assert "run 6 of 77777777 by schedule nightly" in run("history").out


def test_status_says_when_the_next_one_begins_and_how_the_last_one_ended(scheduled: Api, run: Terminal) -> None:
    (nightly, weekly) = (line for line in run("status").out.splitlines() if "schedule " in line)
    assert "schedule nightly  next in " in nightly
    assert "last ✔ passed (run 6)" in nightly
    assert "last" not in weekly
    assert run.json("status")["apps"][0]["schedules"][0]["next_at"] == 2.0**31


def test_the_branchs_newest_run_is_not_a_schedules(scheduled: Api, run: Terminal) -> None:
    assert run.json("status")["apps"][0]["run"]["number"] == 5


def test_a_turn_that_was_skipped_is_said_until_the_next_one(scheduled: Api, run: Terminal) -> None:
    place, scene = f"app/{APP}", scheduled.scene
    scene.add(place, f.ScheduleSkipped("nightly", 6), "run 6 of schedule nightly is still on")
    scheduled.tell()
    assert "skipped: run 6 of schedule nightly is still on" in run("status").out
    scene.add(place, f.SchedulesPlanned({"nightly": 2.0**31 + 1, "weekly": 2.0**31}))
    scheduled.tell()
    assert "skipped" not in run("status").out


def test_the_run_of_a_schedule_runs_again_as_what_it_was(scheduled: Api, run: Terminal) -> None:
    assert run("rerun", "6", "--all").code == 0
    asked = scheduled.last().fact
    assert isinstance(asked, f.RerunRequested)
    assert (asked.schedule, asked.until, asked.only) == ("nightly", "steps", ("evals",))


def test_a_snapshot_of_the_board_knows_them(scheduled: Api) -> None:
    board = Board()
    board.apply(scheduled.scene.facts)
    assert Board.of(board.seq, board.parts()).apps() == board.apps()
    assert board.apps()[0].schedules[0].name == "nightly"
