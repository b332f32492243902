"""The words before a step's command that put it into its sandbox."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from trimtab.adapters.sandbox import machine, scoped
from trimtab.adapters.sandbox.means import Means
from trimtab.adapters.sandbox.place import STEP_HOME, STEP_ID, Place, Record

WORKSPACE = "/step"
"""Where every step finds its files. A name that no machine has: nothing that a step may read is covered by it."""
# The kernel counts a user's processes anew in each user namespace, so this limit can only be set inside. Shells know it
# as -u or as -p. Whoever watches processes says it in this variable, which the step does not see.
_BOUND_PROCESSES = """
most=$TRIMTAB_PROCESSES; unset TRIMTAB_PROCESSES
[ -z "$most" ] || ulimit -u "$most" 2> /dev/null || ulimit -p "$most"
exec "$@"
"""


def sandboxed(
    means: Means, machine_: machine.Machine, place: Place, record: Record, users: Sequence[str], devices: Path | None
) -> tuple[str, ...]:
    """Raises `TrimtabError` (`sandbox-read`)."""
    isolation = record.isolation
    return (
        *(_scoped() if isolation.network else ()),
        means.bwrap,
        *_namespaces(means, network=isolation.network),
        # Before what may lie in it.
        *("--perms", "0755", "--dir", "/tmp", "--bind", str(place.tmp), "/tmp"),
        *("--dir", "/run", "--dir", "/var", "--symlink", "../tmp", "/var/tmp"),
        *machine_.mounts(isolation.read),
        *(machine_.drafts(place.folder) if means.overlays else ()),
        *users,
        *(machine.resolver() if isolation.network else ()),
        *machine.proc_and_devices(devices),
        *("--bind", str(place.shm), "/dev/shm", "--remount-ro", "/dev"),
        *_files(place, record),
        *("--remount-ro", "/", "--chdir", WORKSPACE, "--"),
        *("/bin/sh", "-c", _BOUND_PROCESSES, "sh"),
    )


def _namespaces(means: Means, *, network: bool) -> Iterator[str]:
    yield from ("--unshare-all", "--unshare-user", *(("--share-net",) if network else ()))
    yield from ("--disable-userns",) if means.locks_users else ()
    yield from ("--uid", str(STEP_ID), "--gid", str(STEP_ID), "--hostname", "step", "--cap-drop", "ALL")
    yield from ("--new-session", "--die-with-parent", "--setenv", "HOME", STEP_HOME, "--setenv", "TMPDIR", "/tmp")


def _files(place: Place, record: Record) -> Iterator[str]:
    if record.way == "overlay":
        for layer in record.layers:
            yield from ("--overlay-src", layer)
        yield from ("--overlay", str(place.files), str(place.work), WORKSPACE)
    else:
        yield from ("--bind", str(place.files), WORKSPACE)


def _scoped() -> tuple[str, ...]:
    return (sys.executable, "-I", "-S", scoped.__file__) if scoped.can_scope() else ()
