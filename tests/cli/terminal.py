"""Runs commands in this process, as a person at a terminal would."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest

from trimtab.cli.main import main


class Said(NamedTuple):
    code: int
    out: str
    err: str


class Terminal:
    """``run("status", "--json")``: the exit code and what was said."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str) -> Said:
        self._capsys.readouterr()
        code = main(words)
        captured = self._capsys.readouterr()
        return Said(code, captured.out, captured.err)

    def fine(self, *words: str) -> str:
        """What a command prints that has to succeed."""
        said = self(*words)
        assert said.code == 0, said.err
        return said.out

    def json(self, *words: str) -> Any:
        """The same, decoded."""
        return json.loads(self.fine(*words, "--json"))
