"""The program that searches a log: reads it from its standard input, and writes hits as lines of JSON.

It is a process of its own because a regular expression can take for ever and any memory: this process may have neither.
Its first line is ``{"ready": true}`` or a problem; a problem may come later, too, and is the last line then.
"""

from __future__ import annotations

import codecs
import json
import os
import re
import resource
import signal
import sys
from collections.abc import Iterator
from typing import NoReturn

BLOCK_BYTES = 1024 * 1024
LONGEST_LINE = 1024 * 1024
"""Characters; a longer line is searched in pieces of this length, which overlap."""
_OVERLAP = 4096
_SPECIAL = set(".^$*+?{}[]\\|()")
_BUDGET_S = 3.0
"""Processor time for one block: a thousand times of what a harmless expression needs."""
_MEMORY_BYTES = 512 * 1024 * 1024
_SHOWN_BEFORE, _SHOWN_AFTER = 500, 3500
"""How much of a long line is shown around its first hit."""


class Search:
    """Lines that match, with their numbers. Text comes in blocks that end anywhere."""

    def __init__(self, pattern: str, ignore_case: bool, first_line: int) -> None:
        self._search = re.compile(pattern, re.IGNORECASE if ignore_case else 0).search
        # What stands for itself is looked for in a whole block at once.
        self._literal = "" if ignore_case or set(pattern) & _SPECIAL else pattern
        self._number = first_line
        self._pending = ""
        self._is_hit = False

    def feed(self, text: str) -> Iterator[tuple[int, str]]:
        whole, break_, rest = (self._pending + text).rpartition("\n")
        if not break_:
            self._pending = rest
            yield from self._look_into_long_line()
            return
        self._pending = rest
        if self._literal and self._literal not in whole and not self._is_hit:
            self._number += whole.count("\n") + 1
        else:
            for line in whole.split("\n"):
                yield from self._look_into(line)
                self._number += 1
                self._is_hit = False
        yield from self._look_into_long_line()

    def finish(self) -> Iterator[tuple[int, str]]:
        """The last line, if it did not end."""
        if self._pending:
            yield from self._look_into(self._pending)

    def _look_into_long_line(self) -> Iterator[tuple[int, str]]:
        while len(self._pending) > LONGEST_LINE:
            yield from self._look_into(self._pending[:LONGEST_LINE])
            self._pending = self._pending[LONGEST_LINE - _OVERLAP :]

    def _look_into(self, line: str) -> Iterator[tuple[int, str]]:
        found = None if self._is_hit else self._search(line)
        if found is not None:
            self._is_hit = True
            yield self._number, _around(line.removesuffix("\r"), found.start())


def _around(line: str, at: int) -> str:
    if len(line) <= _SHOWN_BEFORE + _SHOWN_AFTER:
        return line
    begin, end = max(0, at - _SHOWN_BEFORE), at + _SHOWN_AFTER
    return f"{'…' if begin else ''}{line[begin:end]}{'…' if end < len(line) else ''}"


class _OutOfTime(Exception):
    pass


def _say(**fields: object) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")


def _give_up(code: str, message: str, hint: str) -> NoReturn:
    _say(problem={"code": code, "message": message, "hint": hint, "where": ""})
    sys.stdout.flush()
    os._exit(0)


def _out_of_time(*_: object) -> None:
    raise _OutOfTime


def _run(pattern: str, ignore_case: bool, first_line: int) -> None:
    search = Search(pattern, ignore_case, first_line)
    _say(ready=True)
    sys.stdout.flush()
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode
    while block := os.read(0, BLOCK_BYTES):
        signal.setitimer(signal.ITIMER_VIRTUAL, _BUDGET_S)
        for number, text in search.feed(decode(block)):
            _say(line=number, text=text)
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        # Whoever follows the log wants to see hits at once; writing may take as long as the reader needs.
        sys.stdout.flush()
    signal.setitimer(signal.ITIMER_VIRTUAL, _BUDGET_S)
    for number, text in search.finish():
        _say(line=number, text=text)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    sys.stdout.flush()


def main(pattern: str, ignore_case: bool, first_line: int) -> None:
    """Search standard input to its end."""
    os.nice(10)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY_BYTES, _MEMORY_BYTES))
    signal.signal(signal.SIGVTALRM, _out_of_time)
    signal.setitimer(signal.ITIMER_VIRTUAL, _BUDGET_S)
    hint = "begin with a part of it that stands for itself, and avoid repetitions of repetitions, such as (a+)+"
    try:
        _run(pattern, ignore_case, first_line)
    except re.error as error:
        _give_up("log-pattern", f"the pattern is no regular expression: {error}", "\\ before . * + ? ( ) [ ] { } | ^ $")
    except (_OutOfTime, MemoryError, RecursionError, OverflowError):
        _give_up("log-pattern-costly", "the pattern takes too much time or memory, and the search was ended", hint)
    except BrokenPipeError:
        os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] == "1", int(sys.argv[3]))
