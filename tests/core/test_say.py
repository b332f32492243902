"""Words that others said, fit for a log, a database and a commit message."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trimtab.core.errors import Problem
from trimtab.core.say import printable


@given(st.text(st.characters()))
def test_whatever_it_was_it_can_be_written(text: str) -> None:
    said = printable(text + "\ud83d" + "\0")
    assert "\0" not in said
    assert said.encode().decode() == said


def test_what_is_fine_stays_as_it_is() -> None:
    assert printable("grün \U0001f600") == "grün \U0001f600"


def test_a_problem_can_always_be_told() -> None:
    problem = Problem("metric", "it says \ud83d", "see \0", "a\0b")
    assert (problem.message, problem.hint, problem.where) == ("it says ?", "see ", "ab")
