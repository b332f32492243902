"""Are the releases that run, or that can be returned to, whole?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from trimtab.adapters.artifacts import FileArtifacts
from trimtab.adapters.artifacts.blobs import Blobs, DamagedBlob, file_digest
from trimtab.app.doctor.place import READ_S, Place
from trimtab.core.errors import TrimtabError
from trimtab.core.model.identity import Digest, short
from trimtab.core.model.tree import decode_tree
from trimtab.core.say import count
from trimtab.views.findings import Finding

NAME = "artifacts"


@dataclass(slots=True)
class Looked:
    """How far it came. `left`: files that there was no time for."""

    deadline: float
    files: int = 0
    left: int = 0
    sound: set[Digest] = field(default_factory=set)


def look(place: Place) -> Iterator[Finding]:
    wanted: dict[Digest, str] = {}
    for app in place.board.apps():
        for environment in app.environments:
            for release, role in ((environment.previous, "before it"), (environment.live, "live")):
                if release is not None:
                    wanted[release] = f"{app.name}/{environment.name}, {role}"
    looked, wrong = Looked(time.monotonic() + READ_S), False
    for release, role in sorted(wanted.items(), key=lambda item: not item[1].endswith("live")):
        damage = _damage(place, release, looked)
        if damage:
            wrong = True
            what = f"Release {short(release)} ({role}) is damaged: {damage}."
            why = "Instances that run go on; it cannot be deployed or returned to."
            do = "push its commit again, which stores the files anew, or deploy another release; look at the disk"
            yield Finding(NAME, "error", what, why, do, release)
    if not wrong:
        left = f"; {count(looked.left, 'file')} there was no time for" if looked.left else ""
        files = f"{count(looked.files, 'file')} whole{left}"
        yield Finding(NAME, "ok", f"{count(len(wanted), 'release')} that run or can be returned to: {files}.")


def _damage(place: Place, release: Digest, looked: Looked) -> str:
    """What is wrong with the release; empty when nothing is."""
    folder = place.home / "artifacts"
    blobs = Blobs(folder / "blobs", folder / "tmp")
    try:
        manifest = asyncio.run(FileArtifacts(folder).manifest(release))
        for part in manifest.parts.values():
            for entry in decode_tree(blobs.read(part.digest)):
                if entry.digest in looked.sound:
                    continue
                if time.monotonic() > looked.deadline:
                    looked.left += 1
                    continue
                if file_digest(blobs.path(entry.digest)) != entry.digest:
                    return f"`{entry.path}` has other bytes than it was stored with"
                looked.sound.add(entry.digest)
                looked.files += 1
    except TrimtabError as error:
        return error.problem.message
    except DamagedBlob as damaged:
        return f"{damaged.path} has other bytes than it was stored with, or is gone"
    except FileNotFoundError as error:
        return f"{error.filename} is gone"
    return ""
