"""The files that controller and supervisor share."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.adapters.processes import record

KEYS = st.text(st.characters(codec="utf-8", exclude_characters="\0="), min_size=1)
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\0"))
FIELDS = st.lists(st.tuples(KEYS, VALUES), min_size=1, max_size=4)


@given(st.lists(FIELDS, min_size=1, max_size=5), st.data())
def test_the_last_that_is_whole_counts(written: list[list[tuple[str, str]]], data: st.DataObject) -> None:
    content = b"".join(record.encode(fields) + b"\0" for fields in written)
    assert record.decode(content) == written[-1]
    torn = record.encode(data.draw(FIELDS))
    assert record.decode(content + torn[: data.draw(st.integers(0, len(torn) - 1))]) == written[-1]
    assert record.decode(record.encode(written[0])) == written[0], "what was written before there were journals"


def test_a_journal_stays_small(tmp_path: Path) -> None:
    path = tmp_path / "state"
    journal = record.Journal(str(path))
    for number in range(5000):
        journal.write([("number", str(number)), ("last_line", "x" * 100)])
        if number % 500 == 0:
            assert dict(record.read_fields(str(path)) or [])["number"] == str(number)
    assert dict(record.read_fields(str(path)) or [])["number"] == "4999"
    assert path.stat().st_size <= 64 * 1024


def test_a_full_disk_is_an_error_and_not_half_a_record() -> None:
    with pytest.raises(OSError, match="No space"):
        record.Journal("/dev/full").write([("phase", "running")])
