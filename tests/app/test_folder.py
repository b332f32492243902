"""Which store an installation has, and who may join it."""

from __future__ import annotations

import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from trimtab.adapters.store_sql.opening import open_store
from trimtab.app import Settings, serve
from trimtab.app.database import choose_database, remember_database
from trimtab.app.folder import DATABASE, STORE, alongside, database_of, keep_database
from trimtab.core.errors import TrimtabError
from trimtab.core.model.facts import PauseRequested, Recorded
from trimtab.ports.store import Controller

URL = "postgresql://ann:secret@db.example/trimtab"


def code_of(error: pytest.ExceptionInfo[TrimtabError]) -> str:
    return error.value.problem.code


def test_a_new_installation_takes_the_database_that_is_given(tmp_path: Path) -> None:
    assert choose_database(tmp_path, None) is None
    assert choose_database(tmp_path, URL) == URL
    assert database_of(tmp_path) is None, "chosen is not kept: it has to open first"


def test_a_database_is_said_once(tmp_path: Path) -> None:
    keep_database(tmp_path, URL)
    assert stat.S_IMODE((tmp_path / DATABASE).stat().st_mode) == 0o600
    assert choose_database(tmp_path, None) == URL
    assert choose_database(tmp_path, URL) == URL


def test_a_password_may_change(tmp_path: Path) -> None:
    keep_database(tmp_path, URL)
    newer = URL.replace("ann:secret", "ben:other")
    assert choose_database(tmp_path, newer) == newer
    remember_database(tmp_path, newer)
    assert database_of(tmp_path) == newer


def test_a_store_is_not_left_behind_for_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / STORE).touch()
    with pytest.raises(TrimtabError, match="is in the file") as refused:
        choose_database(tmp_path, URL)
    assert code_of(refused) == "database-differs"
    unreachable = "postgresql://ann:secret@127.0.0.1:1/trimtab"
    keep_database(tmp_path, unreachable)
    with pytest.raises(TrimtabError, match="is in another database") as refused:
        choose_database(tmp_path, unreachable.replace("trimtab", "other"))
    assert "secret" not in str(refused.value)
    assert choose_database(tmp_path, None) == unreachable


def test_a_database_that_does_not_open_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(TrimtabError) as refused:
        serve(Settings(tmp_path, port=0, database="postgresql://127.0.0.1:1/trimtab"), None)
    assert code_of(refused) == "store-unreachable"
    assert database_of(tmp_path) is None


def test_there_must_be_something_to_join(tmp_path: Path) -> None:
    with pytest.raises(TrimtabError) as refused, alongside(tmp_path / "nowhere"):
        raise AssertionError("there is nothing to join")
    assert code_of(refused) == "nothing-to-join"


def test_one_database_may_have_several_addresses(tmp_path: Path, fresh_postgres: Callable[[], str]) -> None:
    known, other = fresh_postgres(), fresh_postgres()
    with closing(open_store(known)) as store:
        store.append([Recorded("app/shop", PauseRequested("ann"))], 1.0)
        store.check_in(Controller("ann-1-c0ffee", "", "", "", "", 1, 0.0), 1.0)
    open_store(other).close()
    keep_database(tmp_path, known)
    by_name = known.replace("127.0.0.1", "localhost")
    assert by_name != known
    assert choose_database(tmp_path, by_name) == by_name
    remember_database(tmp_path, by_name)
    assert database_of(tmp_path) == known, "the first address is the installation's"
    with pytest.raises(TrimtabError, match="is in another database"):
        choose_database(tmp_path, other)
