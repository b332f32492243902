"""A newer program brings the store further while an older one works on it, and goes on with what that one began."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.adapters.store import worker
from tests.adapters.store.schema_1 import Schema1Store
from tests.adapters.store.test_processes import PATIENCE_S, receive, start, verified
from tests.engine.world import PRODUCTION, World
from trimtab.adapters.store_sql.migrate import migrate, migrations
from trimtab.adapters.store_sql.opening import open_store
from trimtab.adapters.store_sql.store import SqlStore
from trimtab.core.errors import TrimtabError

Place = Path | str


def version_of(store: SqlStore) -> int:
    [(version,)] = store._database.execute("SELECT MAX(version) FROM schema_version")
    return int(version)


async def test_a_rollout_is_carried_on_through_an_upgrade(place: Place, tmp_path: Path) -> None:
    old = Schema1Store(place)
    world = World(tmp_path)
    world.store = old
    world.register()
    world.start(owner="old")
    world.push("first")
    await world.until(lambda: world.ended(1))
    world.push("second")
    await world.until(lambda: bool(world.board.rollouts(PRODUCTION)[0].verified_at) and not world.ended(2))
    assert version_of(old) == 1

    new = open_store(place)
    assert version_of(new) == len(migrations())
    ticks = len(world.facts())
    await world.until(lambda: len(world.facts()) > ticks + 2)
    assert not world.ended(2), "the old one has gone on with it"
    await world.stop()
    old.close()

    world.store = new
    world.start(owner="new")
    await world.until(lambda: world.ended(2))
    await world.stop()
    first, second = reversed(world.board.rollouts(PRODUCTION))
    assert (first.status, second.status, second.verdict) == ("promoted", "promoted", "PASS")
    assert world.commits() == ["Promote", "Promote"]
    assert world.processes.started == ["step/shop/1/test/1", "step/shop/2/test/1"]
    new.close()


def test_a_process_of_the_older_version_goes_on_after_a_migration(place: Place) -> None:
    process, progress = start(worker.work_on_schema_1, place)
    receive(progress)
    new = open_store(place)
    numbers = [receive(progress)]
    while numbers[-1] < numbers[0] + 40:
        worker.act(new, "immortal")
        numbers.append(receive(progress))
    process.kill()
    process.join(PATIENCE_S)
    new.close()
    assert verified(place) >= numbers[-1]


def test_an_older_program_opens_what_a_compatible_one_brought_further(place: Place) -> None:
    open_store(place).close()
    old = Schema1Store(place)
    assert worker.count_up(old, "ann", 60.0) == 1
    old.close()
    new = open_store(place)
    assert worker.count_up(new, "ann", 60.0) == 2
    new.close()


@pytest.mark.parametrize(("works_from", "opens"), [("1", True), (str(len(migrations())), True), ("98", False)])
def test_newer_schemas_say_who_may_still_work_on_them(place: Place, works_from: str, opens: bool) -> None:
    store = open_store(place)
    for version, needed in ((98, "1"), (99, works_from)):
        store._database.execute(f"INSERT INTO schema_version (version, works_from) VALUES ({version}, {needed})")
    store.close()
    if opens:
        store = open_store(place)
        assert worker.count_up(store, "ann", 60.0) == 1
        store.close()
    else:
        with pytest.raises(TrimtabError) as caught:
            open_store(place)
        assert caught.value.problem.code == "store-newer"


def test_a_schema_that_says_nothing_is_for_its_own_program_only(place: Place) -> None:
    store = open_store(place)
    migrate(store._database, [*migrations(), "CREATE TABLE colours (name TEXT);\n"])
    store.close()
    with pytest.raises(TrimtabError) as caught:
        open_store(place)
    assert caught.value.problem.code == "store-newer"


def test_every_migration_says_who_may_still_work_on_its_schema() -> None:
    for version, script in enumerate(migrations()[1:], start=2):
        said = re.match(r"-- works-from: (\d+)\n", script)
        assert said is not None
        assert 1 <= int(said[1]) <= version
