"""Rigs for the contract: in memory, and the reader over each kind of source."""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg

from tests.adapters.measurements.endpoint import Endpoint, Reply, Request, as_json
from trimtab.adapters.measurements import MeasurementReader
from trimtab.adapters.measurements.question import Question
from trimtab.core.errors import Problem
from trimtab.core.model.identity import ArmId, EnvironmentId, ObjectId, short
from trimtab.core.model.measure import ArmMeasure, Measurement
from trimtab.core.model.specification import MetricSpec, SourceSpec
from trimtab.ports.measurements import Measurements, Watch
from trimtab.testing.clock import ManualClock
from trimtab.testing.measurements_contract import CANDIDATE, ROLLOUT, STABLE, MetricKind
from trimtab.testing.memory_measurements import MemoryMeasurements

KEYS: Mapping[MetricKind, tuple[str, ...]] = {"events": ("bad", "all"), "score": ("scores",), "rate": ("bad",)}
SHORTS = {short(CANDIDATE), short(STABLE)}
SINCE_AGO_S = 600.0
EVERY_S = SourceSpec("json", "").every_s
TIMEOUT_S = 30.0
VARIABLES = {
    "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "a-secret-key",
    "DD_API_KEY": "a-datadog-key",
}


def watch_of(source: SourceSpec, kind: MetricKind, since: float, rollout: ObjectId = ROLLOUT) -> Watch:
    metric = MetricSpec(kind, kind, replace(source, timeout_s=TIMEOUT_S))
    return Watch(rollout, EnvironmentId("shop", "production"), (metric,), CANDIDATE, STABLE, since)


class MemoryRig:
    kinds: Sequence[MetricKind] = ("events", "score", "rate")

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.memory = MemoryMeasurements(self.clock)
        self.measurements: Measurements = self.memory

    def now(self) -> float:
        return self.clock.now()

    def watch(self, kind: MetricKind, rollout: ObjectId = ROLLOUT) -> Watch:
        return watch_of(SourceSpec("json", "http://127.0.0.1"), kind, self.now() - SINCE_AGO_S, rollout)

    async def tell(self, kind: MetricKind, arms: Mapping[ArmId, ArmMeasure]) -> None:
        self.memory.silent = None
        self.memory.tell(kind, arms)

    async def fail(self) -> None:
        self.memory.silent = Problem("silent", "the source says nothing")

    async def turn(self) -> None:
        self.clock.advance(EVERY_S)

    async def wait(self) -> None:
        await asyncio.sleep(0)

    async def close(self) -> None:
        pass


