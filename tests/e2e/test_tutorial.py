"""The tutorial on retrieval, carried out as it stands."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tests.e2e.tutorial import Command, File, Reader, environment, read
from tests.e2e.world import free_port, wait_for
from tests.processes import living

PAGE = Path(__file__).parents[2] / "docs" / "tutorial-rag.md"


@pytest.fixture
def reader() -> Iterator[Reader]:
    folder = Path(mkdtemp(prefix="trimtab-tutorial-"))
    home = folder / "helper" / ".trimtab"
    programs = folder / "programs"
    programs.mkdir()
    program = programs / "trimtab"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m trimtab.cli.main "$@"\n')
    program.chmod(0o755)
    author = {f"GIT_{who}_{what}": "ada" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    path = {"PATH": f"{programs}:{Path(sys.executable).parent}:{os.environ['PATH']}"}
    ports = {"8080": str(free_port()), "trimtab up &": f"trimtab up --port {free_port()} &"}
    yield Reader(folder, environment() | author | path, ports)
    (folder / "asking").unlink(missing_ok=True)
    subprocess.run([str(program), "down", "--home", str(home)], capture_output=True)
    wait_for(lambda: not living(home), why="no process is left")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.timeout(300)
def test_the_tutorial_does_what_it_says(reader: Reader) -> None:
    try:
        reader.follow(PAGE.read_text())
    except AssertionError as error:
        said = [f"$ {words}\n{out.read_text()}" for words, out in reader.said]
        raise AssertionError("\n".join([*dict.fromkeys(said), str(error)])) from None


def test_pages_are_read_as_their_readers_read_them() -> None:
    page = "Save `a.py`:\n\n```python\nx = 1\n```\n\nThen\n\n```console\n$ ls\na.py\n$ pwd\n```\n\n```sh\ntrue\n```\n"
    assert list(read(page)) == [
        File("a.py", "x = 1\n"),
        Command("ls", ("a.py",)),
        Command("pwd", ()),
        Command("true\n", ()),
    ]


@pytest.mark.parametrize(
    ("expected", "printed", "fits"),
    [
        ("run 3 took 1.2 s", "run 4 took 2 min 3 s", True),
        ("run 3 passed", "run 3 failed", False),
        ("release 0123456789ab ...", "release ba9876543210 of the rest", True),
        ("two  words", "two words", True),
    ],
)
def test_what_is_printed_may_have_other_numbers_and_no_other_words(expected: str, printed: str, fits: bool) -> None:
    reader = Reader(Path(), {}, {})
    if fits:
        reader._compare(Command("say", (expected,)), printed)
        assert reader.digests == ({"0123456789ab": "ba9876543210"} if "release" in expected else {})
    else:
        with pytest.raises(AssertionError, match="prints no line"):
            reader._compare(Command("say", (expected,)), printed)
