"""What earlier versions wrote is read, and means what it meant."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.codec.golden import Golden, golden, missing


@pytest.mark.parametrize("line", golden(), ids=lambda line: f"{line.what}-{line.kind}")
def test_text_of_an_earlier_version_is_read(line: Golden) -> None:
    assert says_all_of(json.loads(line.encode(line.decode())), json.loads(line.text))


def test_every_kind_has_its_line() -> None:
    assert list(missing()) == [], "run python -m tests.codec.golden and commit what it adds"


def says_all_of(ours: Any, theirs: Any) -> bool:
    """Whether everything that was written is still said; newer fields may have joined it."""
    if isinstance(theirs, dict):
        return isinstance(ours, dict) and all(key in ours and says_all_of(ours[key], theirs[key]) for key in theirs)
    if isinstance(theirs, list):
        return len(ours) == len(theirs) and all(map(says_all_of, ours, theirs))
    return bool(ours == theirs)
