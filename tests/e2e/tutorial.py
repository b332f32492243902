"""Tutorials are carried out as they stand: files are written, commands are run in order, what they are said to print is
looked for in what they print.

A block of code is the file that the line before it ends with. Blocks of `sh` are commands. In blocks of `console` these
are the lines that begin with `$`. What is below one is among what it prints, but numbers and digests of releases may be
others; a digest that a command names is the one that was printed in its place before. "..." stands for anything.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.world import wait_for

BLOCK = re.compile(r"(?P<before>[^\n]*)\n\n```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
NAMED = re.compile(r"`([\w./-]+)`:$")
DIGEST = re.compile(r"\b[0-9a-f]{12}\b")
LOOKS = ("curl ", "trimtab rollout watch", "trimtab runs ", "trimtab logs ", "trimtab releases")
"""Commands that change nothing: where something takes a moment, a reader looks again."""
ANY = re.compile(r"\\\.\\\.\\\.|[0-9]+(?:\\\.[0-9]+)?(?:(?:\\ )*(?:ms|min|s|h))?|(?:\\ )+|─+|━+")


@dataclass(frozen=True)
class File:
    name: str
    text: str


@dataclass(frozen=True)
class Command:
    words: str
    prints: tuple[str, ...]
    """Lines that must be among what it prints, in this order."""


def read(page: str) -> Iterator[File | Command]:
    """What a tutorial has its reader do, in order."""
    for block in BLOCK.finditer(page):
        match block["kind"]:
            case "sh":
                yield Command(block["text"], ())
            case "console":
                yield from _commands(block["text"])
            case kind:
                named = NAMED.findall(block["before"])
                assert len(named) == 1, f"which file is this {kind}, after {block['before']!r}?"
                yield File(named[0], block["text"])


def _commands(text: str) -> Iterator[Command]:
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        words, _, printed = part.partition("\n")
        yield Command(words, tuple(line for line in printed.splitlines() if line.strip()))


@dataclass
class Reader:
    """Somebody who does what a tutorial says, in `folder`. `ports`: what stands there for ports of their own."""

    folder: Path
    environment: dict[str, str]
    ports: dict[str, str]
    digests: dict[str, str] = field(default_factory=dict)
    """Those of the page, and what they are here."""
    said: list[tuple[str, Path]] = field(default_factory=list)
    """Commands with the files of what they printed."""

    def follow(self, page: str) -> None:
        for here, there in self.ports.items():
            page = page.replace(here, there)
        where = self.folder
        for each in read(page):
            if isinstance(each, File):
                target = where / each.name
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text(each.text)
            else:
                where = self._run(each, where)

    def _run(self, command: Command, where: Path) -> Path:
        """Run it; where the reader is afterwards."""
        words = DIGEST.sub(lambda found: self.digests.get(found[0], found[0]), command.words)
        if words.startswith(LOOKS):
            wait_for(lambda: self._fits(command, self._said(words, where)), within_s=90.0, why=f"$ {words}")
            return where
        code, out = self._said(words, where)
        assert code == 0, f"$ {words}\n{out.read_text()}"
        if words.rstrip().endswith("&"):
            wait_for(lambda: self._fits(command, (0, out)), why=f"$ {words}")
        else:
            self._compare(command, out.read_text())
        return Path((self.folder / "place").read_text().strip())

    def _said(self, words: str, where: Path) -> tuple[int, Path]:
        """Its exit code, and the file with what it prints: no pipe, which what goes on in the background would hold."""
        out = self.folder / f"printed-{len(self.said)}"
        self.said.append((words, out))
        script = f"{{ {words.rstrip()}\n}}\ncode=$?; pwd > {self.folder / 'place'}; exit $code"
        with out.open("wb") as printed:
            done = subprocess.run(
                ["bash", "-c", script],
                cwd=where,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
                timeout=120,
            )
        return done.returncode, out

    def _fits(self, command: Command, said: tuple[int, Path]) -> bool:
        """Whether it printed what it should; not yet, if a command that only looks has something else to show."""
        try:
            self._compare(command, said[1].read_text())
        except AssertionError:
            return False
        return said[0] == 0

    def _compare(self, command: Command, text: str) -> None:
        lines = iter(text.splitlines())
        for expected in command.prints:
            pattern = _pattern(expected)
            found = next((match for line in lines if (match := pattern.fullmatch(line.rstrip()))), None)
            assert found is not None, f"$ {command.words}\nprints no line (in this order) like\n{expected}\nbut\n{text}"
            self.digests |= dict(zip(DIGEST.findall(expected), found.groups(), strict=True))


def _pattern(expected: str) -> re.Pattern[str]:
    """A line as it may be printed elsewhere."""
    pieces = [ANY.sub(_anything, re.escape(piece)) for piece in DIGEST.split(expected.rstrip())]
    return re.compile("([0-9a-f]{12})".join(pieces))


def _anything(found: re.Match[str]) -> str:
    match found[0][:1], found[0]:
        case _, r"\.\.\.":
            return ".*"
        case (("─" | "━"), _):
            return "[─━]*"
        case "\\", _:
            return r"\s+"
        case _:
            return r"[0-9][0-9.,]*(?: ?(?:ms|min|s|h)(?: [0-9]+ s)?)?"


def environment() -> dict[str, str]:
    """A reader's: without what Trimtab's own variables would say, and with lines as wide as the page's."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("TRIMTAB_")}
    return own | {"COLUMNS": "120"}
