"""Between fork and exec: what a supervised process is given, and what is kept from it."""

from __future__ import annotations

# `signal` wraps these in enumerations, which costs a third of a supervisor's whole start-up time.
import _signal  # type: ignore[import-not-found]
import os

from trimtab.adapters.processes.kernel import die_with_parent, see_read_only

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

UNCONFINED = b"unconfined;"
_DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin"
_IGNORED = [number for number in _signal.valid_signals() if _signal.getsignal(number) == _signal.SIG_IGN]
"""Exec ends handlers but not these. Python ignores SIGPIPE, and whoever started the controller may ignore others."""
_NOT_ON_THIS_ENTRY = (FileNotFoundError, NotADirectoryError)


class Command:
    """What is to be run, and how."""

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        self.argv = [value for key, value in fields if key == "argv"]
        self.env = dict(_pair(value) for key, value in fields if key == "env")
        self.read_only = [value for key, value in fields if key == "read_only"]
        self.cwd = dict(fields)["cwd"]


def start(command: Command, output: int, limit: Callable[[], None] = lambda: None) -> tuple[int, bytes]:
    """Fork and exec. Returns once the command runs or cannot: the process id and what there is to say. `limit` sets
    the new process its limits.

    That is nothing, `UNCONFINED` when it runs without its read-only view, or ``STAGE ERRNO`` (``chdir 2``) when it
    does not run; then the process has ended.
    """
    supervisor = os.getpid()
    answer, report = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            _become(command, output, report, supervisor, limit)
        finally:
            os._exit(127)
    os.close(report)
    said = b""
    while piece := os.read(answer, 256):
        said += piece
    os.close(answer)
    return pid, said


def _become(command: Command, output: int, report: int, supervisor: int, limit: Callable[[], None]) -> None:
    os.setpgid(0, 0)
    die_with_parent(supervisor)
    if command.read_only and not see_read_only(command.read_only):
        os.write(report, UNCONFINED)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    _reset_signals()
    os.umask(0o022)
    stage = "limits"
    try:
        limit()
        stage = "chdir"
        # After the mounts: a working directory entered before them would still be the writable one.
        os.chdir(command.cwd)
        stage = "exec"
        _exec(command)
    except OSError as error:
        os.write(report, f"{stage} {error.errno}".encode())


def _reset_signals() -> None:
    for number in _IGNORED:
        _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())


def _exec(command: Command) -> None:
    """Like execvpe, with the PATH that the command is given. Raises the error that says most."""
    program = command.argv[0]
    if "/" in program:
        os.execve(program, command.argv, command.env)
    failure: OSError = FileNotFoundError(2, os.strerror(2))
    for folder in command.env.get("PATH", _DEFAULT_PATH).split(":"):
        try:
            os.execve(os.path.join(folder, program), command.argv, command.env)
        except _NOT_ON_THIS_ENTRY:
            continue
        except OSError as error:
            failure = error
    raise failure


def _pair(entry: str) -> tuple[str, str]:
    name, _, value = entry.partition("=")
    return name, value
