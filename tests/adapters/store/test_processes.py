"""Several controllers on one store, and controllers that end in the middle of a write. Real processes."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.store import worker
from trimtab.adapters.store_sql import sqlite
from trimtab.adapters.store_sql.opening import open_store
from trimtab.core.errors import TrimtabError

PATIENCE_S = 60.0

spawn = multiprocessing.get_context("spawn")


def start(work: Callable[..., None], *arguments: Any) -> tuple[BaseProcess, Connection]:
    ours, theirs = spawn.Pipe(duplex=False)
    process = spawn.Process(target=work, args=(*arguments, theirs), daemon=True)
    process.start()
    theirs.close()
    return process, ours


def receive(connection: Connection) -> Any:
    assert connection.poll(PATIENCE_S), "the process does not answer"
    return connection.recv()


def verified(place: Path | str) -> int:
    store = open_store(place)
    try:
        return worker.verify(store)
    finally:
        store.close()


def test_controllers_that_race_lose_no_tick(place: Path | str) -> None:
    """Leases so short that they take the object from each other all the time, from the store's creation on."""
    racers = [start(worker.work_until, place, owner, 150, 0.001) for owner in ("ann", "bob", "cid")]
    stored = [receive(result) for _, result in racers]
    for process, _ in racers:
        process.join(PATIENCE_S)
    assert sum(stored) == verified(place) >= 150
    store = open_store(place)
    row = store.get(worker.COUNTER)
    store.close()
    assert row is not None
    assert row.fence >= len(racers), "it changed hands"


@pytest.mark.parametrize("seed", [1, 2])
def test_a_controller_killed_at_any_moment_leaves_one_story(seed: int, place: Path | str) -> None:
    chance = random.Random(seed)
    reached = 0
    for _ in range(4):
        process, progress = start(worker.work_until_killed, place)
        said = receive(progress)
        time.sleep(chance.uniform(0.0, 0.08))  # not for anything to happen: the kill is to come at any moment
        process.kill()
        process.join(PATIENCE_S)
        while progress.poll():
            try:
                said = progress.recv()
            except EOFError:
                break
        stored = verified(place)
        assert stored >= said > reached, "what was stored stays stored"
        reached = stored


@pytest.fixture
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "PATIENCE_S", 0.1)
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_S", 1.0)


@pytest.mark.usefixtures("little_patience")
def test_a_controller_that_is_paused_in_a_transaction_is_ended_by_the_next_who_writes(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    process, progress = start(worker.pause_while_writing, path, True)
    receive(progress)
    store = open_store(path)
    assert worker.count_up(store, "ben", 60.0) == 1, "what the other was writing never happened"
    process.join(PATIENCE_S)
    assert process.exitcode == -signal.SIGKILL
    assert worker.verify(store) == 1
    store.close()


@pytest.mark.usefixtures("little_patience")
def test_a_process_that_is_no_controller_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    store = open_store(path)
    process, progress = start(worker.pause_while_writing, path, False)
    receive(progress)
    with pytest.raises(TrimtabError) as caught:
        worker.count_up(store, "ben", 60.0)
    assert caught.value.problem.code == "store-busy"
    assert process.exitcode is None
    assert process.pid is not None
    os.kill(process.pid, signal.SIGCONT)
    process.join(PATIENCE_S)
    assert worker.verify(store) == 1, "what it was writing is stored"
    store.close()


def test_a_full_disk_leaves_the_last_commit_in_force(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    process, result = start(worker.work_until_the_disk_is_full, path, 300_000)
    number, code = receive(result)
    process.join(PATIENCE_S)
    assert code in ("store-full", "store-unwritable")
    assert verified(path) == number > 0
