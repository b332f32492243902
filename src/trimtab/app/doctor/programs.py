"""Is everything installed that Trimtab needs?"""

from __future__ import annotations

import os
import platform
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from trimtab import __version__
from trimtab.adapters.envoy.binary import executable
from trimtab.adapters.store_sql.sqlite import OLDEST
from trimtab.app.doctor.place import ANSWER_S, Place
from trimtab.core.errors import Problem, TrimtabError
from trimtab.views.findings import Finding

NAME = "programs"
PYTHON = (3, 11)
GIT = (2, 34)
SHELL = "/bin/sh"

Version = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Programs:
    """What was seen. `git` None: there is none. `envoy`: what is wrong with it."""

    python: Version
    sqlite: Version
    git: Version | None
    envoy: Problem | None = None
    has_shell: bool = True


def look(_: Place) -> Iterator[Finding]:
    try:
        executable()
        problem = None
    except TrimtabError as error:
        problem = error.problem
    yield from judge(
        Programs(sys.version_info[:3], sqlite3.sqlite_version_info, _git(), problem, os.access(SHELL, os.X_OK))
    )


def judge(seen: Programs) -> Iterator[Finding]:
    found = list(_judge(seen))
    yield from found
    if not found:
        versions = f"Python {_dots(seen.python)}, SQLite {_dots(seen.sqlite)}, Git {_dots(seen.git or ())}"
        yield Finding(NAME, "ok", f"Trimtab {__version__}, {versions}.")


def _judge(seen: Programs) -> Iterator[Finding]:
    if seen.python < PYTHON:
        what = f"This is Python {_dots(seen.python)}, Trimtab needs {_dots(PYTHON)} or newer."
        yield Finding(NAME, "error", what, do="install it into a newer Python")
    if seen.sqlite < OLDEST:
        what = f"Python uses SQLite {_dots(seen.sqlite)}, Trimtab needs {_dots(OLDEST)} or newer."
        yield Finding(NAME, "error", what, do="use a Python that brings a newer SQLite")
    if seen.git is None:
        what = "The program `git` was not found on PATH, or gave no answer."
        do = f"install Git {_dots(GIT)} or newer; PATH is {os.environ.get('PATH', '')}"
        yield Finding(NAME, "error", what, "Nothing can be pushed or deployed.", do)
    elif seen.git < GIT:
        what = f"This is Git {_dots(seen.git)}, Trimtab needs {_dots(GIT)} or newer."
        yield Finding(NAME, "error", what, do="install a newer Git")
    if seen.envoy is not None:
        what = f"Envoy cannot be found: {seen.envoy.message}."
        yield Finding(NAME, "error", what, "Users get no answer.", seen.envoy.hint, platform.machine())
    if not seen.has_shell:
        yield Finding(NAME, "error", f"There is no {SHELL}.", "Steps and instances are started by it.", "install one")


def _git() -> Version | None:
    if shutil.which("git") is None:
        return None
    try:
        said = subprocess.run(["git", "--version"], capture_output=True, text=True, timeout=ANSWER_S).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", said)
    return tuple(int(number) for number in found.groups(default="0")) if found else None


def _dots(version: Version) -> str:
    return ".".join(map(str, version[:3]))
