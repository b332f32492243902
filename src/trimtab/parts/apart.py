"""The files that a release names, looked at by a process of its own: a template may take as much as it likes of that
one's time and memory, and of nobody else's."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

import trimtab
from trimtab.core.errors import Problem, failure
from trimtab.core.model.contents import CheckedFiles
from trimtab.core.model.specification import ReleaseSpec
from trimtab.core.say import size
from trimtab.parts.looked import FLAGS, Looked, file_of, things

READY = b"ready"


@dataclass(frozen=True, slots=True)
class Limits:
    """What looking at one file may take: of a processor, of memory (all in all), of text."""

    cpu_s: int = 5
    memory_bytes: int = 512 * 1024**2
    output_bytes: int = 4 * 1024**2


@dataclass(frozen=True, slots=True)
class Asked:
    """Of the process."""

    release: ReleaseSpec
    wanted: tuple[str, ...]
    limits: Limits


LIMITS = Limits()
_ASKED, _LOOKED = TypeAdapter(Asked), TypeAdapter(Looked)
_PATIENCE_S, _PATIENCE_EACH_S = 60.0, 10.0
"""By the clock: where the machine is busy, a process has its share of a processor late."""


def check(folder: Path, release: ReleaseSpec, *, may_be_absent: bool = False, limits: Limits = LIMITS) -> CheckedFiles:
    """What is wrong with the files in `folder` that the release names. `may_be_absent`: a step may make them yet.

    Blocks. Raises `TrimtabError` (`release-check-io`) when no process can be had.
    """
    left, found = list(things(release)), list[Looked]()
    while left:
        done = _apart(folder, Asked(release, tuple(left), limits))
        found += done
        left = left[len(done) :]
        if left:  # it was ended while it looked at the next one
            found.append(_too_much(release, left.pop(0), limits))
    return checked(found, may_be_absent)


def checked(found: Sequence[Looked], may_be_absent: bool) -> CheckedFiles:
    """All of it together."""
    problems, absent = list[Problem](), list[str]()
    for looked in found:
        problems += looked.problems
        absent += looked.absent
    if not may_be_absent:
        problems += [_missing(looked.what, path) for looked in found for path in looked.absent]
    variables = {looked.what: looked.variables for looked in found if not looked.problems and not looked.absent}
    # What is wrong with a prompt is wrong with all that take it in, and told once.
    return CheckedFiles(tuple(dict.fromkeys(problems)), variables, tuple(absent) if may_be_absent else ())


def _missing(what: str, path: str) -> Problem:
    code = {"/model": "model-file", "/config": "release-config", "/flags": "release-flags"}.get(what)
    hint = "correct the path, or add the pipeline step that makes it"
    return Problem(code or "prompt-missing", "there is no such file", hint, path)


def _too_much(release: ReleaseSpec, what: str, limits: Limits) -> Looked:
    why = f"takes more than {limits.cpu_s} s or {size(limits.memory_bytes)} of memory"
    if what.startswith("/"):
        code = "release-flags" if what == FLAGS else "release-config"
        return Looked(what, (Problem(code, f"reading it {why}", "make it smaller", file_of(release, what)),))
    hint = "let it loop over what it is given, and not more"
    return Looked(what, (Problem("prompt-endless", f"rendering it {why}", hint, file_of(release, what)),))


def _apart(folder: Path, asked: Asked) -> list[Looked]:
    """What it got done."""
    command = (sys.executable, "-P", "-m", "trimtab.parts", str(folder))
    patience_s = _PATIENCE_S + _PATIENCE_EACH_S * len(asked.wanted)
    try:
        ended = subprocess.run(
            command, input=_ASKED.dump_json(asked), capture_output=True, env=_environment(), timeout=patience_s
        )
        said = ended.stdout
    except subprocess.TimeoutExpired as error:
        said = error.stdout or b""
    except OSError as error:
        raise _no_process(error.strerror or "") from error
    ready, *lines = said.split(b"\n")
    if ready != READY:
        raise _no_process("it ended before it began")
    try:
        return [_LOOKED.validate_json(line) for line in lines[:-1]]
    except ValidationError as error:
        raise _no_process("it cannot be understood") from error


def _no_process(why: str) -> Exception:
    hint = "see how many processes and how much memory there are"
    return failure("release-check-io", f"no process can be had that looks at prompts: {why}", hint)


def _environment() -> Mapping[str, str]:
    """The process is of the same version as we are, wherever that is installed. It needs nothing else of ours: what it
    renders may be a stranger's."""
    return {"PATH": os.environ.get("PATH", os.defpath), "PYTHONPATH": str(Path(trimtab.__file__).parents[1])}
