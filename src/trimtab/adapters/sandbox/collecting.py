"""Copying a step's outputs to where they are kept: only files, folders and links, and nothing from elsewhere."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from trimtab.adapters.sandbox.merged import Entry, Folder, Merged, Parts, ThroughLink
from trimtab.adapters.sandbox.private_copy import write_copy
from trimtab.core.errors import TrimtabError, failure
from trimtab.core.say import count
from trimtab.ports.workspaces import MOST_BYTES

_MOST_ENTRIES = 500_000
_DEEPEST = 100
_LONGEST_PATH = 3000


class Outputs:
    """The copy of some paths of a workspace, in a folder that nobody else knows yet."""

    def __init__(self, view: Merged, into: Path, name: str, most_bytes: int = MOST_BYTES) -> None:
        self._view, self._into, self._name, self._most_bytes = view, into, name, most_bytes
        self._entries = 0
        self._bytes = 0
        self._pending: list[tuple[Parts, list[str]]] = []
        """Folders, each with those in it that are still to be copied: it is opened once for all of them."""

    def copy(self, paths: Sequence[str]) -> None:
        """Raises `TrimtabError` (`output-missing`, `output-refused`) and OSError."""
        self._into.mkdir(mode=0o755)
        wanted = {self._clean(path) for path in paths}
        for parts in sorted(wanted):
            lies_in_another = any(parts[:length] in wanted for length in range(len(parts)))
            try:
                self._copy_named(parts, only_look=lies_in_another)
                while self._pending:
                    self._copy_folders(*self._pending.pop())
            except ThroughLink as error:
                hint = "name the path that the link points to"
                raise self._refused("/".join(parts), f"`{error.path}` on its way is a symbolic link", hint) from None
            except PermissionError as error:
                hint = "let the step give its owner permission to read it"
                raise self._refused("/".join(parts), f"it cannot be read ({error.strerror})", hint) from error

    def _copy_named(self, parts: Parts, *, only_look: bool) -> None:
        if not parts:
            with self._view.folder(()) as top:
                self._copy_folder((), top)
            return
        with self._view.folder(parts[:-1]) as folder:
            entry = folder.find(parts[-1]) if folder is not None else None
            if entry is None:
                raise failure(
                    "output-missing",
                    f"`{'/'.join(parts)}` is not there",
                    "make it in the step, or correct the path (it is relative to the step's workspace)",
                    self._name,
                )
            if not only_look:
                (self._into / "/".join(parts[:-1])).mkdir(mode=0o755, parents=True, exist_ok=True)
                if self._copy_entry(parts, entry):
                    self._pending.append((parts[:-1], [entry.name]))

    def _copy_folders(self, parts: Parts, names: Sequence[str]) -> None:
        with self._view.folder(parts) as holder:
            for name in names if holder is not None else ():
                with self._view.inner(holder, parts, name) as folder:
                    self._copy_folder((*parts, name), folder)

    def _copy_folder(self, parts: Parts, folder: Folder | None) -> None:
        entries = folder.entries() if folder is not None else ()
        folders = [entry.name for entry in entries if self._copy_entry((*parts, entry.name), entry)]
        if folders:
            self._pending.append((parts, folders))

    def _copy_entry(self, parts: Parts, entry: Entry) -> bool:
        """Whether it is a folder: what is in it is still to be copied."""
        path, status = "/".join(parts), entry.status
        target = self._into / path
        self._count(parts, path)
        if stat.S_ISDIR(status.st_mode):
            target.mkdir(mode=_plain(status.st_mode) | 0o700, exist_ok=True)
            return True
        if stat.S_ISLNK(status.st_mode):
            words = os.readlink(entry.name, dir_fd=entry.holder)
            if self._view.leads_out(parts[:-1], words):
                hint = "link to a file of the workspace by a relative path, or copy the file"
                raise self._refused(path, f"it is a symbolic link out of the workspace, to `{words}`", hint)
            target.symlink_to(words)
        elif stat.S_ISREG(status.st_mode):
            self._copy_file(path, entry, target)
        else:
            raise self._refused(path, f"it is {_kind(status.st_mode)}", "remove it in the step, or name other paths")
        return False

    def _copy_file(self, path: str, entry: Entry, target: Path) -> None:
        # Were it exchanged for a pipe by now, opening it must not wait for a writer.
        source = os.open(entry.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=entry.holder)
        try:
            status = os.fstat(source)
            if not stat.S_ISREG(status.st_mode):
                raise self._refused(path, f"it is {_kind(status.st_mode)}", "remove it in the step")
            self._bytes += status.st_size
            if self._bytes > self._most_bytes:
                most = f"what is kept is larger than {self._most_bytes / 1000**2:,.0f} MB together"
                raise self._refused(path, most, "keep less, or keep it elsewhere")
            write_copy(source, status, target, _plain(status.st_mode) | 0o600)
        finally:
            os.close(source)

    def _count(self, parts: Parts, path: str) -> None:
        self._entries += 1
        if self._entries > _MOST_ENTRIES:
            most = f"the outputs have more than {count(_MOST_ENTRIES, 'file')}"
            raise self._refused(path, most, "pack them into an archive in the step")
        if len(parts) > _DEEPEST or len(os.fsencode(path)) > _LONGEST_PATH:
            short = path[:60] + ("..." if len(path) > 60 else "")
            raise self._refused(short, "its folders are nested too deep", "keep outputs in fewer folders")

    def _clean(self, path: str) -> Parts:
        if path.startswith("/") or ".." in path.split("/") or "\0" in path or not path:
            raise self._refused(path, "it is no path inside the workspace", "write it relative to it, without `..`")
        return tuple(part for part in path.split("/") if part not in ("", "."))

    def _refused(self, path: str, why: str, hint: str) -> TrimtabError:
        return failure("output-refused", f"`{path}` cannot be kept: {why}", hint, self._name)


def _plain(mode: int) -> int:
    """Who may read, write and run it. What else there is (setuid, setgid, sticky) is not kept."""
    return stat.S_IMODE(mode) & 0o777


def _kind(mode: int) -> str:
    if stat.S_ISSOCK(mode):
        return "a socket"
    return "a named pipe" if stat.S_ISFIFO(mode) else "a device"
