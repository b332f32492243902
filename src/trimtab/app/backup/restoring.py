"""`trimtab restore`: a backup becomes a folder that `trimtab up` can go on with."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from trimtab.adapters.artifacts import FileArtifacts
from trimtab.adapters.artifacts.release_folder import remove
from trimtab.adapters.git import command
from trimtab.adapters.git.layout import repository_path
from trimtab.adapters.git.repository import create
from trimtab.app.backup import contents
from trimtab.app.backup.archive import Head, damaged, files_below, unpack
from trimtab.app.backup.contents import Say
from trimtab.app.backup.database import FILE, check, forget_controllers, move_to
from trimtab.app.folder import keep_database
from trimtab.core.errors import TrimtabError, failure
from trimtab.core.model.identity import release_of
from trimtab.views.backups import BackupView

_MAY_BE_THERE = ("schema.json",)
"""What `trimtab init` puts into a folder before there is an installation."""
_GIT_TIMEOUT_S = 120.0


def restore(file: Path, home: Path, say: Say = lambda _: None, database: str | None = None) -> BackupView:
    """Put a backup back into `home`, which is missing or empty; its database into the one at the URL `database`, which
    is empty, if there is one, else into a file in `home`.

    All of it is unpacked and verified beside `home` first; nothing is touched before that is done. Raises
    `TrimtabError`: `not-empty`, `not-found`, and what `unpack` and the store raise.
    """
    home, file = home.absolute(), file.absolute()
    if not file.is_file():
        raise failure("not-found", "there is no such file", "`trimtab backup FILE` writes one", str(file))
    _require_empty(home)
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{home.name}-", dir=home.parent))
    except OSError as error:
        raise _failed(error, home) from None
    try:
        made = _restore(file, home, beside, say, database)
    except OSError as error:
        raise _failed(error, home) from None
    finally:
        if beside.exists():
            remove(beside)
    return made


def _require_empty(home: Path) -> None:
    there = sorted(path.name for path in home.iterdir() if path.name not in _MAY_BE_THERE) if home.is_dir() else []
    if there or (home.exists() and not home.is_dir()):
        hint = "move it away, or restore into another folder with --home"
        what = ", ".join(there[:5]) or "a file"
        raise failure("not-empty", f"there is something already: {what}", hint, str(home))


def _restore(file: Path, home: Path, beside: Path, say: Say, database: str | None) -> BackupView:
    say("unpacking and verifying")
    head = unpack(file, beside, say)
    if not (beside / FILE).is_file():
        raise damaged(file, "it has no database")
    check(beside / FILE)
    forget_controllers(beside / FILE)
    if database is not None:
        say("filling the database")
        move_to(database, beside / FILE)
        (beside / FILE).unlink()
        keep_database(beside, database)
    say("making the repositories")
    bundles = sorted((beside / "git").glob("*.bundle"))
    asyncio.run(_repositories(beside / "git", bundles))
    say("laying out what is to run")
    arms = contents.move_book(beside, head.home, str(home.parent.resolve() / home.name))
    warnings = asyncio.run(_materialise(beside / "artifacts", {release_of(arm) for arm in arms}))
    members = sum(1 for _ in files_below(beside))
    for name in _MAY_BE_THERE:
        if (home / name).exists():
            (home / name).replace(beside / name)
    # A folder takes the place of an empty one in one step.
    beside.rename(home)
    return _view(file, home, head, members, tuple(path.stem for path in bundles), warnings)


async def _repositories(folder: Path, bundles: Iterable[Path]) -> None:
    """A repository of each bundle. Git verifies every object on the way; the hooks are written by `trimtab up`."""
    for bundle in bundles:
        path = repository_path(folder, bundle.stem)
        await create(folder, bundle.stem, _GIT_TIMEOUT_S)
        if bundle.stat().st_size:
            words = ("fetch", "--quiet", "--no-write-fetch-head", str(bundle), "+refs/*:refs/*")
            await command.run(*words, where=path.name, git_dir=path, timeout_s=_GIT_TIMEOUT_S)
        bundle.unlink()


async def _materialise(folder: Path, releases: Iterable[str]) -> tuple[str, ...]:
    """The folders in which instances will be started; what is damaged, in sentences."""
    artifacts, wrong = FileArtifacts(folder), []
    for release in sorted(releases):
        try:
            await artifacts.materialise(release)
        except TrimtabError as error:
            wrong.append(error.problem.message)
    return tuple(wrong)


def _view(
    file: Path, home: Path, head: Head, members: int, names: tuple[str, ...], warnings: tuple[str, ...]
) -> BackupView:
    releases = len(list((home / contents.MANIFESTS).glob("*.json")))
    size_bytes = os.stat(file).st_size
    return BackupView(
        str(file), str(home), head.at, head.version, head.schema, size_bytes, members, names, releases, warnings
    )


def _failed(error: OSError, home: Path) -> TrimtabError:
    hint = "see that its parent can be written by this user and has space"
    return failure("restore-failed", f"the folder cannot be written: {error.strerror}", hint, str(home))
