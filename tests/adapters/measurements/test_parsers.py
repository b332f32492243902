"""Any answer at all is numbers or a Problem, and never another exception."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.adapters.measurements import cloudwatch, datadog, prometheus
from trimtab.adapters.measurements.http_json import decoded
from trimtab.adapters.measurements.json_endpoint import follow
from trimtab.adapters.measurements.numbers import checked
from trimtab.adapters.measurements.question import Found
from trimtab.core.errors import TrimtabError

LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["1", "NaN", "+Inf"])
)
NAMES = st.sampled_from(
    ["status", "data", "result", "resultType", "value", "metric", "le", "series", "pointlist", "error", "0", "Values"]
)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)
SAMPLES = st.lists(
    st.fixed_dictionaries(
        {"metric": st.dictionaries(NAMES, LEAVES, max_size=2), "value": st.lists(LEAVES, max_size=3)}
    ),
    max_size=3,
)
PROMETHEUS = st.fixed_dictionaries(
    {
        "status": st.just("success"),
        "data": st.fixed_dictionaries({"resultType": st.sampled_from(["vector", "scalar"]), "result": SAMPLES | JSON}),
    }
)
POINTS = st.lists(st.lists(LEAVES, max_size=3) | LEAVES, max_size=3)
DATADOG = st.fixed_dictionaries({"series": st.lists(st.fixed_dictionaries({"pointlist": POINTS}), max_size=2)})
CLOUDWATCH = st.fixed_dictionaries(
    {
        "MetricDataResults": st.lists(
            st.fixed_dictionaries({"Values": st.lists(LEAVES, max_size=3), "Timestamps": st.lists(LEAVES, max_size=3)}),
            max_size=2,
        )
    }
)
KEYS = st.sampled_from(("bad", "all", "scores"))


def understood(parse: Callable[[Any], Found], key: str, answer: Any) -> None:
    """As the reader does it."""
    try:
        found = parse(decoded(json.dumps(answer).encode()))
        measure = checked(key, found.value)
    except TrimtabError:
        return
    assert found.at is None or isinstance(found.at, float)
    assert measure.bad >= 0
    assert measure.all >= 0
    assert all(0 <= score <= 100 and count >= 0 for score, count in measure.scores.items())


@given(st.binary(max_size=200))
def test_any_bytes(body: bytes) -> None:
    with suppress(TrimtabError):
        decoded(body)


@given(PROMETHEUS | JSON, KEYS)
def test_prometheus(answer: Any, key: str) -> None:
    understood(lambda said: prometheus.parse(said, key, "query"), key, answer)


@given(DATADOG | JSON)
def test_datadog(answer: Any) -> None:
    understood(lambda said: datadog.parse(said, "query"), "bad", answer)


@given(CLOUDWATCH | JSON)
def test_cloudwatch(answer: Any) -> None:
    understood(lambda said: cloudwatch.parse(said, "query"), "bad", answer)


@given(JSON, st.lists(NAMES | st.text(max_size=3), min_size=1, max_size=3), KEYS)
def test_json(answer: Any, path: list[str], key: str) -> None:
    understood(lambda said: Found(follow(said, path)), key, answer)


@pytest.mark.parametrize("body", [b"1" * 5000, b'{"a":' * 2000, b"\x00", b"NaN", b'"\\ud800"'])
def test_odd_bytes(body: bytes) -> None:
    with pytest.raises(TrimtabError):
        checked("bad", decoded(body))
