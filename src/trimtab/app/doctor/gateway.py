"""Does the gateway run, answer, and hold what the files say?"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from trimtab.adapters.envoy.admin import Admin
from trimtab.adapters.envoy.bootstrap import ADMIN_SOCKET, CLUSTERS_FILE, LISTENERS_FILE
from trimtab.adapters.envoy.gateway import PROCESS
from trimtab.adapters.envoy.sockets import SocketFolder
from trimtab.app.doctor.place import ANSWER_S, Place
from trimtab.core.errors import TrimtabError
from trimtab.ports.processes import ProcessStatus
from trimtab.procfs import is_paused
from trimtab.views.findings import Finding

NAME = "gateway"
_CONNECTED = "control_plane.connected_state"
_LOOK_AGAIN_S = 0.5


@dataclass(frozen=True, slots=True)
class Gateway:
    """What was seen. `status` None: it was never started. `answers`: on its administration socket. `stale`: the files
    that Envoy does not hold. `is_connected`: whether it gets shares from a controller."""

    controller_runs: bool
    status: ProcessStatus | None = None
    is_paused: bool = False
    supervisor_paused: int | None = None
    answers: bool = False
    is_live: bool = False
    stale: tuple[str, ...] = ()
    is_connected: bool = False
    log: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What Envoy says of itself."""

    is_live: bool
    stale: tuple[str, ...]
    is_connected: bool


def look(place: Place) -> Iterator[Finding]:
    found = place.record(PROCESS)
    status = found.status if found else None
    pid = status.pid if status else None
    answer = asyncio.run(_ask(place.home / "gateway")) if pid is not None else None
    yield from judge(
        Gateway(
            controller_runs=place.is_running,
            status=status,
            is_paused=pid is not None and is_paused(pid),
            supervisor_paused=found.supervisor if found and found.supervisor and is_paused(found.supervisor) else None,
            answers=answer is not None,
            is_live=answer is not None and answer.is_live,
            stale=answer.stale if answer else (),
            is_connected=answer is not None and answer.is_connected,
            log=str(place.home / "processes" / PROCESS / "log"),
        )
    )


def judge(seen: Gateway) -> Iterator[Finding]:
    status = seen.status
    if seen.supervisor_paused is not None:
        what = f"The gateway's supervisor (process {seen.supervisor_paused}) is paused."
        why = "Should Envoy end, nobody would start it again."
        yield Finding(NAME, "warning", what, why, f"let it go on: kill -CONT {seen.supervisor_paused}")
    if status is None or (status.phase == "exited" and status.stopped):
        yield from _never_started(seen)
    elif status.phase == "lost":
        what = "The gateway's supervisor was killed, and Envoy with it: users get no answer."
        yield Finding(NAME, "error", what, "Nobody starts it again by itself.", "restart the controller", seen.log)
    elif status.phase != "running":
        yield _down(status, seen.log)
    elif seen.is_paused:
        what = f"The gateway (Envoy, process {status.pid}) is paused: users get no answer."
        why = "Somebody sent it SIGSTOP, or it is held by a debugger."
        yield Finding(NAME, "error", what, why, f"let it go on: kill -CONT {status.pid}", seen.log)
    elif not seen.answers:
        what = f"The gateway (Envoy, process {status.pid}) runs and does not answer within {ANSWER_S:g} s."
        do = f"see its log; if it stays, `kill -9 {status.pid}`: its supervisor starts it again at once, from its files"
        yield Finding(NAME, "error", what, "", do, seen.log)
    else:
        yield from _answering(seen, status)


def _never_started(seen: Gateway) -> Iterator[Finding]:
    if seen.controller_runs:
        yield Finding(NAME, "error", "The gateway does not run.", "", "restart the controller: it starts it", seen.log)
    else:
        yield Finding(NAME, "note", "The gateway is stopped: users get no answer.", do="`trimtab up` starts it")


def _down(status: ProcessStatus, log: str) -> Finding:
    why = status.problem.message if status.problem else ""
    what = f"The gateway (Envoy) is down: users get no answer. It was started again {status.restarts} times."
    return Finding(NAME, "error", what, why, "see its log", log)


def _answering(seen: Gateway, status: ProcessStatus) -> Iterator[Finding]:
    if not seen.is_live:
        what = "The gateway (Envoy) has not finished its start."
        yield Finding(NAME, "warning", what, "It waits for an answer, or its start takes long.", "look again", seen.log)
    if seen.stale:
        what = f"The gateway (Envoy) does not hold what its files say: {', '.join(seen.stale)}."
        do = "its log says why it refused them; restarting the controller lays the routes again"
        yield Finding(NAME, "warning", what, "It refused them, or has not read them.", do, seen.log)
    if seen.controller_runs and not seen.is_connected:
        what = "The gateway (Envoy) has no connection to the controller."
        why = "A canary gets no share; the stable releases are served."
        yield Finding(NAME, "warning", what, why, "look again; if it stays, restart the controller", seen.log)
    if seen.is_live and not seen.stale:
        restarts = f", started again {status.restarts} times" if status.restarts else ""
        yield Finding(NAME, "ok", f"The gateway (Envoy, process {status.pid}) serves what its files say{restarts}.")


async def _ask(folder: Path) -> Answer | None:
    """None: no answer in time."""
    try:
        sockets = SocketFolder(folder)
    except OSError:
        return None
    admin = Admin(sockets.path(ADMIN_SOCKET))
    try:
        async with asyncio.timeout(ANSWER_S):
            is_live = await admin.is_live()
            stale, is_connected = await _held(admin, folder)
            if stale or not is_connected:
                # A file that has just been written, or a controller that has just come, is no finding.
                await asyncio.sleep(_LOOK_AGAIN_S)
                stale, is_connected = await _held(admin, folder)
            return Answer(is_live, stale, is_connected)
    except (TimeoutError, TrimtabError):
        return None
    finally:
        admin.close()
        sockets.close()


async def _held(admin: Admin, folder: Path) -> tuple[tuple[str, ...], bool]:
    """The files whose content Envoy does not hold, and whether a controller is connected."""
    stats = {LISTENERS_FILE: "listener_manager.lds.version_text", CLUSTERS_FILE: "cluster_manager.cds.version_text"}
    for path in (folder / "xds" / "rds").glob("[!.]*.json"):
        stats[f"xds/rds/{path.name}"] = f"http.{path.stem}.rds.{path.stem}.version_text"
    said = await admin.stats([*stats.values(), _CONNECTED])
    stale = [file for file, stat in stats.items() if _version(folder / file) not in (None, said.get(stat))]
    return tuple(stale), said.get(_CONNECTED) == "1"


def _version(path: Path) -> str | None:
    try:
        return str(json.loads(path.read_bytes())["version_info"])
    except FileNotFoundError:
        return None
