"""Does the controller run, and does it answer?"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException

from trimtab import __version__
from trimtab.app.doctor.place import ANSWER_S, Api, Place
from trimtab.core.say import count
from trimtab.procfs import is_paused
from trimtab.views.findings import Finding

NAME = "controller"


@dataclass(frozen=True, slots=True)
class Controller:
    """What was seen. `answer`: ``ok``, ``silent`` (no answer in time), ``refused`` (nobody listens), ``foreign`` (it is
    not Trimtab that answers). `serving`: how many of its processes run."""

    is_running: bool
    pid: int | None = None
    is_paused: bool = False
    url: str = ""
    answer: str = ""
    version: str = ""
    left_behind: bool = False
    """api.json is there although nobody runs: it was killed."""
    serving: int = 0
    others: int = 0
    """How many controllers run beside this one."""


def look(place: Place) -> Iterator[Finding]:
    api = place.api
    paused = [pid for pid in place.controllers if is_paused(pid)]
    pid = next(iter((*paused, *place.controllers)), None)
    answer, version = ask(api) if place.is_running and api is not None else ("", "")
    yield judge(
        Controller(
            is_running=place.is_running,
            pid=pid,
            is_paused=bool(paused),
            url=api.url if api else "",
            answer=answer,
            version=version,
            left_behind=(place.home / "api.json").exists(),
            others=max(0, len(place.controllers) - 1),
            serving=sum(each.status.phase in ("running", "backing_off") for each in place.records),
        )
    )


def judge(seen: Controller) -> Finding:
    if not seen.is_running:
        return _absent(seen)
    who = f"process {seen.pid}" if seen.pid is not None else "a process that cannot be named"
    if seen.is_paused:
        what = f"The controller ({who}) is paused: somebody sent it SIGSTOP, or it is held by a debugger."
        alone = "Nothing is decided, and a canary has lost its share; the stable releases go on serving."
        why = "Another controller takes over what it held." if seen.others else alone
        return Finding(NAME, "error", what, why, f"let it go on: kill -CONT {seen.pid}", seen.url)
    if seen.answer == "silent":
        what = f"The controller ({who}) runs and does not answer within {ANSWER_S:g} s."
        why = "It is overloaded, waits for its disk or hangs; the stable releases go on serving without it."
        do = f"its log says more; if it stays, `kill -9 {seen.pid}` and `trimtab up` lose nothing"
        return Finding(NAME, "error", what, why, do, seen.url)
    if seen.answer in ("refused", "foreign"):
        said = "nobody listens there" if seen.answer == "refused" else "another program answers there"
        what = f"The controller ({who}) runs, and cannot be reached where it says it listens: {said}."
        return Finding(NAME, "error", what, "It may just be starting.", "look again; else restart it", seen.url)
    if seen.answer == "ok" and seen.version != __version__:
        what = f"The controller is of version {seen.version}, this program of version {__version__}."
        return Finding(NAME, "warning", what, "It was not restarted after an upgrade.", "restart it", seen.url)
    beside = f", with {count(seen.others, 'other')} beside it" if seen.others else ""
    return Finding(NAME, "ok", f"The controller ({who}) runs and answers at {seen.url}{beside}.")


def _absent(seen: Controller) -> Finding:
    if seen.left_behind:
        what = "The controller was killed: it left without saying so."
        why = "Nothing is decided until it is back; the stable releases go on serving." if seen.serving else ""
        do = "`trimtab up` goes on where it stopped; look in its log, and for the kernel's out-of-memory killer"
        return Finding(NAME, "error", what, why, do, seen.url)
    if seen.serving:
        what = "No controller runs, and gateway and instances go on without it."
        return Finding(NAME, "warning", what, "Nothing is decided until it is back.", "`trimtab up` goes on")
    return Finding(NAME, "note", "Trimtab is stopped: neither a controller nor anything else runs.", do="`trimtab up`")


def ask(api: Api) -> tuple[str, str]:
    """How `/healthz` is answered (see `Controller.answer`), and by which version."""
    connection = HTTPConnection(*api.address, timeout=ANSWER_S)
    try:
        connection.request("GET", "/healthz")
        said = json.loads(connection.getresponse().read(65536))
        return "ok", str(said["version"])
    except TimeoutError:
        return "silent", ""
    except OSError:
        return "refused", ""
    except (HTTPException, ValueError, KeyError, TypeError):
        return "foreign", ""
    finally:
        connection.close()
