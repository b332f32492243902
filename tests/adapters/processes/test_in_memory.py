"""What the in-memory counterparts let a test decide, beyond the ports' promises."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.adapters.processes.bench import specification
from trimtab.core.errors import Problem, TrimtabError
from trimtab.ports.processes import ProcessSpec
from trimtab.testing.clock import ManualClock
from trimtab.testing.memory_processes import Ending, MemoryProcesses
from trimtab.testing.memory_runtime import MemoryRuntime
from trimtab.testing.runtime_contract import FIRST, PLACE


async def test_time_moves_from_sleeper_to_sleeper() -> None:
    clock = ManualClock(100.0)
    seen: list[float] = []

    async def tick(every_s: float) -> None:
        while True:
            await clock.sleep(every_s)
            seen.append(clock.now())

    ticking = [asyncio.create_task(tick(2.0)), asyncio.create_task(tick(3.0))]
    await clock.run_for(6.5)
    assert seen == [102.0, 103.0, 104.0, 106.0, 106.0]
    assert clock.now() == 106.5
    clock.advance(10.0)
    assert clock.now() == 116.5
    for task in ticking:
        task.cancel()
    await asyncio.gather(*ticking, return_exceptions=True)


async def test_processes_end_as_their_behaviour_says(tmp_path: Path) -> None:
    clock = ManualClock()
    processes = MemoryProcesses(clock, tmp_path, lambda spec: Ending(5.0, 3, "no luck") if "bad" in spec.name else None)
    for name in ("bad", "good"):
        await processes.start(ProcessSpec(name, ("step",), "/", timeout_s=60.0))
    clock.advance(4.9)
    assert [status.phase for status in await processes.list("")] == ["running", "running"]
    clock.advance(0.1)
    bad, good = await processes.list("")
    assert (bad.phase, bad.exit_code, good.phase) == ("exited", 3, "running")
    assert processes.log_path("bad").read_text() == "no luck\n"
    processes.lose("good")
    lost = await processes.status("good")
    assert lost is not None
    assert lost.phase == "lost"


async def test_instances_become_ready_after_a_while_or_are_refused(tmp_path: Path) -> None:
    clock = ManualClock()
    runtime = MemoryRuntime(clock, ready_after_s=2.0)
    await runtime.ensure(PLACE, FIRST, specification("true"), tmp_path, 1)
    assert [instance.phase for instance in await runtime.instances(PLACE)] == ["starting"]
    clock.advance(2.0)
    assert [instance.phase for instance in await runtime.instances(PLACE)] == ["ready"]
    runtime.refusal = Problem("no-room", "There is no room.")
    with pytest.raises(TrimtabError, match="no room"):
        await runtime.ensure(PLACE, FIRST, specification("true"), tmp_path, 2)