class ReadingClock(ManualClock):
    """Knows when readings have ended: then their task sleeps for `EVERY_S`."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = 0
        self.sleeping = 0
        self.alarmed = asyncio.Event()
        """Set once the time limit of a reading runs."""

    async def sleep(self, seconds: float) -> None:
        if seconds != EVERY_S:
            self.alarmed.set()
            return await super().sleep(seconds)
        self.ended += 1
        self.sleeping += 1
        try:
            await super().sleep(seconds)
        finally:
            self.sleeping -= 1

    async def turn(self) -> None:
        """Let all who sleep until the next reading read, and wait until they have."""
        for _ in range(5):  # those that were cancelled go
            await asyncio.sleep(0)
        wanted = self.ended + self.sleeping
        self.advance(EVERY_S)
        while self.ended < wanted:
            await asyncio.sleep(0.002)


class ReaderRig:
    """The real reader; a source is added below."""

    kinds: Sequence[MetricKind] = ("events", "score", "rate")

    def __init__(self) -> None:
        self.clock = ReadingClock()
        self.since = self.clock.now() - SINCE_AGO_S
        self.measurements: Measurements = MeasurementReader(self.clock, VARIABLES)

    async def open(self) -> None:
        pass

    def now(self) -> float:
        return self.clock.now()

    def source(self, kind: MetricKind) -> SourceSpec:
        raise NotImplementedError

    def watch(self, kind: MetricKind, rollout: ObjectId = ROLLOUT) -> Watch:
        return watch_of(self.source(kind), kind, self.since, rollout)

    async def turn(self) -> None:
        await self.clock.turn()

    async def wait(self) -> None:
        await asyncio.sleep(0.002)

    async def close(self) -> None:
        await self.measurements.close()


class HttpRig(ReaderRig):
    """An endpoint that speaks the format of a source. Its queries are those of `query`."""

    def __init__(self) -> None:
        super().__init__()
        self.endpoint = Endpoint(self._answer)
        self.told: dict[str, ArmMeasure] = {}
        """By release."""
        self.silent = False

    async def open(self) -> None:
        await self.endpoint.__aenter__()

    async def close(self) -> None:
        await super().close()
        await self.endpoint.__aexit__(None, None, None)

    async def tell(self, kind: MetricKind, arms: Mapping[ArmId, ArmMeasure]) -> None:
        self.silent = False
        self.told = {short(arm): measure for arm, measure in arms.items()}

    async def fail(self) -> None:
        self.silent = True

    def _answer(self, request: Request) -> Reply:
        return Reply(b"down for maintenance", 503) if self.silent else self.say(request)

    def say(self, request: Request) -> Reply:
        raise NotImplementedError

    def asked(self, query: str) -> tuple[str, ArmMeasure]:
        """Which of ``bad``, ``all`` and ``scores`` a query asks for, and what was told of its release."""
        key, release = re.search(r"(bad|all|scores)", query), re.search(r"[0-9a-f]{12}", query)
        assert key is not None, query
        assert release is not None, query
        return key[0], self.told[release[0]]

    def total(self, query: str) -> float:
        key, measure = self.asked(query)
        return measure.bad if key == "bad" else measure.all


class PrometheusRig(HttpRig):
    def source(self, kind: MetricKind) -> SourceSpec:
        queries = {key: f'sum({key}_total{{release="$release"}})' for key in KEYS[kind]}
        if kind == "score":
            queries = {"scores": 'sum by (le) (scores_bucket{release="$release"})'}
        return SourceSpec("prometheus", self.endpoint.url, queries)

    def say(self, request: Request) -> Reply:
        assert request.path == "/api/v1/query"
        at, (key, measure) = float(request.params["time"]), self.asked(request.params["query"])
        if key == "scores":
            return as_json(vector(at, *_buckets(measure.scores)))
        number = measure.bad if key == "bad" else measure.all
        return as_json(vector(at, *([({}, f"{number:g}")] if number else [])))


def vector(at: float, *series: tuple[dict[str, str], str]) -> dict[str, Any]:
    """What Prometheus answers to an instant query."""
    result = [{"metric": labels, "value": [at, text]} for labels, text in series]
    return {"status": "success", "data": {"resultType": "vector", "result": result}}


def _buckets(scores: Mapping[int, int]) -> list[tuple[dict[str, str], str]]:
    """A histogram with a bucket of its own for each score, which is its middle."""
    edges = sorted(
        {round(edge, 3) for score in scores for edge in (max(0, score - 1) / 100, min(100, score + 1) / 100)}
    )
    at_most = [sum(n for score, n in scores.items() if score / 100 <= edge) for edge in edges]
    labels = [{"le": f"{edge:g}"} for edge in edges]
    pairs = [*zip(labels, at_most, strict=True), ({"le": "+Inf"}, sum(scores.values()))]
    return [(label, str(count)) for label, count in reversed(pairs)]


class JsonRig(HttpRig):
    def source(self, kind: MetricKind) -> SourceSpec:
        paths = {key: f"$.arms.$arm.{key}" for key in KEYS[kind]}
        return SourceSpec("json", f"{self.endpoint.url}/of?release=$release&since=$since", paths)

    def say(self, request: Request) -> Reply:
        release = request.params["release"]
        assert request.params["since"] == f"{self.since:.0f}"
        told = self.told[release]
        scores = [[score / 100, count] for score, count in told.scores.items()]
        arm = "candidate" if release == short(CANDIDATE) else "stable"
        return as_json({"arms": {arm: {"bad": told.bad, "all": told.all, "scores": scores}}})


class DatadogRig(HttpRig):
    kinds = ("events", "rate")

    def source(self, kind: MetricKind) -> SourceSpec:
        queries = {key: f"sum:{key}{{release:$release}}.as_count()" for key in KEYS[kind]}
        return SourceSpec("datadog", self.endpoint.url, queries, {"DD-API-KEY": "${DD_API_KEY}"})

    def say(self, request: Request) -> Reply:
        assert request.path == "/api/v1/query"
        assert request.headers["dd-api-key"] == "a-datadog-key"
        assert float(request.params["from"]) == self.since
        total = self.total(request.params["query"])
        points = [[(self.now() - 5) * 1000, total], [(self.now() - 2) * 1000, None], [self.now() * 1000, 0.0]]
        return as_json({"status": "ok", "series": [{"metric": "m", "pointlist": points}]})


class CloudWatchRig(HttpRig):
    kinds = ("events", "rate")

    def __init__(self) -> None:
        super().__init__()
        self.measurements = MeasurementReader(self.clock, {**VARIABLES, "AWS_REGION": "eu-central-1"})

    def source(self, kind: MetricKind) -> SourceSpec:
        queries = {key: f"SELECT SUM({key}) FROM Shop WHERE Release = '$release'" for key in KEYS[kind]}
        return SourceSpec("cloudwatch", self.endpoint.url, queries)

    def say(self, request: Request) -> Reply:
        assert request.method == "POST"
        assert request.headers["x-amz-target"] == "GraniteServiceVersion20100801.GetMetricData"
        assert "/eu-central-1/monitoring/aws4_request" in request.headers["authorization"]
        asked = json.loads(request.body)
        assert asked["StartTime"] == self.since
        total = self.total(asked["MetricDataQueries"][0]["Expression"])
        found = {"Id": "total", "StatusCode": "Complete", "Timestamps": [self.now(), self.now() - 60]}
        return as_json({"MetricDataResults": [{**found, "Values": [total, 0.0]}]})


class SqliteRig(ReaderRig):
    url_queries: Mapping[str, str] = {
        "bad": "select count(*) from events where release = $release and of = 'bad' and at >= $since",
        "all": "select count(*) from events where release = $release and of = 'all' and at >= $since",
        "scores": "select score, count(*) from scores where release = ${release} group by score",
    }

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.path = folder / "shop.db"

    async def open(self) -> None:
        self._do([("create table events (release text, of text, at float)", [()])])
        self._do([("create table scores (release text, score float)", [()])])

    def source(self, kind: MetricKind) -> SourceSpec:
        return SourceSpec("sql", f"sqlite:///{self.path}", {key: self.url_queries[key] for key in KEYS[kind]})

    async def tell(self, kind: MetricKind, arms: Mapping[ArmId, ArmMeasure]) -> None:
        if self.path.with_suffix(".gone").exists():
            self.path.with_suffix(".gone").rename(self.path)
        self._do(statements(arms, self.now(), "?"))

    async def fail(self) -> None:
        self.path.rename(self.path.with_suffix(".gone"))

    def _do(self, work: Sequence[tuple[str, Sequence[tuple[Any, ...]]]]) -> None:
        with closing(sqlite3.connect(self.path)) as connection, connection:
            for sql, rows in work:
                connection.executemany(sql, rows) if rows != [()] else connection.execute(sql)


def statements(arms: Mapping[ArmId, ArmMeasure], now: float, mark: str) -> list[tuple[str, list[tuple[Any, ...]]]]:
    """What makes the tables say what was told."""
    events: list[tuple[Any, ...]] = []
    scores: list[tuple[Any, ...]] = []
    for arm, told in arms.items():
        events += [(short(arm), "bad", now)] * int(told.bad) + [(short(arm), "all", now)] * int(told.all)
        scores += [(short(arm), score / 100) for score, count in told.scores.items() for _ in range(count)]
    marks = ", ".join([mark] * 3)
    return [
        ("delete from events", [()]),
        ("delete from scores", [()]),
        (f"insert into events values ({marks})", events),
        (f"insert into scores values ({mark}, {mark})", scores),
    ]


class PostgresRig(ReaderRig):
    url_queries: Mapping[str, str] = {
        "bad": "select count(*) from events where release = $release and of = 'bad'"
        " and to_timestamp(at) >= to_timestamp($since)",
        "all": "select sum(1) from events where release like $release || '%' and of = 'all'"
        " and at * 1000 >= $since * 1000",
        "scores": "select score from scores where release = ${release}",
    }

    def __init__(self, url: str) -> None:
        super().__init__()
        self.server = url
        self.url = url

    async def open(self) -> None:
        await self._do(
            [
                ("drop table if exists events, scores, gone, gone_scores", [()]),
                ("create table events (release text, of text, at float)", [()]),
                ("create table scores (release text, score numeric)", [()]),
            ]
        )

    def source(self, kind: MetricKind) -> SourceSpec:
        return SourceSpec("sql", self.url, {key: self.url_queries[key] for key in KEYS[kind]})

    async def tell(self, kind: MetricKind, arms: Mapping[ArmId, ArmMeasure]) -> None:
        await self._do([("alter table if exists gone rename to events", [()])])
        await self._do([("alter table if exists gone_scores rename to scores", [()])])
        await self._do(statements(arms, self.now(), "%s"))

    async def fail(self) -> None:
        await self._do([("alter table events rename to gone", [()])])
        await self._do([("alter table scores rename to gone_scores", [()])])

    async def _do(self, work: Sequence[tuple[str, Sequence[tuple[Any, ...]]]]) -> None:
        async with await psycopg.AsyncConnection.connect(self.server) as connection, connection.cursor() as cursor:
            for sql, rows in work:
                if rows == [()]:
                    await cursor.execute(sql.encode())
                elif rows:
                    await cursor.executemany(sql.encode(), rows)


async def found(
    source: SourceSpec,
    kind: MetricKind = "rate",
    variables: Mapping[str, str] = VARIABLES,
    candidate: ArmId = CANDIDATE,
) -> Measurement:
    """What one reading of a source gives."""
    clock = ManualClock()
    reader = MeasurementReader(clock, variables)
    watch = replace(watch_of(source, kind, clock.now() - SINCE_AGO_S), candidate=candidate)
    try:
        return (await reader.check(watch))[kind]
    finally:
        await reader.close()


async def problem_of(
    source: SourceSpec, kind: MetricKind = "rate", variables: Mapping[str, str] = VARIABLES
) -> Problem:
    """What is wrong with a source from which nothing can be read."""
    measurement = await found(source, kind, variables)
    assert measurement.arms == {}
    assert measurement.problem is not None
    return measurement.problem


def question(source: SourceSpec, key: str = "bad", arm: ArmId = CANDIDATE) -> Question:
    """One question, 600.5 s after the evidence began."""
    watch = watch_of(source, "rate", 1_700_000_000.0)
    return Question(watch.metrics[0], key, "candidate", arm, watch, 1_700_000_600.5, VARIABLES)
