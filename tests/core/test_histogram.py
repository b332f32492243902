"""Durations in buckets: exact at edges, quantiles to 2 %."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trimtab.core.stats.histogram import Histogram, bucket_of, lower_edge_us


@given(st.lists(st.floats(0.001, 10_000), min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_at_most_a_share_of_one_minus_q_lies_beyond_the_quantile(latencies_ms: list[float], q: float) -> None:
    counts = Histogram()
    for latency in latencies_ms:
        counts = counts.plus(Histogram({bucket_of(latency * 1000): 1}))
    bucket = counts.quantile_bucket(q)
    assert bucket is not None
    assert counts.at_or_above(bucket) <= (1 - q) * len(latencies_ms) + 1e-9


@given(st.floats(1.0, 1e9))
def test_a_duration_lies_in_its_bucket(duration_us: float) -> None:
    bucket = bucket_of(duration_us)
    assert lower_edge_us(bucket) <= duration_us * (1 + 1e-12)
    assert duration_us < lower_edge_us(bucket + 1) * (1 + 1e-12)
