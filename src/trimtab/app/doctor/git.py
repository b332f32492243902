"""Are the repositories readable, and do their hooks reach this Trimtab?"""

from __future__ import annotations

import asyncio
import os
import shlex
import time
from collections.abc import Iterator
from pathlib import Path

from trimtab.adapters.git import command
from trimtab.adapters.git.hooks import ENDPOINT
from trimtab.adapters.git.layout import STATE, repository_names, repository_path
from trimtab.app.doctor.place import ANSWER_S, Place
from trimtab.core.errors import TrimtabError
from trimtab.core.say import count
from trimtab.views.findings import Finding

NAME = "git"
_OLD_LOCK_S = 60.0
_HOOKS = {True: ("pre-receive", "post-receive"), False: ("post-receive",)}
"""Of the state repository, and of the others."""
_AGAIN = "restart the controller: it writes the hooks anew"


def look(place: Place) -> Iterator[Finding]:
    folder = place.home / "git"
    names = repository_names(folder)
    found = [*_endpoint(place, folder)] if names else []
    for name in names:
        path = repository_path(folder, name)
        found += [*_hooks(path, name), *_locks(path)]
    found += asyncio.run(_all_readable(folder, names))
    yield from found
    if not found:
        yield Finding(NAME, "ok", f"{count(len(names), 'repository')} readable, with their hooks.")


def _endpoint(place: Place, folder: Path) -> Iterator[Finding]:
    try:
        url = (folder / ENDPOINT).read_text().split()[0]
    except (OSError, IndexError):
        if not place.is_running:
            return  # `trimtab up` writes it
        what = "The Git hooks do not know where Trimtab listens: a push starts its run some seconds later."
        yield Finding(NAME, "warning", what, "", _AGAIN, str(folder / ENDPOINT))
        return
    if place.is_running and place.api is not None and url != place.api.url:
        what = f"The Git hooks tell {url} of a push, and Trimtab listens at {place.api.url}."
        yield Finding(NAME, "error", what, "Runs start some seconds late.", _AGAIN, str(folder / ENDPOINT))


def _hooks(path: Path, name: str) -> Iterator[Finding]:
    for hook in _HOOKS[name == STATE]:
        file = path / "hooks" / hook
        if not file.is_file():
            yield Finding(NAME, "error", f"{path.name} has no {hook} hook.", "A push is not heard.", _AGAIN, str(file))
        elif not os.access(file, os.X_OK):
            what = f"The {hook} hook of {path.name} cannot be executed."
            do = f"chmod +x {file}; or is its file system mounted noexec?"
            yield Finding(NAME, "error", what, "A push is not heard.", do, str(file))
        elif (program := _program(file)) is not None and not program.exists():
            what = f"The {hook} hook of {path.name} runs {program}, which is not there any more."
            yield Finding(NAME, "error", what, "Python or Trimtab was moved.", _AGAIN, str(file))


def _program(hook: Path) -> Path | None:
    line = next((line for line in hook.read_text(errors="replace").splitlines() if line.startswith("exec ")), None)
    return Path(shlex.split(line)[1]) if line else None


def _locks(path: Path) -> Iterator[Finding]:
    for lock in (*path.glob("*.lock"), *path.glob("refs/heads/**/*.lock")):
        if time.time() - lock.stat().st_mtime > _OLD_LOCK_S:
            what = f"{path.name} is locked: a Git command that died left {lock.name}."
            yield Finding(NAME, "error", what, "Nothing can be pushed.", f"rm {lock}", str(lock))


async def _all_readable(folder: Path, names: tuple[str, ...]) -> list[Finding]:
    every = await asyncio.gather(*(_readable(repository_path(folder, name)) for name in names))
    return [finding for finding in every if finding is not None]


async def _readable(path: Path) -> Finding | None:
    """The newest commit of each branch with its whole tree, which is what Trimtab reads."""
    words = ("rev-list", "--objects", "--no-walk", "--all", "--quiet")
    try:
        async with asyncio.timeout(ANSWER_S):
            done = await command.run(*words, where=path.name, git_dir=path, ok=None)
    except (TimeoutError, TrimtabError) as error:
        said = error.problem.message if isinstance(error, TrimtabError) else f"no answer within {ANSWER_S:g} s"
        return Finding(NAME, "warning", f"{path.name} could not be looked at: {said}.", where=str(path))
    if done.code == 0:
        return None
    what = f"{path.name} is damaged: {done.complaint}."
    do = "`git fsck` in it tells more; push again from a clone, or put a backup in its place"
    return Finding(NAME, "error", what, "", do, str(path))
