"""What is PostgreSQL's own: servers that refuse, hang, stop and return, and writers side by side."""

from __future__ import annotations

import asyncio
import multiprocessing
import select
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Never

import psycopg
import pytest

from tests.adapters.store.test_processes import PATIENCE_S, receive, start
from trimtab.adapters.clock import SystemClock
from trimtab.adapters.store_sql import opening
from trimtab.adapters.store_sql.opening import open_store
from trimtab.adapters.store_sql.postgres import PostgresDatabase
from trimtab.adapters.store_sql.postgres_errors import cannot_connect, explain, public
from trimtab.adapters.store_sql.store import SqlStore
from trimtab.core.errors import TrimtabError
from trimtab.core.model.facts import PauseRequested, Recorded
from trimtab.engine.listening import listen

FACT = Recorded("app/shop", PauseRequested("ann"))


@pytest.fixture
def url(fresh_postgres: Callable[[], str]) -> str:
    return fresh_postgres()


def refusal(url: str) -> TrimtabError:
    with pytest.raises(TrimtabError) as caught:
        open_store(url)
    return caught.value


def code_of(ask: Callable[[], object]) -> str:
    with pytest.raises(TrimtabError) as caught:
        ask()
    return caught.value.problem.code


def administer(url: str, statement: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement.encode())


def cut(url: str) -> None:
    """End every other session of this URL's schema, as a server does that restarts."""
    administer(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE application_name = 'trimtab' AND pid <> pg_backend_pid()",
    )


# --- what cannot be opened ---


def test_a_server_that_is_not_there(url: str) -> None:
    said = refusal("postgresql://app:hush%20hush@127.0.0.1:1/postgres")
    assert said.problem.code == "store-unreachable"
    assert said.problem.where == "postgresql://app@127.0.0.1:1/postgres"
    assert "hush" not in str(said)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("/postgres", "/nowhere"), "store-missing"),
        (("app@", "stranger:hush@"), "store-refused"),
        (("search_path%3D", "search_path%3Dno_"), "store-missing"),
    ],
)
def test_what_is_not_there_or_does_not_let_us_in(url: str, change: tuple[str, str], code: str) -> None:
    said = refusal(url.replace(*change))
    assert said.problem.code == code
    assert said.problem.hint
    assert "hush" not in str(said)


@pytest.mark.parametrize("url", ["mysql://app@host/db", "postgresql://[hush/db"])
def test_a_url_that_nobody_understands(url: str) -> None:
    said = refusal(url)
    assert said.problem.code == "store-url"
    assert "hush" not in str(said)


def test_without_the_driver_it_is_said_how_to_get_it(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "trimtab.adapters.store_sql.postgres", None)
    said = refusal(url)
    assert said.problem.code == "store-driver"
    assert said.problem.hint == opening.INSTALL


def test_a_database_that_keeps_other_text_than_unicode(url: str, postgres_url: str) -> None:
    administer(postgres_url, "CREATE DATABASE latin ENCODING 'LATIN1' TEMPLATE template0")
    assert refusal(postgres_url.replace("/postgres", "/latin")).problem.code == "store-unsupported"


def test_a_server_that_only_reads(url: str) -> None:
    open_store(url).close()
    read_only = url.replace("options=", "options=-cdefault_transaction_read_only%3Don%20")
    assert refusal(read_only).problem.code == "store-unwritable"


# --- a connection that is lost ---


def test_a_lost_connection_is_made_anew(url: str) -> None:
    store = open_store(url)
    recorded = store.append([FACT], 1.0)
    cut(url)
    assert code_of(lambda: store.append([FACT], 2.0)) == "store-unreachable"
    assert store.facts() == recorded, "nothing of it was stored"
    cut(url)
    assert code_of(store.facts) == "store-unreachable"
    assert store.facts() == recorded
    store.close()


def test_a_transaction_does_not_go_on_in_another_connection(url: str) -> None:
    database = PostgresDatabase(url)
    store = SqlStore(database)

    def work() -> None:
        store._record([FACT], 1.0)
        cut(url)
        for _ in range(2):
            with pytest.raises(TrimtabError):
                store._record([FACT], 1.0)

    assert code_of(lambda: database.write(work)) == "store-unreachable"
    assert store.facts() == ()
    store.close()


