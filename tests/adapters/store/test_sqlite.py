"""What is wrong with a file is said clearly, and nothing is half-done. Migrations."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from tests.adapters.store import worker
from trimtab.adapters.store_sql.migrate import migrate, migrations
from trimtab.adapters.store_sql.sqlite import SqliteDatabase
from trimtab.adapters.store_sql.store import SqliteStore
from trimtab.core.errors import TrimtabError
from trimtab.core.model.facts import PauseRequested, Recorded


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def filled(path: Path, ticks: int) -> None:
    store = SqliteStore(path)
    for _ in range(ticks):
        worker.count_up(store, "ann", 60.0)
    store.close()


def work_for_ever(store: SqliteStore) -> None:
    for _ in range(1000):
        worker.count_up(store, "ann", 60.0)


def refusal(path: Path) -> str:
    with pytest.raises(TrimtabError) as caught:
        SqliteStore(path)
    assert caught.value.problem.where == str(path)
    assert caught.value.problem.hint
    return caught.value.problem.code


# --- the file ---


def test_what_was_stored_is_there_for_the_next(path: Path) -> None:
    filled(path, 3)
    store = SqliteStore(path)
    assert worker.verify(store) == 3
    store.close()


def test_another_connection_sees_a_commit_at_once(path: Path) -> None:
    one, other = SqliteStore(path), SqliteStore(path)
    recorded = one.append([Recorded("app/shop", PauseRequested("ann"))], 1.0)
    assert other.facts() == recorded
    one.close()
    other.close()


def test_every_commit_waits_for_the_disk(path: Path) -> None:
    database = SqliteDatabase(path)
    settings = {name: database.execute(f"PRAGMA {name}")[0][0] for name in ("journal_mode", "synchronous")}
    database.close()
    assert settings == {"journal_mode": "wal", "synchronous": 2}


def test_a_store_is_for_the_thread_that_made_it(path: Path) -> None:
    store, raised = SqliteStore(path), []

    def use() -> None:
        try:
            store.facts()
        except sqlite3.ProgrammingError as error:
            raised.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    store.close()
    assert raised


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"Dear diary, today nothing was deployed.\n" * 100)
    assert refusal(path) == "store-corrupt"
    assert path.read_bytes().startswith(b"Dear diary")


def test_a_damaged_database_is_said_to_be_damaged(path: Path) -> None:
    filled(path, 200)
    content = bytearray(path.read_bytes())
    content[4096 * 2 :] = b"\xff" * (len(content) - 4096 * 2)
    path.write_bytes(content)
    store = SqliteStore(path)
    with pytest.raises(TrimtabError) as caught:
        worker.verify(store)
    store.close()
    assert caught.value.problem.code == "store-corrupt"


@pytest.mark.parametrize("name", ["missing/store.db", "folder", "file/store.db"])
def test_a_place_where_no_file_can_be_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    assert refusal(tmp_path / name) == "store-unwritable"


def test_a_place_where_nobody_may_write_is_refused() -> None:
    assert refusal(Path("/proc/store.db")) == "store-unwritable"


def test_a_store_that_may_not_be_written_is_refused(path: Path) -> None:
    filled(path, 1)
    store = SqliteStore(path)
    store._database.execute("PRAGMA query_only = ON")  # what a read-only mount does, without being the superuser
    with pytest.raises(TrimtabError) as caught:
        store.append([Recorded("app/shop", PauseRequested("ann"))], 1.0)
    store.close()
    assert caught.value.problem.code == "store-unwritable"


def test_a_full_disk_is_said_and_survived(path: Path) -> None:
    filled(path, 5)
    store = SqliteStore(path)
    [(pages,)] = store._database.execute("PRAGMA page_count")
    store._database.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(TrimtabError) as caught:
        work_for_ever(store)
    assert caught.value.problem.code == "store-full"
    before = worker.verify(store)
    store._database.execute(f"PRAGMA max_page_count = {pages + 1000}")
    assert worker.count_up(store, "ann", 60.0) == before + 1, "with space again, work goes on"
    store.close()


def test_a_file_that_someone_keeps_locked_is_said_to_be(path: Path) -> None:
    store, other = SqliteStore(path), SqliteStore(path)
    other._database.execute("PRAGMA busy_timeout = 1")
    with pytest.raises(TrimtabError) as caught:
        store._database.write(lambda: other.append([Recorded("app/shop", PauseRequested("ann"))], 1.0))
    assert caught.value.problem.code == "store-busy"
    store.close()
    other.close()


# --- migrations ---


def test_a_store_of_a_newer_version_is_refused_and_left_alone(path: Path) -> None:
    filled(path, 1)
    newer = SqliteDatabase(path)
    newer.execute("INSERT INTO schema_version (version) VALUES (99)")
    newer.close()
    before = path.read_bytes()
    assert refusal(path) == "store-newer"
    assert path.read_bytes() == before


def test_an_older_store_gets_the_migrations_it_lacks(path: Path) -> None:
    filled(path, 2)
    database = SqliteDatabase(path)
    script = (
        "-- two statements; in one script\nCREATE TABLE colours (name TEXT);\nINSERT INTO colours VALUES ('a;b');\n"
    )
    for _ in range(2):
        migrate(database, [*migrations(), script])
    assert database.execute("SELECT name FROM colours") == [("a;b",)]
    assert database.execute("SELECT id FROM objects") != []
    database.close()


def test_a_migration_that_fails_changes_nothing(path: Path) -> None:
    database = SqliteDatabase(path)
    good, bad = "CREATE TABLE one (a TEXT);\n", "CREATE TABLE two (a TEXT);\nCREATE TABLE one (b TEXT);\n"
    with pytest.raises(TrimtabError) as caught:
        migrate(database, [good, bad])
    assert caught.value.problem.code == "store-failed"
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables == {"schema_version", "one"}
    migrate(database, [good, "CREATE TABLE two (a TEXT);\n"])
    assert database.execute("SELECT MAX(version) FROM schema_version") == [(2,)]
    database.close()
