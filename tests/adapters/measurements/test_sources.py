"""What each kind of HTTP source is asked, and how its answers are understood."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.adapters.measurements.endpoint import Endpoint, Reply, Request, as_json
from tests.adapters.measurements.rigs import VARIABLES, found, problem_of, question, vector
from trimtab.adapters.measurements import cloudwatch, datadog, prometheus
from trimtab.adapters.measurements.json_endpoint import follow
from trimtab.adapters.measurements.numbers import scores
from trimtab.adapters.measurements.question import Found
from trimtab.adapters.measurements.signature import Credentials, sign
from trimtab.core.errors import TrimtabError
from trimtab.core.model.measure import ArmMeasure
from trimtab.core.model.specification import SourceSpec
from trimtab.testing.measurements_contract import CANDIDATE

QUERY = "sum(bad)"


def answered(result: Any, kind: str = "vector") -> Any:
    return {"status": "success", "data": {"resultType": kind, "result": result}}


# --- placeholders ---


def test_every_placeholder_is_filled_in() -> None:
    asked = question(
        SourceSpec("prometheus", "", {"bad": "$release ${arm} $environment $app $since $now $window $$5 $"})
    )
    assert asked.query == "cccccccccccc candidate production shop 1700000000 1700000601 601 $5 $"


def test_the_guise_of_an_arm_is_part_of_its_name() -> None:
    asked = question(SourceSpec("prometheus", "", {"bad": "$release"}), arm=f"{CANDIDATE}@baseline")
    assert asked.query == "cccccccccccc@baseline"


# --- Prometheus ---


async def test_prometheus_is_asked_as_of_one_time_below_the_path_of_its_url(endpoint: Endpoint) -> None:
    endpoint.answer = lambda request: as_json(vector(float(request.params["time"]), ({}, "1.5")))
    source = SourceSpec("prometheus", f"{endpoint.url}/prom/?tenant=7", {"bad": 'sum(bad{release="$release"})'})
    assert (await found(source)).arms[CANDIDATE] == ArmMeasure(1.5)
    one, other = endpoint.requests
    assert one.path == "/prom/api/v1/query"
    assert one.params["query"] == 'sum(bad{release="cccccccccccc"})'
    assert one.params["tenant"] == "7"
    assert one.params["time"] == other.params["time"]


async def test_bad_events_are_asked_for_first_so_that_they_are_never_too_many(endpoint: Endpoint) -> None:
    asked = 0

    def answer(_: Request) -> Reply:
        nonlocal asked
        asked += 1
        return as_json({"bad": asked, "all": asked})

    endpoint.answer = answer
    measurement = await found(SourceSpec("json", endpoint.url, {"all": "all", "bad": "bad"}), "events")
    assert measurement.problem is None
    assert measurement.arms[CANDIDATE] == ArmMeasure(1, 2)


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        (answered([{"metric": {}, "value": [1.5, "7"]}]), Found(7.0, 1.5)),
        (answered([1.5, "7"], "scalar"), Found(7.0, 1.5)),
        (answered([]), Found(0.0, None)),
    ],
)
def test_prometheus_answers_with_a_number(answer: Any, wanted: Found) -> None:
    assert prometheus.parse(answer, "bad", QUERY) == wanted


@pytest.mark.parametrize(
    ("answer", "message", "hint"),
    [
        (
            answered([{"metric": {}, "value": [1, "7"]}] * 3),
            "`sum(bad)` gives 3 series instead of one",
            "wrap it in sum()",
        ),
        (answered([{"metric": {}, "values": []}], "matrix"), "gives a matrix instead of a number", "instant query"),
        (answered([1, "a"], "string"), "gives a string instead of a number", "instant query"),
        (answered([{"metric": {}, "histogram": [1, {}]}]), "not what Prometheus' API answers", ""),
        (answered([{"metric": {}, "value": [1, 7]}]), "not what Prometheus' API answers", ""),
        ({"status": "error", "error": "no"}, "not what Prometheus' API answers", ""),
        ([], "not what Prometheus' API answers", "see that the URL is that of Prometheus' API"),
    ],
)
def test_prometheus_answers_with_something_else(answer: Any, message: str, hint: str) -> None:
    with pytest.raises(TrimtabError) as refused:
        prometheus.parse(answer, "bad", QUERY)
    assert message in refused.value.problem.message
    assert hint in refused.value.problem.hint


@pytest.mark.parametrize(("text", "message"), [("NaN", "NaN came"), ("+Inf", "an infinite number came")])
async def test_prometheus_says_nan(endpoint: Endpoint, text: str, message: str) -> None:
    endpoint.answer = lambda _: as_json(vector(1.0, ({}, text)))
    problem = await problem_of(SourceSpec("prometheus", endpoint.url, {"bad": QUERY}))
    assert message in problem.message
    assert "ask for the counts themselves" in problem.hint


async def test_prometheus_cannot_read_the_query(endpoint: Endpoint) -> None:
    said = {"status": "error", "errorType": "bad_data", "error": "1:5: parse error: unclosed left parenthesis"}
    endpoint.answer = lambda _: as_json(said, 400)
    problem = await problem_of(SourceSpec("prometheus", endpoint.url, {"bad": "sum("}))
    assert problem.message.endswith("HTTP status 400: 1:5: parse error: unclosed left parenthesis")
    assert problem.hint == "see the query"


def buckets(**counts: str) -> Any:
    edges = {name.removeprefix("to_").replace("_", "."): count for name, count in counts.items()}
    return answered([{"metric": {"le": edge}, "value": [1, count]} for edge, count in edges.items()])


def test_scores_are_the_middles_of_buckets() -> None:
    answer = buckets(to_Inf="10", to_0_5="4", to_0="1", to_0_9="6")
    pairs = prometheus.parse(answer, "scores", QUERY).value
    assert scores(pairs) == {0: 1, 25: 3, 70: 2, 95: 4}
    assert prometheus.parse(answered([]), "scores", QUERY).value == []


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (buckets(to_0_5="4", to_1="3"), "buckets that do not add up"),
        (buckets(to_0_5="NaN"), "buckets without a count"),
        (buckets(to_0_5="4", to_1="4", to_Inf="5"), "has scores above 1"),
        (answered([{"metric": {}, "value": [1, "7"]}]), "gives no histogram"),
    ],
)
def test_buckets_that_are_no_scores(answer: Any, message: str) -> None:
    with pytest.raises(TrimtabError) as refused:
        prometheus.parse(answer, "scores", QUERY)
    assert message in refused.value.problem.message


# --- JSON ---


@pytest.mark.parametrize(
    ("path", "wanted"),
    [("a.b", 1), ("$.a.b", 1), ("list.1.x", 2), ("$.list.0", 5), ("9", 9)],
)
def test_paths_lead_to_values(path: str, wanted: int) -> None:
    assert follow({"a": {"b": 1}, "list": [5, {"x": 2}], "9": 9}, path.split(".")) == wanted


def test_the_whole_answer_has_a_path() -> None:
    assert follow([0.5, 1], ["$"]) == [0.5, 1]


@pytest.mark.parametrize(
    ("path", "message", "hint"),
    [
        ("a.c", "the answer has no `a.c`", "at `a` there is `b`"),
        ("list.7", "the answer has no `list.7`", "at `list` it is a list of 2"),
        ("list.-1", "the answer has no `list.-1`", "write a number for a place in it, from 0"),
        ("a.b.c", "the answer has no `a.b.c`", "at `a.b` there is nothing below it"),
        ("none.x", "the answer has no `none.x`", "at `none` it is empty"),
    ],
)
def test_paths_that_lead_nowhere(path: str, message: str, hint: str) -> None:
    with pytest.raises(TrimtabError) as refused:
        follow({"a": {"b": 1}, "list": [5, 6], "none": {}}, path.split("."))
    assert refused.value.problem.message == message
    assert hint in refused.value.problem.hint


async def test_placeholders_are_encoded_in_urls_and_not_in_paths(endpoint: Endpoint) -> None:
    arm = "x/../y?z=1&q#$.. é"
    endpoint.answer = lambda _: as_json({"of": {arm: 2, "555555555555": 1}})
    source = SourceSpec("json", f"{endpoint.url}/of/$release?r=$release&n=5", {"bad": "of.${release}"})
    measurement = await found(source, candidate=arm[:12])
    assert measurement.problem is not None
    assert endpoint.requests[0].target == "/of/x%2F..%2Fy%3Fz%3D1%26q?r=x%2F..%2Fy%3Fz%3D1%26q&n=5"


async def test_scores_may_be_a_plain_list(endpoint: Endpoint) -> None:
    endpoint.answer = lambda _: as_json({"scores": [1, 0.5, 0.496, [0, 7]]})
    measurement = await found(SourceSpec("json", endpoint.url, {"scores": "scores"}), "score")
    assert measurement.arms[CANDIDATE].scores == {100: 1, 50: 2, 0: 7}


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (0.5, "a number came instead of scores"),
        ([1.5], "a score of 1.5 is not between 0 and 1"),
        ([-0.1], "a score of -0.1 is not between 0 and 1"),
        (["0.5"], "among the scores, a text came instead of a number"),
        ([[0.5, 1.5]], "1.5 cannot be how often a score came"),
        ([[0.5, -1]], "a total cannot be negative"),
        ([[0.5, 1, 2]], "among the scores, a list came instead of a number"),
        ([float("nan")], "among the scores, NaN came"),
    ],
)
async def test_what_is_no_score(endpoint: Endpoint, said: Any, message: str) -> None:
    endpoint.answer = lambda _: as_json({"scores": said})
    problem = await problem_of(SourceSpec("json", endpoint.url, {"scores": "scores"}), "score")
    assert message in problem.message
    assert problem.where == "score, scores of the candidate"


# --- Datadog ---


def test_points_of_datadog_are_added_up_once_each() -> None:
    points = [[1000.0, 2.0], [2000.0, None], [3000.0, 5.0], [3000.0, 6.0]]
    assert datadog.parse({"status": "ok", "series": [{"pointlist": points}]}, QUERY) == Found(8.0, 3.0)
    assert datadog.parse({"status": "ok", "series": []}, QUERY) == Found(0, None)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"status": "error", "error": "Rule 'x' is invalid"}, "Datadog says about `sum(bad)`: Rule 'x' is invalid"),
        ({"status": "ok", "series": [{"pointlist": []}] * 2}, "gives 2 series instead of one"),
        ({"status": "ok", "series": [{"pointlist": [[1, "2"]]}]}, "a text came instead of a number"),
        ({"status": "ok", "series": [{"pointlist": [5]}]}, "not what Datadog's API answers"),
        ({"status": "ok"}, "not what Datadog's API answers"),
        ("ok", "not what Datadog's API answers"),
    ],
)
def test_datadog_answers_with_something_else(answer: Any, message: str) -> None:
    with pytest.raises(TrimtabError) as refused:
        datadog.parse(answer, QUERY)
    assert message in refused.value.problem.message


async def test_the_age_of_numbers_is_that_of_the_newest_point(endpoint: Endpoint) -> None:
    now = 1_700_000_000.0
    points = [[(now - 90) * 1000, 2], [(now - 30) * 1000, 0]]
    endpoint.answer = lambda _: as_json({"status": "ok", "series": [{"pointlist": points}]})
    assert (await found(SourceSpec("datadog", endpoint.url, {"bad": QUERY}))).as_of == now - 30
    points.append([(now + 60) * 1000, 0])
    assert (await found(SourceSpec("datadog", endpoint.url, {"bad": QUERY}))).as_of == now


@pytest.mark.parametrize("kind", ["datadog", "cloudwatch"])
async def test_single_scores_are_not_to_be_had(endpoint: Endpoint, kind: Any) -> None:
    problem = await problem_of(SourceSpec(kind, endpoint.url, {"scores": QUERY}), "score")
    assert "gives no single scores" in problem.message
    assert "as `events`" in problem.hint
    assert not endpoint.requests


# --- CloudWatch ---


def result(**changed: Any) -> dict[str, Any]:
    return {"Id": "total", "StatusCode": "Complete", "Timestamps": [120, 60], "Values": [3, 4.0], **changed}


def test_values_of_cloudwatch_are_added_up() -> None:
    assert cloudwatch.parse({"MetricDataResults": [result()]}, QUERY) == Found(7.0, 120.0)
    assert cloudwatch.parse({"MetricDataResults": []}, QUERY) == Found(0, None)


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"MetricDataResults": [result(), result()]}, "gives 2 series instead of one"),
        ({"MetricDataResults": [result(StatusCode="PartialData")]}, "gives only a part"),
        ({"MetricDataResults": [result()], "NextToken": "x"}, "gives only a part"),
        ({"MetricDataResults": [result(Timestamps=[60])]}, "not what CloudWatch's API answers"),
        ({"MetricDataResults": [result(Values=["3", 4])]}, "a text came instead of a number"),
        ({}, "not what CloudWatch's API answers"),
    ],
)
def test_cloudwatch_answers_with_something_else(answer: Any, message: str) -> None:
    with pytest.raises(TrimtabError) as refused:
        cloudwatch.parse(answer, QUERY)
    assert message in refused.value.problem.message


async def test_cloudwatch_is_asked_for_what_came_since_the_evidence_began(endpoint: Endpoint) -> None:
    endpoint.answer = lambda _: as_json({"MetricDataResults": [result()]})
    source = SourceSpec("cloudwatch", endpoint.url, {"bad": "SUM(SEARCH('x=$release', 'Sum', 60))"})
    variables = {**VARIABLES, "AWS_REGION": "eu-west-1", "AWS_SESSION_TOKEN": "a-session-token"}
    assert (await found(source, variables=variables)).arms[CANDIDATE] == ArmMeasure(7)
    asked = endpoint.requests[0]
    assert asked.headers["content-type"] == "application/x-amz-json-1.0"
    assert asked.headers["x-amz-security-token"] == "a-session-token"
    assert json.loads(asked.body) == {
        "StartTime": 1_700_000_000 - 600,
        "EndTime": 1_700_000_000,
        "MetricDataQueries": [
            {"Id": "total", "Expression": "SUM(SEARCH('x=cccccccccccc', 'Sum', 60))", "Period": 60, "ReturnData": True}
        ],
    }


async def test_cloudwatch_needs_a_key_and_a_region(endpoint: Endpoint) -> None:
    source = SourceSpec("cloudwatch", endpoint.url, {"bad": QUERY})
    assert "AWS_ACCESS_KEY_ID is not set" in (await problem_of(source, variables={})).message
    problem = await problem_of(source)
    assert "the region of 127.0.0.1 is not known" in problem.message
    assert problem.hint == "set AWS_REGION where Trimtab runs"


async def test_what_aws_says_is_shown_without_the_secret(endpoint: Endpoint) -> None:
    said = {"__type": "x#AccessDenied", "message": "not allowed with a-secret-key"}
    endpoint.answer = lambda _: as_json(said, 403)
    variables = {**VARIABLES, "AWS_REGION": "eu-west-1"}
    problem = await problem_of(SourceSpec("cloudwatch", endpoint.url, {"bad": QUERY}), variables=variables)
    assert problem.message.endswith("HTTP status 403: not allowed with ***")


@pytest.mark.parametrize(
    ("target", "signature"),
    [
        ("/", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"),
        ("/?Param2=value2&Param1=value1", "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"),
    ],
)
def test_requests_are_signed_as_in_the_published_test_vectors(target: str, signature: str) -> None:
    """`get-vanilla` and `get-vanilla-query-order-key-case` of the AWS Signature Version 4 test suite."""
    credentials = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    url = httpx.URL(f"https://example.amazonaws.com{target}")
    signed = sign("GET", url, {}, b"", credentials, ("us-east-1", "service"), 1_440_938_160.0)
    assert signed["X-Amz-Date"] == "20150830T123600Z"
    assert signed["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request,"
        f" SignedHeaders=host;x-amz-date, Signature={signature}"
    )
    assert "wJalr" not in repr(credentials)


async def test_errors_of_our_own_are_problems_too(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise LookupError("with a secret in it")

    endpoint.answer = lambda _: Reply(b"{}")
    monkeypatch.setattr(prometheus, "parse", broken)
    problem = await problem_of(SourceSpec("prometheus", endpoint.url, {"bad": QUERY}))
    assert str(problem) == (
        "rate, bad of the candidate: reading failed with an unexpected LookupError (please report this)"
    )