def test_who_cannot_reach_the_server_does_not_wait_for_it_at_each_call(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = PostgresDatabase(url)
    cut(url)
    assert code_of(lambda: database.execute("SELECT 1")) == "store-unreachable"
    tries: list[float] = []

    def unreachable() -> Never:
        tries.append(time.monotonic())
        raise TrimtabError

    monkeypatch.setattr(database, "_connect", unreachable)
    for _ in range(3):
        with pytest.raises(TrimtabError):
            database.execute("SELECT 1")
    assert len(tries) == 1


def test_a_server_that_hangs_is_not_waited_for(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trimtab.adapters.store_sql.postgres.ANSWER_S", 0.2)
    store = open_store(url)
    assert code_of(lambda: store._database.execute("SELECT pg_sleep(60)")) == "store-unreachable"
    assert store.facts() == ()
    store.close()


def test_a_statement_that_takes_too_long_is_ended(url: str) -> None:
    store = open_store(url)
    store._database.execute("SET statement_timeout = 100")
    assert code_of(lambda: store._database.execute("SELECT pg_sleep(60)")) == "store-busy"
    assert store.facts() == ()
    store.close()


def test_who_falls_asleep_in_his_turn_loses_it(url: str) -> None:
    sleeper, other = open_store(url), open_store(url)
    sleeper._database.execute("SET idle_in_transaction_session_timeout = 100")
    lost = Recorded("app/lost", PauseRequested("ann"))

    def work() -> None:
        sleeper._database.execute("SELECT 1")
        other.append([FACT], 1.0)

    assert code_of(lambda: sleeper._database.write(work)) == "store-unreachable"
    assert sleeper.append([lost], 2.0)[0].seq == 2
    sleeper.close()
    other.close()


# --- writers side by side ---


def test_who_deadlocks_with_others_tries_again(url: str) -> None:
    """The order of locks is the rule of this program; a hand at `psql` need not keep it."""
    store = open_store(url)
    store.append([Recorded(name, PauseRequested("ann")) for name in ("app/a", "app/b")], 1.0)
    database = store._database
    tries = 0
    second = psycopg.connect(url)
    second.execute("SELECT 1 FROM objects WHERE id = 'app/b' FOR UPDATE")

    def work() -> None:
        nonlocal tries
        tries += 1
        database.execute("UPDATE objects SET wake_at = 7 WHERE id = 'app/a'")
        if tries == 1:
            holder = threading.Thread(target=hold)
            holder.start()
        database.execute("UPDATE objects SET wake_at = 7 WHERE id = 'app/b'")

    def hold() -> None:
        second.execute("SET deadlock_timeout = '10s'")
        second.execute("SELECT 1 FROM objects WHERE id = 'app/a' FOR UPDATE")
        second.rollback()

    database.execute("SET deadlock_timeout = '50ms'")
    database.write(work)
    assert tries == 2
    second.close()
    assert [row.wake_at for row in store.objects("")] == [7.0, 7.0]
    store.close()


def write_many(url: str, name: str, go: Connection, result: Connection) -> None:
    store = open_store(url)
    go.recv()
    for number in range(100):
        objects = sorted((f"app/{(number * 7) % 5}", f"app/{(number * 3) % 5}", "app/all"), reverse=number % 2 == 0)
        store.append([Recorded(to, PauseRequested(f"{name}-{number}")) for to in objects], time.time())
        store.look_again({to: time.time() + 9 for to in objects}, time.time())
        claim = store.claim(f"run/{name}/1", name, time.time(), 60.0)
        assert claim is not None
        told = [Recorded(to, PauseRequested(name)) for to in reversed(objects)]
        store.commit(claim, state="{}", facts=told, todo=[], wake_at=None, ended=False, now=time.time())
        store.release_leases(name)
    store.close()
    result.send("done")


def test_a_reader_misses_no_fact_of_writers_side_by_side(url: str) -> None:
    """Pages through the log while several processes write, in orders that would lock each other out."""
    open_store(url).close()
    writers = []
    for name in ("ann", "bob", "cid"):
        theirs, ours = multiprocessing.get_context("spawn").Pipe(duplex=False)
        writers.append((*start(write_many, url, name, theirs), ours))
    for _, _, go in writers:
        go.send("go")
    store = open_store(url)
    seen: list[int] = []
    deadline = time.monotonic() + PATIENCE_S
    while len(seen) < 3 * 100 * 6 and time.monotonic() < deadline:
        seen += [fact.seq for fact in store.facts(after=seen[-1] if seen else 0, limit=50)]
    assert [receive(result) for _, result, _ in writers] == ["done"] * 3
    assert seen == [fact.seq for fact in store.facts(limit=10_000)]
    assert seen == list(range(1, 3 * 100 * 6 + 1))
    store.close()


def open_at_once(url: str, result: Connection) -> None:
    store = open_store(url)
    result.send(len(store.append([FACT], 1.0)))


def test_processes_that_open_an_empty_database_at_once_migrate_it_once(url: str) -> None:
    openers = [start(open_at_once, url) for _ in range(4)]
    assert [receive(result) for _, result in openers] == [1] * 4


# --- listening ---


async def test_an_append_wakes_others_at_once_and_again_after_a_loss(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trimtab.engine.listening.AGAIN_S", 0.0)
    ours, others = open_store(url), open_store(url)
    woken = asyncio.Event()
    listening = asyncio.create_task(listen(ours, SystemClock(), woken.set))

    async def wait() -> None:
        await asyncio.wait_for(woken.wait(), PATIENCE_S)
        woken.clear()

    await wait()
    others.append([FACT], 1.0)
    await wait()
    cut(url)
    await wait()
    assert code_of(lambda: others.append([FACT], 1.0)) == "store-unreachable"
    others.append([FACT], 2.0)
    await wait()
    others.release_leases("ann")
    await wait()
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    ours.close()
    others.close()


def test_nobody_is_woken_by_what_he_did_himself_or_by_other_stores(url: str, fresh_postgres: Callable[[], str]) -> None:
    ours, elsewhere = open_store(url), open_store(fresh_postgres())
    listener = ours.listener()
    assert listener is not None
    for store in (elsewhere, ours):
        store.append([FACT], 1.0)
    assert select.select([listener.fileno()], [], [], PATIENCE_S)[0], "our own word comes back"
    assert not listener.heard()
    for closing in (listener, ours, elsewhere):
        closing.close()


def test_a_listener_says_when_it_hears_nothing_any_more(url: str) -> None:
    store = open_store(url)
    listener = store.listener()
    assert listener is not None
    cut(url)

    def hear_on() -> None:
        while select.select([listener.fileno()], [], [], PATIENCE_S)[0]:
            assert not listener.heard()

    assert code_of(hear_on) == "store-unreachable"
    listener.close()
    store.close()


# --- what errors mean ---


@pytest.mark.parametrize(
    ("sqlstate", "code"),
    [
        ("53100", "store-full"),
        ("53300", "store-busy"),
        ("55P03", "store-busy"),
        ("40P01", "store-busy"),
        ("57P01", "store-unreachable"),
        ("08006", "store-unreachable"),
        ("42501", "store-refused"),
        ("25006", "store-unwritable"),
        ("XX001", "store-corrupt"),
        ("42P01", "store-failed"),
    ],
)
def test_what_the_server_says_is_explained(sqlstate: str, code: str) -> None:
    said = explain(psycopg.errors.lookup(sqlstate)("it is so\nLINE 1: SELECT"), "postgresql://db")
    assert said.problem.code == code
    assert said.problem.hint
    assert str(said).startswith("postgresql://db: ")
    assert "(it is so)" in said.problem.message


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ann:s%40cret@db:5432/shop", "postgresql://ann@db:5432/shop"),
        (
            "postgresql://a,b/shop?user=ann&password=s%40cret&sslmode=require",
            "postgresql://a,b/shop?user=ann&sslmode=require",
        ),
        ("postgresql:///shop?host=%2Frun", "postgresql:///shop?host=%2Frun"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert public(url) == shown


def test_a_password_is_not_repeated_by_what_the_driver_says() -> None:
    for url in ("postgresql://ann:s%40cret@db/shop", "postgresql://db/shop?password=s%40cret"):
        said = cannot_connect(psycopg.OperationalError("failed: s@cret is wrong"), url)
        assert said.problem.message == "the store cannot be reached (failed: *** is wrong)"
