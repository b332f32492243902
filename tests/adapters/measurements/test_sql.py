"""Databases: real SQLite files and a real PostgreSQL server."""

from __future__ import annotations

import asyncio
import builtins
import logging
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.adapters.measurements.rigs import SINCE_AGO_S, ReadingClock, found, problem_of, question, watch_of
from trimtab.adapters.measurements import MeasurementReader, postgres, sqlite
from trimtab.adapters.measurements.sql import LIMIT_ROWS, bind
from trimtab.core.errors import TrimtabError
from trimtab.core.model.measure import ArmMeasure
from trimtab.core.model.specification import SourceSpec
from trimtab.testing.clock import ManualClock
from trimtab.testing.measurements_contract import CANDIDATE, STABLE

EVIL = "' or 1=1 --"
COUNTING = "with recursive n(x) as (select 1 union all select x + 1 from n) select count(*) from n"


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with one refund of each of two releases, one of them with an evil name."""
    setting_up = (
        "drop table if exists refunds",
        "create table refunds (release text, amount float)",
        f"insert into refunds values ('cccccccccccc', 5), ('{EVIL.replace(chr(39), chr(39) * 2)}', 7)",
    )
    if request.param == "sqlite":
        with closing(sqlite3.connect(tmp_path / "shop.db")) as connection, connection:
            for statement in setting_up:
                connection.execute(statement)
        return f"sqlite:///{tmp_path / 'shop.db'}"
    server: str = request.getfixturevalue("postgres_url")
    with psycopg.connect(server) as database:
        for statement in setting_up:
            database.execute(statement.encode())
    return server


def of(url: str, query: str, key: str = "bad") -> SourceSpec:
    return SourceSpec("sql", url, {key: query})


async def test_placeholders_are_parameters(url: str) -> None:
    source = of(url, "select count(*) from refunds where release = $release")
    measurement = await found(source, candidate=EVIL)
    assert measurement.problem is None
    assert measurement.arms == {EVIL: ArmMeasure(1), STABLE: ArmMeasure(0)}
    assert (await found(source)).arms[CANDIDATE] == ArmMeasure(1)


@pytest.mark.parametrize("query", ["delete from refunds", "insert into refunds values ('a', 1)", "drop table refunds"])
async def test_nothing_can_be_written(url: str, query: str) -> None:
    problem = await problem_of(of(url, query))
    assert problem.code == "metric-query"
    assert "read" in problem.message
    assert (await found(of(url, "select count(*) from refunds"))).arms[CANDIDATE] == ArmMeasure(2)


async def test_one_statement_at_a_time(url: str) -> None:
    problem = await problem_of(of(url, "select 1; commit; delete from refunds"))
    assert "says: " in problem.message
    assert (await found(of(url, "select count(*) from refunds"))).arms[CANDIDATE] == ArmMeasure(2)


@pytest.mark.parametrize("query", ["select sum(amount) from refunds where false", "select 1 where false"])
async def test_a_sum_of_nothing_is_nothing(url: str, query: str) -> None:
    assert (await found(of(url, query))).arms[CANDIDATE] == ArmMeasure(0)


@pytest.mark.parametrize(
    ("query", "message", "hint"),
    [
        ("select 1 union all select 2", "the query gives 2 rows instead of one number", "select count(*)"),
        ("select 1, 2", "the query gives 2 columns instead of one number", ""),
        ("select 'seven'", "a text came instead of a number", ""),
        ("select -1", "a total cannot be negative", ""),
        ("select n from nowhere", "nowhere", "see the query"),
        ("selekt 1", "says: ", "see the query"),
        ("select '$release'", "the placeholder in '$release' stands within quotes", "release = $release"),
        ('select "${arm}"', 'the placeholder in "${arm}" stands within quotes', ""),
    ],
)
async def test_what_is_no_number(url: str, query: str, message: str, hint: str) -> None:
    problem = await problem_of(of(url, query))
    assert message in problem.message
    assert hint in problem.hint
    assert problem.where == "rate, bad of the candidate"


async def test_nan_of_postgres(postgres_url: str) -> None:
    for query in ("select 'NaN'::numeric", "select 'NaN'::float"):
        assert "NaN came" in (await problem_of(of(postgres_url, query))).message
    assert "an infinite number" in (await problem_of(of(postgres_url, "select 'Infinity'::float"))).message


async def test_scores_are_rows(url: str) -> None:
    one = await found(of(url, "select 0.5 union all select 0.5 union all select 1", "scores"), "score")
    assert one.arms[CANDIDATE].scores == {50: 2, 100: 1}
    grouped = await found(of(url, "select 0.5, count(*) from refunds", "scores"), "score")
    assert grouped.arms[CANDIDATE].scores == {50: 2}
    problem = await problem_of(of(url, "select 1, 2, 3", "scores"), "score")
    assert "3 columns instead of scores" in problem.message


async def test_too_many_rows_are_cut_off(url: str) -> None:
    endless = COUNTING.replace("count(*)", "1")
    problem = await problem_of(of(url, endless, "scores"), "score")
    assert problem.code == "metric-flood"
    assert f"more than {LIMIT_ROWS:,} rows" in problem.message
    assert "group by score" in problem.hint


async def test_a_query_that_does_not_end_is_given_up(url: str) -> None:
    clock = ReadingClock()
    reader = MeasurementReader(clock, {})
    watch = watch_of(of(url, COUNTING), "rate", clock.now() - SINCE_AGO_S)
    await reader.latest(watch)
    await clock.alarmed.wait()
    clock.advance(watch.metrics[0].source.timeout_s)
    while (problem := (await reader.latest(watch))["rate"].problem) is None:
        await asyncio.sleep(0.002)
    assert problem.code == "metric-timeout"
    await reader.close()


async def test_postgres_ends_the_query_by_itself(postgres_url: str) -> None:
    source = SourceSpec("sql", postgres_url, {"bad": "select 1 from pg_sleep(60)"}, timeout_s=0.05)
    reader = MeasurementReader(ManualClock(), {})
    watch = watch_of(source, "rate", 0)
    watch = replace(watch, metrics=(replace(watch.metrics[0], source=source),))
    problem = (await reader.check(watch))["rate"].problem
    assert problem is not None
    assert problem.message == "PostgreSQL ended the query after 0.05 s"
    await reader.close()


async def test_a_database_that_is_not_there(tmp_path: Path, unused_tcp_port: int) -> None:
    problem = await problem_of(of(f"sqlite:///{tmp_path}/none.db", "select 1"))
    assert problem.message == f"there is no database {tmp_path}/none.db"
    assert "relative to where Trimtab was started" in problem.hint
    assert not (tmp_path / "none.db").exists()
    (tmp_path / "text.db").write_text("this is no database at all, but a text " * 50)
    assert "not a database" in (await problem_of(of(f"sqlite:///{tmp_path}/text.db", "select n from t"))).message
    problem = await problem_of(of(f"postgresql://app@127.0.0.1:{unused_tcp_port}/x", "select 1"))
    assert "the database cannot be reached" in problem.message
    assert problem.hint == "see that it runs, and the URL"


async def test_passwords_are_never_shown(postgres_url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    place = postgres_url.split("@")[1].removesuffix("/postgres")
    password = {"PASSWORD": "p@ss/word? 1%"}
    written = f"postgresql://app:${{PASSWORD}}@{place}"
    assert (await found(of(f"{written}/postgres", "select 1"), variables=password)).problem is None
    for url in (f"{written}/none", f"{written}/${{PASSWORD}}", f"postgresql://app:p%40ss@{place}/p%40ss"):
        problem = await problem_of(of(url, "select 1"), variables=password)
        assert "does not exist" in problem.message
        assert "@ss" not in f"{problem}{caplog.text}"


async def test_a_variable_of_the_url_that_is_not_set() -> None:
    problem = await problem_of(of("postgresql://app:${PASSWORD}@127.0.0.1/x", "select 1"), variables={})
    assert problem.message == "the variable PASSWORD is not set where Trimtab runs"


async def test_a_url_that_the_driver_does_not_understand() -> None:
    assert (await problem_of(of("postgresql://app@[::1/x", "select 1"))).code in ("metric-unreachable", "metric-query")


async def test_the_driver_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    load = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name == "psycopg":
            raise ImportError(name)
        return load(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    problem = await problem_of(of("postgresql://app@127.0.0.1/x", "select 1"))
    assert problem.code == "metric-driver"
    assert problem.hint == "pip install 'trimtab[postgres]'"


BOUND: Mapping[str, str] = {
    "select $release": "select <release>",
    "select ${release}, $arm": "select <release>, <arm>",
    "select '5 $' || $$ || '%'": "select '5 $' || $ || '%'",
    "select 'it''s $5' -- of $release": "select 'it''s $5' -- of $release",
    "select 5 % 2 /* $now\n */, $1": "select 5 % 2 /* $now\n */, $1",
    "select $other": "select $other",
}


@pytest.mark.parametrize("query", BOUND)
def test_what_is_bound(query: str) -> None:
    asked = question(of("", query))
    assert bind(asked, "<{}>") == BOUND[query]
    assert bind(asked, sqlite.MARK) == BOUND[query].replace("<", ":").replace(">", "")
    doubled = BOUND[query].replace("%", "%%")
    assert bind(asked, postgres.MARK, "%%") == doubled.replace("<", "%(").replace(">", ")s")


def test_texts_are_never_bound() -> None:
    for query in ("select 'a ''$release'''", "select 1, '\n$since'"):
        with pytest.raises(TrimtabError):
            bind(question(of("", query)), "<{}>")
