"""`python -m trimtab.parts FOLDER`: look at the files that a release names, in a process that may use so much and no
more.

On its standard input what to look at; on its output a line for each thing that it has looked at, as soon as it has.
"""

from __future__ import annotations

import resource
import sys
from pathlib import Path

from pydantic import TypeAdapter

from trimtab.parts.apart import READY, Asked
from trimtab.parts.looked import Looked
from trimtab.parts.looking import look


def main() -> None:
    asked = TypeAdapter(Asked).validate_json(sys.stdin.buffer.read())
    line = TypeAdapter(Looked)
    resource.setrlimit(resource.RLIMIT_AS, (asked.limits.memory_bytes,) * 2)
    for nothing in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
        resource.setrlimit(nothing, (0, 0))
    _say(READY)
    _allow(asked.limits.cpu_s)
    for looked in look(Path(sys.argv[1]), asked.release, asked.wanted, asked.limits.output_bytes):
        _say(line.dump_json(looked))
        _allow(asked.limits.cpu_s)


def _allow(seconds: int) -> None:
    """The next thing may use so much of a processor; whoever uses more is ended by the kernel."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    whole = int(used.ru_utime + used.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (whole, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _say(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
