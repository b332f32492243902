"""What a sandboxed step sees of the machine: its programs and libraries, read-only, and nothing that is secret."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from trimtab.adapters.sandbox.means import home_of_user
from trimtab.core.errors import failure

_SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt", "/nix")
_ETC_DEPTH = 8
_OPT_DEPTH = 3
_MOST_LOOKED_AT = 50_000
_NEVER = ("/proc", "/dev", "/sys")
_SECRET_PROC = ("kcore", "keys", "kmsg", "kpagecgroup", "kpagecount", "kpageflags", "sysrq-trigger", "timer_list")
_RESOLVER = "/etc/resolv.conf"
_OTHERS_READ = stat.S_IROTH
_OTHERS_ENTER = stat.S_IROTH | stat.S_IXOTH


class Machine:
    """The same for all steps of this process, but for what each may read besides. `hidden`: never seen."""

    def __init__(self, hidden: Sequence[Path]) -> None:
        self._hidden = tuple(str(path.absolute()) for path in hidden)
        self._shown = tuple(dict.fromkeys((*_existing(_SYSTEM), *_python(), *self._tools())))
        self._secret = tuple(_secrets("/etc", _ETC_DEPTH)) + tuple(
            path for top in ("/opt", "/usr/local") for path in _secrets(top, _OPT_DEPTH)
        )

    def mounts(self, read: Sequence[str]) -> Iterator[str]:
        """Arguments for bubblewrap. Raises `TrimtabError` (`sandbox-read`) for what cannot be shown."""
        shown = (*self._shown, *(self._checked(path) for path in read))
        done: list[str] = []
        # Shorter ones first, so that none covers one that lies in it.
        for path in sorted(dict.fromkeys(shown), key=lambda path: path.count("/")):
            if any(_is_in(path, outer) for outer in done):
                continue
            if os.path.islink(path):
                yield from ("--symlink", os.readlink(path), path)
            else:
                yield from ("--ro-bind", path, path)
                done.append(path)
        for path in (*self._hidden, *self._secret):
            if any(_is_in(path, outer) for outer in done) and os.path.lexists(path):
                yield from _cover(path)

    def drafts(self, folder: Path) -> Iterator[str]:
        """Arguments that let a step write to shims, for itself alone and below `folder`: pyenv makes them anew whenever
        pip has installed something, and counts that as failed when it cannot."""
        for shims, written, work in self._drafts(folder):
            yield from ("--overlay-src", shims, "--overlay", str(written), str(work), shims)

    def make_drafts(self, folder: Path) -> None:
        for _, *made in self._drafts(folder):
            for path in made:
                path.mkdir(mode=0o755)

    def _drafts(self, folder: Path) -> Iterator[tuple[str, Path, Path]]:
        for number, manager in enumerate(self._shown):
            shims = f"{manager}/shims"
            if _manager_of(shims) == manager and os.path.isdir(shims):
                yield shims, folder / f"shims-{number}", folder / f"shims-{number}-work"

    def _checked(self, path: str) -> str:
        if not path.startswith("/") or not os.path.exists(path):
            why, hint = "it is not there" if path.startswith("/") else "it is no absolute path", "correct `read`"
        elif any(_is_in(path, hidden) or _is_in(os.path.realpath(path), hidden) for hidden in self._hidden):
            why, hint = "it is Trimtab's own", "copy what the step needs to another place"
        elif os.path.normpath(path) == "/" or any(_is_in(path, never) for never in _NEVER):
            why, hint = "a step has one of its own", "name the folders that the step needs"
        else:
            return os.path.normpath(path)
        raise failure("sandbox-read", f"`{path}` cannot be shown to a step: {why}", hint)

    def _tools(self) -> Iterator[str]:
        """The folders of PATH; but none in which people or Trimtab keep their things."""
        kept = (home_of_user(), *self._hidden)
        for entry in os.environ.get("PATH", "").split(":"):
            path = _manager_of(os.path.normpath(entry)) if entry.startswith("/") else "/"
            is_wide = path == "/" or any(_is_in(each, path) for each in kept)
            if not is_wide and not any(_is_in(path, never) for never in (*_NEVER, *self._hidden)):
                yield from _existing((path,))


def resolver() -> Iterator[str]:
    """Arguments that show where names are asked for, should it be a link to a place that steps do not see."""
    target = os.path.realpath(_RESOLVER)
    if target != _RESOLVER and os.path.isfile(target):
        yield from ("--ro-bind", target, target)


def proc_and_devices(devices: Path | None) -> Iterator[str]:
    """Both read-only. Without this, a step of root's could set the host's /proc/sys, and a step of the owner of
    /dev/null could change its permissions: `devices` has files that do the same and belong to nobody."""
    yield from ("--proc", "/proc")
    for name in _SECRET_PROC:
        if os.path.exists(f"/proc/{name}"):
            yield from ("--ro-bind", "/dev/null", f"/proc/{name}")
    yield from ("--remount-ro", "/proc", "--dev", "/dev")
    if devices is not None:
        for device in sorted(devices.iterdir()):
            yield from ("--dev-bind", str(device), f"/dev/{device.name}")


def _manager_of(path: str) -> str:
    """Programs in the `shims` of pyenv, rbenv, nodenv begin what lies beside that folder."""
    manager, name = os.path.split(path)
    return manager if name == "shims" and os.path.isdir(f"{manager}/versions") else path


def _python() -> Iterator[str]:
    for prefix in (sys.prefix, sys.base_prefix, sys.exec_prefix):
        for path in (os.path.abspath(prefix), os.path.realpath(prefix)):
            if path != "/":
                yield path


def _existing(paths: Sequence[str]) -> Iterator[str]:
    return (path for path in paths if os.path.isdir(path))


def _secrets(top: str, depth: int) -> Iterator[str]:
    """What others than its owner and its group may not read: root's steps could, though they have no privileges."""
    pending, looked_at = [(top, depth)], 0
    while pending and looked_at < _MOST_LOOKED_AT:
        folder, left = pending.pop()
        try:
            entries = list(os.scandir(folder))
        except OSError:
            continue
        for entry in entries:
            looked_at += 1
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                if mode & _OTHERS_ENTER != _OTHERS_ENTER:
                    yield entry.path
                elif left > 1:
                    pending.append((entry.path, left - 1))
            elif not stat.S_ISLNK(mode) and not mode & _OTHERS_READ:
                yield entry.path


def _cover(path: str) -> tuple[str, ...]:
    if os.path.isdir(path) and not os.path.islink(path):
        return ("--perms", "0555", "--tmpfs", path, "--remount-ro", path)
    return ("--ro-bind", "/dev/null", path)


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")
