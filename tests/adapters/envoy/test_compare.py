"""Whether two answers say the same."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.adapters.envoy.compare import Answer, Comparison, compare
from trimtab.core.model.strategy import Compare, MirrorSpec


def answer(body: Any, status: int = 200, *, packed: bool = False) -> Answer:
    data = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    data = gzip.compress(data) if packed else data
    return Answer(status, len(data), data, "gzip" if packed else "")


@pytest.mark.parametrize("how", ["status", "exact", "json", "similar"])
def test_a_failure_differs_from_an_answer(how: Compare) -> None:
    found = compare(MirrorSpec(compare=how), answer("fine"), answer("fine", 500))
    assert found.difference == "200 and 500"


CASES: list[tuple[MirrorSpec, Any, Any, str]] = [
    (MirrorSpec(compare="status"), "one", "two", ""),
    (MirrorSpec(compare="exact"), "one", "one", ""),
    (MirrorSpec(compare="exact"), "one", "two", "other bytes"),
    (MirrorSpec(compare="exact"), "one", "three", "3 and 5 bytes"),
    (MirrorSpec(compare="json"), {"a": 1, "b": 2}, {"b": 2, "a": 1}, ""),
    (MirrorSpec(compare="json"), {"a": 1}, {"a": 2}, "a: 1 and 2"),
    (MirrorSpec(compare="json"), {"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, "a.1.b: 2 and 3"),
    (MirrorSpec(compare="json"), {"a": 1}, {}, "a: 1 and nothing"),
    (MirrorSpec(compare="json"), {"a": True}, {"a": 1}, "a: true and 1"),
    (MirrorSpec(compare="json", ignore=("id", "choices.*.at")), {"id": 1, "choices": [{"at": 1}]},
     {"id": 2, "choices": [{"at": 9}]}, ""),
    (MirrorSpec(compare="json", ignore=("id",)), {"id": 1, "x": {"id": 1}}, {"id": 2, "x": {"id": 2}}, "x.id: 1 and 2"),
    (MirrorSpec(compare="json"), "no json", "no json", ""),
    (MirrorSpec(compare="json"), [1], 5, "the answer: [1] and 5"),
    (MirrorSpec(compare="similar"), "the cat sat on the mat today", "the cat sat on the mat now", ""),
    (MirrorSpec(compare="similar"), "the cat sat", "an entirely different thing", "0 % alike"),
    (MirrorSpec(compare="similar"), "", "", ""),
]  # fmt: skip


@pytest.mark.parametrize(("spec", "stable", "candidate", "difference"), CASES)
def test_what_differs(spec: MirrorSpec, stable: Any, candidate: Any, difference: str) -> None:
    assert compare(spec, answer(stable), answer(candidate)).difference == difference
    packed = compare(spec, answer(stable, packed=True), answer(candidate)).difference
    assert bool(packed) == bool(difference)


@given(st.binary(max_size=200), st.binary(max_size=200), st.sampled_from(["exact", "json", "similar"]), st.booleans())
def test_any_bytes_can_be_compared(one: bytes, other: bytes, how: Compare, packed: bool) -> None:
    encoding = "gzip" if packed else ""
    found = compare(MirrorSpec(compare=how), Answer(200, len(one), one, encoding), Answer(200, len(other), other))
    assert isinstance(found, Comparison)
    same = compare(MirrorSpec(compare=how), Answer(200, len(one), one), Answer(200, len(one), one))
    assert same.difference == ""


def test_a_bomb_is_unpacked_in_part() -> None:
    bomb = gzip.compress(b"0" * 100_000_000)
    found = compare(MirrorSpec(compare="exact"), Answer(200, len(bomb), bomb, "gzip"), answer("0"))
    assert found.difference


def test_answers_that_are_nested_too_deep_are_compared_as_they_are() -> None:
    deep = b'{"a":' * 480 + b"1" + b"}" * 480
    other = deep.replace(b"1", b"2")
    spec = MirrorSpec(compare="json")
    assert compare(spec, Answer(200, len(deep), deep), Answer(200, len(deep), deep)).difference == ""
    assert compare(spec, Answer(200, len(deep), deep), Answer(200, len(other), other)).difference != ""


def test_halves_of_characters_in_answers_can_be_told() -> None:
    mine, theirs = b'{"a": "\\ud83d"}', b'{"a": "b"}'
    found = compare(MirrorSpec(compare="json"), Answer(200, len(mine), mine), Answer(200, len(theirs), theirs))
    found.difference.encode()


def test_a_word_that_is_repeated_is_compared_too() -> None:
    mine, theirs = b"no " * 400, b"no " * 399 + b"yes"
    found = compare(MirrorSpec(compare="similar"), Answer(200, 1200, mine), Answer(200, 1200, theirs))
    assert found.alike_pct == 100
