"""A run that nobody has pushed for: a real controller, which is down when its time comes."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from tests.e2e.world import World, wait_for
from trimtab.views.model import RunView

PIPELINE = """\
pipeline:
  test: test -z "$TRIMTAB_SCHEDULE"
  evals: {run: 'echo "asked by $TRIMTAB_SCHEDULE"', cache: false, if: {schedule: true}}
"""


def scheduled(world: World) -> RunView | None:
    """The run of the schedule, once it has ended."""
    runs = [run for run in world.client.runs("shop") if run.schedule]
    assert len(runs) <= 1
    return next((run for run in runs if run.status != "running"), None)


def test_a_time_that_came_while_the_controller_was_down_is_made_up_for_once(world: World) -> None:
    world.plant(strategy="instant", pipeline=PIPELINE)
    world.up()
    due = datetime.fromtimestamp(time.time() + 15.0, UTC)
    settings = world.repository / "trimtab.yaml"
    rule = f"{{rule: FREQ=DAILY, start: '{due:%Y-%m-%dT%H:%M:%S}', steps: evals}}"
    settings.write_text(f"{settings.read_text()}\nschedules:\n  nightly: {rule}\n")
    pushed = world.push(version=1)
    live = world.ended(pushed).release
    (schedule,) = wait_for(lambda: world.client.app("shop").schedules, why="it is planned")
    assert abs(schedule.next_at - due.timestamp()) < 1.0
    world.kill_controller()
    wait_for(lambda: time.time() > due.timestamp(), why="its time has come and gone")
    world.up()
    run = wait_for(lambda: scheduled(world), why="what was missed is made up for")
    assert (run.schedule, run.status, run.release, run.change.commit) == ("nightly", "passed", None, pushed)
    assert {step.name: step.status for step in run.steps} == {"test": "left_out", "evals": "passed"}
    (log,) = (step.process for step in run.steps if step.name == "evals")
    assert list(world.client.logs(log)) == ["asked by nightly"]
    (schedule,) = world.client.app("shop").schedules
    assert schedule.next_at - due.timestamp() > 86_000.0
    assert schedule.run is not None
    assert schedule.run.number == run.number
    assert world.production.live == live
