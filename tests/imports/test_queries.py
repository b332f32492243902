"""Which queries, conditions and commands are understood, and as what."""

from __future__ import annotations

import pytest

from trimtab.imports.argo_rollouts.queries import Line, NotUnderstood, Share, difference, line, selecting, share
from trimtab.imports.argo_rollouts.shell import command_line


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("a / b", Share("a", "b", False)),
        ("sum(rate(a[1m])) / sum(rate(b[1m]))", Share("sum(a)", "sum(b)", False)),
        ('sum(irate(a{x="/[1m]",y!~"(5"}[5m]))/sum(b)', Share('sum(a{x="/[1m]",y!~"(5"})', "sum(b)", False)),
        ("100 * (increase(a[1h]) / increase(b[1h]))", Share("a", "b", True)),
        ("sum(a) / sum(b) * 100", Share("sum(a)", "sum(b)", True)),
        ("((sum(a)) / (sum(b) + sum(c)))", Share("sum(a)", "sum(b) + sum(c)", False)),
        ("sum(a) # of all / ones\n / sum(b)", Share("sum(a)", "sum(b)", False)),
    ],
)
def test_a_share_of_two_totals_is_understood(query: str, expected: Share) -> None:
    assert share(query) == expected


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("up", "no division"),
        ("a / b / c", "no division"),
        ("a / b > 0.5", "no division"),
        ("1 - a / b", "no division"),
        ("a / b or vector(0)", "no division"),
        ("avg(a) / b", "`avg` gives no total"),
        ("histogram_quantile(0.9, a) / b", "`histogram_quantile` gives no total"),
        ("sum by (x) (a) / sum(b)", "no division"),
        ("sum(sum by (x) (a)) / sum(b)", "no sum of counters"),
        ("sum(rate(a[5m:1m])) / sum(b)", "a rate in the query"),
        ("rate(seconds_sum[1m]) / rate(seconds_count[1m])", "an average"),
        ("a[5m] / b", "no sum of counters"),
        ("rate(a[1m] / b", "no division"),
    ],
)
def test_what_is_no_share_is_refused_with_the_reason(query: str, why: str) -> None:
    with pytest.raises(NotUnderstood, match=why):
        share(query)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("result[0] >= 0.95", Line(True, 0.95)),
        ("result<.05", Line(False, 0.05)),
        ("(result[0] > 99)", Line(True, 99.0)),
        ("len(result) == 0 || result[0] >= 0.9", Line(True, 0.9)),
        ("!isNaN(result[0]) && result[0] <= 0.1", Line(False, 0.1)),
        ("default(result, 0) < 0.05", Line(False, 0.05)),
        ("result == 1", None),
        ("result[0] > 0.5 && result[0] < 0.9", None),
        ("result[1] > 0.5", None),
        ("true", None),
    ],
)
def test_a_condition_is_one_comparison(condition: str, expected: Line | None) -> None:
    assert line(condition) == expected


def test_good_events_are_taken_from_all() -> None:
    assert difference("sum(b)", "sum(a)") == "sum(b) - sum(a)"
    assert difference("a + b", "c") == "(a + b) - c"


def test_every_selector_gets_the_label() -> None:
    assert selecting('sum(a{}) + b{x="{y}"}', 'r="1"') == 'sum(a{r="1"}) + b{r="1",x="{y}"}'


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["python", "-m", "shop", "--port=8080"], "python -m shop --port=$PORT"),
        (["serve", "--bind", "0.0.0.0:8080", "--limit", "80800"], "serve --bind 0.0.0.0:$PORT --limit 80800"),
        (["sh", "-c", "serve $(A) $(date) 8080"], "serve ${A} $(date) 8080"),
        (["echo", "a b", "$(A)/x", "$(B)", "${C}", ""], "echo 'a b' \"$A\"/x '$(B)' '${C}' ''"),
    ],
)
def test_words_become_a_command(words: list[str], expected: str) -> None:
    assert command_line(words, {"A"}, 8080) == expected
