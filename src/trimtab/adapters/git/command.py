"""Running the `git` program: no shell, a clean environment, and an end to every call."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from asyncio.subprocess import PIPE, Process
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from trimtab.core.errors import Problem, TrimtabError, failure

Settings = Literal["ours", "users"]
"""Whose configuration counts: ours in Trimtab's own repositories, the user's in a working tree of theirs."""
CONFIG = Path(__file__).with_name("gitconfig")
LONGEST_IN_TIMEOUTS = 60
"""A call that keeps giving signs of life is ended all the same after this many times its timeout."""

# What a remote may need of the caller's environment: a home for keys, an agent, proxies, certificates.
_PASSED_ON = (
    *("PATH", "HOME", "TMPDIR", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO"),
    *("http_proxy", "https_proxy", "no_proxy", "all_proxy", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"),
)
_STOP_GRACE_S = 2.0
_CHUNK = 64 * 1024
_BUFFER_BYTES = 1024 * 1024
_PASSWORD = re.compile(r"(://)[^/@\s]+@")


def environment(extra: Mapping[str, str] | None = None, settings: Settings = "ours") -> dict[str, str]:
    """The whole environment of a Git command."""
    if settings == "users":
        # Not what a hook's environment says of another repository.
        said = {n: value for n, value in os.environ.items() if not n.startswith("GIT_") or n.startswith("GIT_CONFIG_")}
        return said | {"GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"} | dict(extra or {})
    passed = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    fixed = {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": str(CONFIG),
        "GIT_ATTR_NOSYSTEM": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "file:git:http:https:ssh",
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
        "GIT_ADVICE": "0",
        "GCM_INTERACTIVE": "never",
        "LC_ALL": "C",
    }
    return passed | fixed | dict(extra or {})


def without_passwords(text: str) -> str:
    """`text` with the user and password of every URL taken out."""
    return _PASSWORD.sub(r"\1", text)


@dataclass(frozen=True, slots=True)
class Finished:
    """How a command ended."""

    code: int
    stdout: bytes
    stderr: str

    @property
    def text(self) -> str:
        """Standard output as text, without the newline at its end."""
        return self.stdout.decode("utf-8", "replace").rstrip("\n")

    @property
    def complaint(self) -> str:
        """What Git said went wrong, in one line and without passwords."""
        lines = [line.strip() for line in re.split(r"[\r\n]+", self.stderr) if line.strip()]
        grave = [line for line in lines if line.startswith(("fatal:", "error:", "remote:"))]
        return without_passwords("; ".join((grave or lines)[-3:])) or f"exit code {self.code}"


class GitTimeout(TrimtabError):
    """The command gave no sign of life for as long as it was allowed to."""


async def start(
    *args: str, env: Mapping[str, str] | None = None, cwd: Path | None = None, settings: Settings = "ours"
) -> Process:
    """Start `git ARGS` in a process group of its own, with pipes. Raises `TrimtabError` (`git-missing`)."""
    try:
        return await asyncio.create_subprocess_exec(
            "git",
            *args,
            stdin=PIPE,
            stdout=PIPE,
            stderr=PIPE,
            limit=_BUFFER_BYTES,
            env=environment(env, settings),
            cwd=cwd,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        if cwd is not None and not cwd.is_dir():
            raise failure("git-repository-missing", f"there is no folder {cwd}") from error
        raise failure(
            "git-missing", "the program `git` was not found on PATH", "install Git 2.34 or newer and try again"
        ) from error


async def end_group(process: Process, grace_s: float = _STOP_GRACE_S) -> None:
    """End the process and all it started: SIGTERM first, so that Git removes its lock files, then SIGKILL."""
    _signal_group(process, signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), grace_s)
    except TimeoutError:
        pass
    finally:
        _signal_group(process, signal.SIGKILL)
    await process.wait()


def _signal_group(process: Process, number: signal.Signals) -> None:
    try:
        os.killpg(process.pid, number)
    except ProcessLookupError:
        pass


async def run(
    *args: str,
    where: str,
    git_dir: Path | None = None,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    timeout_s: float = 30.0,
    ok: Collection[int] | None = (0,),
    settings: Settings = "ours",
) -> Finished:
    """Run `git ARGS` to its end, `where` being what it is about (for errors).

    Raises `GitTimeout` when it wrote nothing for `timeout_s`, and `TrimtabError` (`git-failed`, `git-locked`,
    `git-missing`) when it ended with a code that is not in `ok` (None: any is fine). When it is given up or cancelled,
    it and whatever it started are ended first.
    """
    repository = (f"--git-dir={git_dir}",) if git_dir is not None else ()
    process = await start(*repository, *args, env=env, settings=settings)
    try:
        done = await _communicate(process, stdin, timeout_s)
    except TimeoutError:
        await asyncio.shield(end_group(process))
        message = f"`git {args[0]}` did nothing for {timeout_s:g} s and was given up"
        raise GitTimeout(Problem("git-timeout", message, "see whether the disk answers", where)) from None
    except BaseException:
        await asyncio.shield(end_group(process))
        raise
    if ok is not None and done.code not in ok:
        raise git_failed(args[0], done, where)
    return done


def git_failed(command: str, done: Finished, where: str) -> TrimtabError:
    """The error for a command that failed for a reason that nothing more specific is known about."""
    if ".lock'" in done.stderr and "File exists" in done.stderr:
        hint = "another Git command holds it; if none is running, remove the .lock file that is named"
        return failure("git-locked", f"the repository is locked: {done.complaint}", hint, where)
    hint = "run `git fsck` in the repository and see that its disk has space"
    return failure("git-failed", f"`git {command}` failed: {done.complaint}", hint, where)


async def _communicate(process: Process, stdin: bytes, timeout_s: float) -> Finished:
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    loop = asyncio.get_running_loop()
    limit = loop.time() + LONGEST_IN_TIMEOUTS * timeout_s
    async with asyncio.timeout(timeout_s) as patience, asyncio.TaskGroup() as tasks:

        async def collect(stream: asyncio.StreamReader) -> bytes:
            chunks = []
            while chunk := await stream.read(_CHUNK):
                chunks.append(chunk)
                patience.reschedule(min(loop.time() + timeout_s, limit))
            return b"".join(chunks)

        stdout = tasks.create_task(collect(process.stdout))
        stderr = tasks.create_task(collect(process.stderr))
        await _feed(process.stdin, stdin)
        code = await process.wait()
    return Finished(code, stdout.result(), stderr.result().decode("utf-8", "replace"))


async def _feed(stream: asyncio.StreamWriter, content: bytes) -> None:
    try:
        if content:
            stream.write(content)
            await stream.drain()
        stream.close()
        await stream.wait_closed()
    except (BrokenPipeError, ConnectionResetError):
        pass
