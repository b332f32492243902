"""What is in a backup, and in which order it is read while everything runs.

The moment of the backup is the one of the database's snapshot; everything else is read after it. So whatever the
database names is there already: files of a release are stored before the release is recorded, commits before they are
named. What is there and not yet recorded is what a crash between doing and recording leaves, too, and every start puts
that in order. (The other way round, the database would say that a commit was made that no repository has.) What changes
fast is read first, what never changes last. No release is collected meanwhile: the lock that `collect` needs is held.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from trimtab.adapters.git import command
from trimtab.adapters.git.layout import STATE, repository_names, repository_path
from trimtab.adapters.processes import record
from trimtab.adapters.processes.status import LIVE_PHASES
from trimtab.adapters.secrets.files import is_of_steps
from trimtab.app.backup.archive import TELL_EVERY_BYTES, Writer, files_below
from trimtab.app.folder import KEYS, SECRETS
from trimtab.core.errors import failure

Say = Callable[[str], None]

TOKEN = "token"
BOOK = "instances/instances"
"""Which instances run."""
STATES = "instances/state"
"""What instances write."""
GATEWAY = "gateway/xds"
PROCESSES, WORKSPACES, BLOBS, MANIFESTS = "processes", "workspaces", "artifacts/blobs", "artifacts/manifests"
ATTESTATIONS = "artifacts/attestations"
_RECORDED = ("step+", "gate+")
"""Processes that a run or a rollout waits for. Instances and gateway are started anew without a record."""
_BUNDLE_TIMEOUT_S = 120.0


@contextmanager
def nothing_collected(home: Path) -> Iterator[None]:
    """Meanwhile no release and no file of one is removed."""
    folder = home / "artifacts"
    if not folder.is_dir():
        yield
        return
    handle = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH)
        yield
    finally:
        os.close(handle)


def add_small(writer: Writer, home: Path, *, secrets: bool) -> None:
    """The token and what is shown to forges, whose signatures count, which instances run, what the gateway serves, and
    how steps and gates ended. `secrets`: those of steps and the key that signs releases, too."""
    if (home / TOKEN).is_file():
        writer.add_bytes(TOKEN, (home / TOKEN).read_bytes())
    for path in files_below(home / SECRETS):
        if not path.name.startswith(".") and (secrets or not is_of_steps(path.name)):
            writer.add_bytes(str(path.relative_to(home)), path.read_bytes())
    for path in files_below(home / KEYS):
        if not path.name.startswith(".") and (secrets or path.suffix == ".pub"):
            writer.add_file(str(path.relative_to(home)), path)
    for folder in (BOOK, GATEWAY):
        for path in files_below(home / folder):
            if path.suffix == ".json" and not path.name.startswith("."):
                writer.add_bytes(str(path.relative_to(home)), path.read_bytes())
    for process in sorted((home / PROCESSES).glob("*")):
        if process.name.startswith(_RECORDED):
            _add_record(writer, home, process)


def _add_record(writer: Writer, home: Path, folder: Path) -> None:
    """A step or a gate that runs is lost where the backup is put back, as it is when the machine is restarted.

    Its process ids are left out: nobody may ever signal the processes of the installation that was copied."""
    state = dict(record.read_fields(str(folder / record.STATE)) or [])
    spec = record.read_fields(str(folder / record.SPEC))
    if not state or spec is None:
        return
    if state["phase"] in LIVE_PHASES:
        state |= {"phase": "lost", "ended_at": state.get("started_at", "0")}
    kept = [(name, value) for name, value in state.items() if name not in ("supervisor", "pid", "boot")]
    place = folder.relative_to(home)
    writer.add_bytes(str(place / record.SPEC), record.encode(spec))
    writer.add_bytes(str(place / record.STATE), record.encode(kept))


async def add_repositories(writer: Writer, home: Path, scratch: Path, names: tuple[str, ...]) -> None:
    """A bundle of each repository: Git reads a consistent one whatever is pushed meanwhile. An empty one is a name."""
    for name in names:
        path = repository_path(home / "git", name)
        refs = await command.run("for-each-ref", "--count=1", where=path.name, git_dir=path)
        if not refs.text:
            writer.add_bytes(f"git/{name}.bundle", b"")
            continue
        bundle = scratch / f"{name}.bundle"
        words = ("bundle", "create", "--quiet", str(bundle), "--all")
        await command.run(*words, where=path.name, git_dir=path, timeout_s=_BUNDLE_TIMEOUT_S)
        writer.add_file(f"git/{name}.bundle", bundle)
        bundle.unlink()


def repositories(home: Path) -> tuple[str, ...]:
    """The names of all repositories, the one that says what should run first: it changes with every promotion."""
    names = repository_names(home / "git")
    return tuple(sorted(names, key=lambda name: (name != STATE, name)))


def add_changing(writer: Writer, home: Path) -> None:
    """What steps and instances write, as it is at the moment; not what they call temporary."""
    for folder in (WORKSPACES, STATES):
        for path in files_below(home / folder):
            place = path.relative_to(home)
            if folder == STATES and place.parts[4:5] == ("tmp",):
                continue
            try:
                if path.is_symlink():
                    writer.add_link(str(place), os.readlink(path))
                else:
                    writer.add_changing(str(place), path)
            except FileNotFoundError:
                continue  # it was removed meanwhile, and is not part of this moment


def add_artifacts(writer: Writer, home: Path, say: Say) -> tuple[str, ...]:
    """All releases with what is attested of them; the files among them that are damaged. Manifests are listed first:
    what they name is there then."""
    manifests = sorted(path for path in (home / MANIFESTS).glob("*.json"))
    for path in sorted((home / ATTESTATIONS).glob("*/*.jsonl")):
        writer.add_file(str(path.relative_to(home)), path)
    blobs = sorted((home / BLOBS).glob("??/*"))
    total_bytes, seen_bytes, told_bytes, wrong = sum(path.stat().st_size for path in blobs), 0, 0, []
    for path in (*manifests, *blobs):
        found = writer.add_file(str(path.relative_to(home)), path)
        expected = path.stem if path.parent.name == "manifests" else path.parent.name + path.name
        if found != expected:
            wrong.append(f"{path.relative_to(home)} was damaged before it was copied")
        seen_bytes += path.stat().st_size
        if seen_bytes - told_bytes > TELL_EVERY_BYTES:
            told_bytes = seen_bytes
            say(f"read {seen_bytes / 1e6:.0f} of {total_bytes / 1e6:.0f} MB")
    return tuple(wrong)


def move_book(folder: Path, before: str, after: str) -> tuple[str, ...]:
    """Rewrite the paths in the book of instances that lies in `folder`, from one installation's folder to another's;
    the arms whose instances are to run. Raises `TrimtabError` (`instances-record-corrupt`)."""
    arms = []
    for path in sorted((folder / BOOK).glob("*/*/*.json")):
        try:
            fields = json.loads(path.read_bytes())
            uses = fields.get("uses", [])
            for each in (fields, *uses):
                each["root"] = _moved(each["root"], before, after)
                each["env"] = {name: _moved(value, before, after) for name, value in each["env"].items()}
            if fields["stopped_at"] is None:
                arms += [str(each["arm"]) for each in uses or [fields]]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            message = f"it cannot be read which instances ran: {error}"
            raise failure("instances-record-corrupt", message, "use another backup", path.name) from None
        record.write(str(path), json.dumps(fields, indent=1).encode())
    return tuple(arms)


def _moved(path: str, before: str, after: str) -> str:
    if path.startswith("{"):
        return path.replace(f'"{before}/', f'"{after}/')  # JSON: the files of prompts and models
    return after + path[len(before) :] if path == before or path.startswith(f"{before}/") else path
