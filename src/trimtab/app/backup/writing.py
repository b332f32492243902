"""`trimtab backup`: everything of one moment in one file, while everything goes on."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
import time
from pathlib import Path

from trimtab import __version__
from trimtab.app.backup import contents
from trimtab.app.backup.archive import Head, Writer
from trimtab.app.backup.contents import Say
from trimtab.app.backup.database import FILE, snapshot
from trimtab.app.folder import write_private
from trimtab.core.errors import failure
from trimtab.views.backups import BackupView

MARK = "backup.json"
"""Where the folder remembers its last backup."""


def backup(home: Path, file: Path, say: Say = lambda _: None, *, secrets: bool = False) -> BackupView:
    """Write the backup of the installation in `home`; `say` is told how far it is. `secrets`: with those of steps.

    The file appears whole or not at all, readable by its owner only: the token is in it. Raises `TrimtabError`
    (`not-found`, `backup-failed`, and what store and Git raise).
    """
    home, file = home.resolve(), file.absolute()
    try:
        scratch = Path(tempfile.mkdtemp(prefix=f".{file.name}-", dir=file.parent))
    except OSError as error:
        raise _failed(error, file) from None
    try:
        made = _write(home, file, scratch, say, secrets=secrets)
        write_private(home / MARK, json.dumps({"at": made.at, "file": str(file)}))
        return made
    except OSError as error:
        raise _failed(error, file) from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _write(home: Path, file: Path, scratch: Path, say: Say, *, secrets: bool) -> BackupView:
    draft = scratch / "draft"
    with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as target:
        with contents.nothing_collected(home), snapshot(home) as database:
            head = Head(__version__, database.schema, time.time(), str(home))
            writer = Writer(target, scratch, head)
            names = contents.repositories(home)
            contents.add_small(writer, home, secrets=secrets)
            asyncio.run(contents.add_repositories(writer, home, scratch, names[:1]))
            say("reading the database")
            database.copy_to(scratch / FILE)
            writer.add_file(FILE, scratch / FILE)
            (scratch / FILE).unlink()
            say("reading the repositories")
            asyncio.run(contents.add_repositories(writer, home, scratch, names[1:]))
            contents.add_changing(writer, home)
            say("reading the releases")
            wrong = contents.add_artifacts(writer, home, say)
            writer.close()
        target.flush()
        os.fsync(target.fileno())
    draft.replace(file)
    _sync(file.parent)
    releases = len(list((home / contents.MANIFESTS).glob("*.json")))
    size_bytes = file.stat().st_size
    return BackupView(
        str(file), str(home), head.at, head.version, head.schema, size_bytes, writer.members, names, releases, wrong
    )


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _failed(error: OSError, file: Path) -> Exception:
    hint = "see that the folder exists, has space and can be written by this user"
    place = f" ({error.filename})" if error.filename else ""
    return failure("backup-failed", f"the backup cannot be written: {error.strerror}{place}", hint, str(file))
