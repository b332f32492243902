"""Can steps be isolated here, and what holds their limits?"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from trimtab.adapters.processes.limits import how_held
from trimtab.adapters.sandbox import SandboxedWorkspaces
from trimtab.adapters.sandbox.scoped import can_scope
from trimtab.app.doctor.place import Place
from trimtab.core.errors import Problem
from trimtab.views.findings import Finding

NAME = "sandbox"
_DELEGATE = "as a systemd service: `Delegate=yes` and `DelegateSubgroup=main`; see docs/guides/sandbox.md"


@dataclass(frozen=True, slots=True)
class Seen:
    """`held`: by ``kernel``, by ``watch`` or, empty, not at all, for each limit. `overlays`: the kernel merges what
    steps begin with; otherwise it is copied."""

    problem: Problem | None
    held: Mapping[str, str]
    overlays: bool = True
    locks_users: bool = True
    scopes_sockets: bool = True


def look(place: Place) -> Iterator[Finding]:
    with tempfile.TemporaryDirectory(prefix="trimtab-doctor-", dir=_disk_of(place.home)) as folder:
        workspaces = SandboxedWorkspaces(Path(folder), (place.home,))
        problem, means = workspaces.problem(), workspaces.means
    if means is None:
        yield from judge(Seen(problem, how_held()))
    else:
        yield from judge(Seen(None, how_held(), means.overlays, means.locks_users, can_scope()))


def judge(seen: Seen) -> Iterator[Finding]:
    if seen.problem is not None:
        what = f"{seen.problem.message[:1].upper()}{seen.problem.message[1:]}."
        why = "Steps fail unless they say `sandbox: none`."
        yield Finding(NAME, "warning", what, why, seen.problem.hint)
    else:
        files = "merged by the kernel" if seen.overlays else "copied for each, since the kernel refuses overlays here"
        yield Finding(NAME, "ok", f"Steps are isolated; their files are {files}. {_by_the_kernel(seen.held)}")
    watched = [limit for limit in ("memory", "processes") if seen.held[limit] != "kernel"]
    if watched:
        what = f"Limits on {' and '.join(watched)} are held by watching, four times a second."
        why = "For a moment a step can have more, before it is ended."
        yield Finding(NAME, "note", what, why, f"let Trimtab make control groups: {_DELEGATE}")
    if not seen.held["cpus"]:
        what, why = "Limits on processors (`limits.cpus`) are not held.", "That takes control groups."
        yield Finding(NAME, "note", what, why, _DELEGATE)
    if seen.problem is None and not seen.scopes_sockets:
        what = "Steps with `network: yes` can reach abstract Unix sockets of this machine."
        yield Finding(NAME, "note", what, "This kernel cannot keep them away.", "Linux 6.12 or newer, with Landlock")
    if seen.problem is None and not seen.locks_users:
        what = "Steps can make user namespaces of their own, inside their sandbox."
        why = "That leads nowhere, but lets them try more of the kernel."
        yield Finding(NAME, "note", what, why, "bubblewrap 0.8 or newer, and a /proc/sys that it may write to")


def _by_the_kernel(held: Mapping[str, str]) -> str:
    words = {"memory": "memory", "processes": "processes", "cpus": "processors"}
    kernel = [word for limit, word in words.items() if held[limit] == "kernel"]
    if not kernel:
        return "The kernel limits nothing for them."
    return f"The kernel limits their {', '.join(kernel[:-1])}{' and ' if kernel[1:] else ''}{kernel[-1]}."


def _disk_of(home: Path) -> Path | None:
    """Where something can be tried on the disk of `home`; not in it if possible, for looking changes nothing there."""
    elsewhere = tempfile.gettempdir()
    if os.stat(elsewhere).st_dev == os.stat(home).st_dev or not os.access(home, os.W_OK):
        return None
    return home
