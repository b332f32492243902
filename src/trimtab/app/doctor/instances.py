"""Do the instances run, and do they answer? Are their supervisors there?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trimtab.adapters.processes.free_port import LOOPBACK
from trimtab.adapters.processes.instance_set import InstanceSet
from trimtab.adapters.processes.probe import probe
from trimtab.app.doctor.place import Place
from trimtab.core.model.traffic import Endpoint
from trimtab.core.say import count
from trimtab.ports.processes import ProcessStatus
from trimtab.procfs import is_paused
from trimtab.views.findings import Finding

NAME = "instances"
_LOOP_RESTARTS = 3
_YOUNG_S = 300.0
_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Seen:
    """One instance that should run. `wrong`: what is wrong with its answer, as in "it got ..."; empty: nothing."""

    name: str
    status: ProcessStatus | None
    address: str
    wrong: str = ""
    is_paused: bool = False
    supervisor_paused: int | None = None


def look(place: Place) -> Iterator[Finding]:
    yield from judge(asyncio.run(_see_all(place)), place.now, place.is_running)


def judge(seen: Sequence[Seen], now: float, controller_runs: bool) -> Iterator[Finding]:
    well = 0
    stopped = 0
    for each in seen:
        if each.status is not None and each.status.phase == "exited" and each.status.stopped and not controller_runs:
            stopped += 1
            continue
        found = _judge(each, now, controller_runs)
        well += found is None
        if found is not None:
            yield found
        if each.supervisor_paused is not None:
            what = f"The supervisor of {each.name} (process {each.supervisor_paused}) is paused."
            do = f"let it go on: kill -CONT {each.supervisor_paused}"
            yield Finding(NAME, "warning", what, "Should the instance end, nobody would start it again.", do)
    if stopped:
        yield Finding(NAME, "note", f"{count(stopped, 'instance')} stopped by `trimtab down`.", do="`trimtab up`")
    elif well or not seen:
        yield Finding(NAME, "ok", f"{well} of {count(len(seen), 'instance')} run and answer.")


def _judge(each: Seen, now: float, controller_runs: bool) -> Finding | None:
    status, log = each.status, _log(each.name)
    if status is None or status.phase in ("lost", "exited"):
        why = status.problem.message if status is not None and status.problem is not None else ""
        lost = status is not None and status.phase == "lost"
        what = f"{each.name} does not run" + (
            ": its supervisor was killed, or the machine was restarted." if lost else "."
        )
        do = f"the controller starts it again; if it does not: {log}" if controller_runs else "`trimtab up` starts it"
        return Finding(NAME, "error", what, "" if lost else why, do, each.address)
    if status.phase == "backing_off":
        what = f"{each.name} ends again and again; it was started again {status.restarts} times."
        return Finding(NAME, "error", what, status.problem.message if status.problem else "", log, each.address)
    if each.is_paused:
        what = f"{each.name} (process {status.pid}) is paused: somebody sent it SIGSTOP, or a debugger holds it."
        return Finding(NAME, "error", what, "", f"let it go on: kill -CONT {status.pid}", each.address)
    if each.wrong:
        what = f"{each.name} runs and does not serve: asked for its health, it gave {each.wrong}."
        return Finding(NAME, "error", what, "", log, each.address)
    if status.restarts >= _LOOP_RESTARTS and now - status.started_at < _YOUNG_S:
        what = (
            f"{each.name} was started again {status.restarts} times, the last time {now - status.started_at:.0f} s ago."
        )
        return Finding(NAME, "warning", what, "It serves for a while and ends.", log, each.address)
    return None


def _log(name: str) -> str:
    """The command that prints it."""
    _, app, environment, instance = name.split("/", 3)
    return f"`trimtab logs --app {app} --env {environment} {instance}`"


async def _see_all(place: Place) -> list[Seen]:
    turns = asyncio.Semaphore(_AT_ONCE)
    wanted = [(each, number) for each in place.wanted for number in range(1, len(each.ports) + 1)]
    return list(await asyncio.gather(*(_see(place, each, number, turns) for each, number in wanted)))


async def _see(place: Place, wanted: InstanceSet, number: int, turns: asyncio.Semaphore) -> Seen:
    record = place.record(wanted.process_name(number))
    endpoint = Endpoint(LOOPBACK, wanted.ports[number - 1])
    pid = record.status.pid if record else None
    supervisor = record.supervisor if record and record.supervisor and is_paused(record.supervisor) else None
    async with turns:
        wrong = await probe(endpoint, wanted.health_path) if pid is not None else ""
    return Seen(
        wanted.process_name(number),
        record.status if record else None,
        f"{endpoint.host}:{endpoint.port}",
        wrong,
        pid is not None and is_paused(pid),
        supervisor,
    )
