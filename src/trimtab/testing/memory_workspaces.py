"""The port `Workspaces` for tests: plain copies of the layers, and nothing is isolated."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

from trimtab.core.errors import Problem, TrimtabError, failure
from trimtab.ports.workspaces import MOST_BYTES, Isolation, Opened


class MemoryWorkspaces:
    """Folders below `home`. Commands run in them as they are; `refusal`: why the machine is said to isolate none."""

    def __init__(self, home: Path, refusal: Problem | None = None) -> None:
        self.refusal = refusal
        self.isolations: dict[str, Isolation] = {}
        """How each workspace that is open was asked for."""
        self.opened: list[str] = []
        """Every one that ever was."""
        self._home = home

    def problem(self) -> Problem | None:
        return self.refusal

    async def open(self, name: str, layers: Sequence[Path], isolation: Isolation) -> Opened:
        folder = self._folder(name)
        if isolation.sandbox and self.refusal is not None:
            raise TrimtabError(self.refusal)
        if not folder.exists():
            draft = folder.with_name(f".{folder.name}")
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            for layer in layers:
                if not layer.is_dir():
                    raise failure("workspace-io", f"the layer {layer} is not there")
                _lay(layer, draft)
            draft.rename(folder)
        self.isolations[name] = isolation
        self.opened.append(name)
        return Opened((), str(folder), str(folder))

    async def collect(self, name: str, paths: Sequence[str], into: Path, most_bytes: int = MOST_BYTES) -> None:
        root = self._folder(name)
        if not root.is_dir():
            raise failure("workspace-io", "the workspace is not open", "", name)
        draft = into.with_name(f".{into.name}.part")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        try:
            for path in sorted(paths):
                _keep(root, path, draft)
            if sum(file.lstat().st_size for file in draft.rglob("*") if file.is_file()) > most_bytes:
                raise _refused(paths[0])
            shutil.rmtree(into, ignore_errors=True)
            draft.rename(into)
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    async def close(self, name: str) -> None:
        self.isolations.pop(name, None)
        folder = self._folder(name)
        for inner, _, _ in os.walk(folder):
            for each in os.scandir(inner):
                if each.is_dir(follow_symlinks=False):
                    os.chmod(each.path, 0o700)
        shutil.rmtree(folder, ignore_errors=True)

    def _folder(self, name: str) -> Path:
        if not name or name.startswith("/") or " " in name or ".." in name:
            raise failure("workspace-name", f"{name!r} cannot name a workspace.")
        return self._home / name.replace("/", "+")


def _lay(layer: Path, into: Path) -> None:
    for each in sorted(layer.iterdir()):
        target = into / each.name
        is_folder = each.is_dir() and not each.is_symlink()
        if target.is_symlink() or (target.exists() and not (is_folder and target.is_dir())):
            shutil.rmtree(target) if target.is_dir() and not target.is_symlink() else target.unlink()
        if is_folder:
            target.mkdir(exist_ok=True)
            _lay(each, target)
        else:
            shutil.copy2(each, target, follow_symlinks=False)


def _keep(root: Path, path: str, into: Path) -> None:
    parts = [part for part in path.split("/") if part not in ("", ".")]
    if path.startswith("/") or ".." in parts or not path:
        raise _refused(path)
    found = root.joinpath(*parts)
    if os.path.realpath(found.parent) != os.path.join(os.path.realpath(root), *parts[:-1]) and parts:
        raise _refused(path)
    if not os.path.lexists(found):
        raise failure("output-missing", f"`{path}` is not there")
    _keep_one(root, found, into.joinpath(*parts))


def _keep_one(root: Path, found: Path, target: Path) -> None:
    mode = found.lstat().st_mode
    target.parent.mkdir(parents=True, exist_ok=True)
    if stat.S_ISDIR(mode):
        target.mkdir(exist_ok=True)
        for each in found.iterdir():
            _keep_one(root, each, target / each.name)
    elif stat.S_ISLNK(mode):
        words, inside = os.readlink(found), os.path.realpath(root)
        if words.startswith("/") or not f"{os.path.realpath(found)}/".startswith(f"{inside}/"):
            raise _refused(str(found))
        target.symlink_to(words)
    elif stat.S_ISREG(mode):
        shutil.copy2(found, target)
        target.chmod(stat.S_IMODE(mode) & 0o777)
    else:
        raise _refused(str(found))


def _refused(path: str) -> TrimtabError:
    return failure("output-refused", f"`{path}` cannot be kept")
