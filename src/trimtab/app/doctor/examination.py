"""All checks side by side, each for a bounded time; one that breaks is a finding itself."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

from trimtab.app.doctor import (
    artifacts,
    backup,
    clock,
    controller,
    database,
    disk,
    engine,
    environments,
    files,
    gateway,
    git,
    instances,
    ports,
    programs,
    sandbox,
)
from trimtab.app.doctor.place import PATIENCE_S, Place
from trimtab.core.errors import Problem, TrimtabError
from trimtab.views.findings import CHECKS, SEVERITIES, Finding

Check = Callable[[Place], Iterable[Finding]]

LOOK: Mapping[str, Check] = {
    "controller": controller.look,
    "gateway": gateway.look,
    "ports": ports.look,
    "instances": instances.look,
    "environments": environments.look,
    "engine": engine.look,
    "database": database.look,
    "git": git.look,
    "artifacts": artifacts.look,
    "disk": disk.look,
    "files": files.look,
    "clock": clock.look,
    "programs": programs.look,
    "sandbox": sandbox.look,
    "backup": backup.look,
}


def examine(home: Path, names: Collection[str] = CHECKS, looks: Mapping[str, Check] = LOOK) -> tuple[Finding, ...]:
    """The findings of the named checks, the worst first. Takes PATIENCE_S and a little more at most."""
    place = Place(home.absolute(), time.time())
    found: dict[str, tuple[Finding, ...]] = {}
    # Threads that the interpreter does not wait for: a disk that does not answer must not keep us here.
    threads = {
        name: threading.Thread(target=_one, args=(name, looks[name], place, found), daemon=True) for name in names
    }
    for thread in threads.values():
        thread.start()
    deadline = time.monotonic() + PATIENCE_S
    for name, thread in threads.items():
        thread.join(max(0.0, deadline - time.monotonic()))
        if name not in found:
            found[name] = (_unfinished(name),)
    order = {name: place for place, name in enumerate(CHECKS)}
    every = [finding for name in sorted(threads, key=lambda name: order[name]) for finding in found[name]]
    return tuple(sorted(every, key=lambda finding: SEVERITIES.index(finding.severity)))


def _one(name: str, look: Check, place: Place, found: dict[str, tuple[Finding, ...]]) -> None:
    try:
        seen = tuple(look(place))
    except TrimtabError as error:
        seen = tuple(_problem(name, problem) for problem in error.problems)
    except PermissionError as error:
        what = f"This check may not look: {error.filename} is not for this user."
        seen = (Finding(name, "warning", what, do="run `trimtab doctor` as the user that Trimtab runs as"),)
    except Exception as error:
        what = f"This check could not be made: {type(error).__name__}: {error}"
        seen = (
            Finding(name, "warning", what, do="the other findings may say why; otherwise it is a defect of Trimtab"),
        )
    found[name] = seen


def _problem(name: str, problem: Problem) -> Finding:
    """A check that needs the database cannot tell without it; what is wrong with it, its own check says."""
    if problem.code.startswith("store-") and name != "database":
        what = f"This cannot be told: {problem.message}."
        return Finding(name, "note", what, do="`trimtab doctor database` tells more")
    message = problem.message[:1].upper() + problem.message[1:].rstrip(".")
    return Finding(name, "error", f"{message}.", do=problem.hint, where=problem.where)


def _unfinished(name: str) -> Finding:
    what = f"This check was not finished within {PATIENCE_S:g} s."
    why = "A disk or a program does not answer, or the machine is overloaded."
    return Finding(name, "warning", what, why, f"`trimtab doctor {name}` looks again")
