"""Someone with a clone, who commits and pushes with the real `git`."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from trimtab.testing.memory_source import File

IDENTITY = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.com",
    "GIT_AUTHOR_EMAIL": "ada@example.com",
    "LC_ALL": "C",
    "PATH": os.environ["PATH"],
}


class User:
    """A clone in `folder` of the repository at `url`."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.url = url
        folder.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")
        self.git("remote", "add", "origin", url)

    def git(self, *args: str, author: str = "Ada", ok: bool = True) -> subprocess.CompletedProcess[str]:
        """`git ARGS` in the clone; an error unless `ok` is False."""
        env = {**IDENTITY, "GIT_AUTHOR_NAME": author}
        done = subprocess.run(["git", *args], cwd=self.folder, env=env, capture_output=True, text=True, timeout=60)
        assert not ok or done.returncode == 0, done.stderr
        return done

    def write(self, files: Mapping[str, File | None]) -> None:
        for path, file in files.items():
            target = self.folder / path
            if file is None:
                target.unlink()
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            if file.mode == "link":
                target.symlink_to(file.content.decode())
                continue
            target.write_bytes(file.content)
            target.chmod(0o755 if file.mode == "755" else 0o644)

    def commit(self, files: Mapping[str, File | None], subject: str = "Change something", author: str = "Ada") -> str:
        """Commit the files on the checked-out branch; the commit's id."""
        self.write(files)
        self.git("add", "-A", "-f")
        self.git("commit", "-q", "--allow-empty", "-m", subject, author=author)
        return self.git("rev-parse", "HEAD").stdout.strip()

    def pull(self, branch: str = "main") -> None:
        """Put the clone at what the repository has on the branch (or nothing yet)."""
        if self.git("fetch", "-q", "origin", branch, ok=False).returncode == 0:
            self.git("checkout", "-q", "-B", branch, "FETCH_HEAD")
        else:
            self.git("checkout", "-q", "-B", branch, ok=False)

    def push(self, *args: str, branch: str = "main", ok: bool = True) -> str:
        """Push; what Git said."""
        return self.git("push", *args, "origin", f"HEAD:refs/heads/{branch}", ok=ok).stderr

    async def apush(self, *args: str, branch: str = "main", ok: bool = True) -> str:
        """Push from a thread, for a server in this event loop."""
        return await asyncio.to_thread(self.push, *args, branch=branch, ok=ok)
