"""Two controllers on one store: one leads the data plane, the rest is spread, and whoever is gone is replaced."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.world import CONFIGURATION, PRODUCTION, World
from trimtab.core.errors import StaleFence
from trimtab.core.model.facts import PauseRequested, Recorded
from trimtab.engine.replicas import CHECK_IN_S, GONE_S, LEASE_S, PATIENCE_S, Lead, Sharing
from trimtab.ports.store import Controller
from trimtab.testing.memory_store import MemoryStore

GATEWAY = "gateway/local"
APPS = [f"app/shop{number}" for number in range(40)]


def controller(name: str) -> Controller:
    return Controller(name, f"http://{name}", "1", "machine", "/home", 1, 0.0)


def lead(world: World, owner: str) -> Lead:
    return Lead(GATEWAY, world.store, world.traffic, world.clock, owner)


async def test_one_leads_and_delivers(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.register()
    leads = {name: lead(world, name) for name in ("ann", "bob")}
    for name, mine in leads.items():
        world.start(owner=name, lead=mine)
    world.push("first")
    await world.until(lambda: world.ended(1))
    assert sorted(mine.fence is not None for mine in leads.values()) == [False, True]
    environment = world.store.get(PRODUCTION.object_id)
    assert environment is not None
    assert environment.owner == next(name for name, mine in leads.items() if mine.fence is not None)
    await world.stop()


async def test_who_died_is_replaced_within_the_lease_and_its_canary_goes_on(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.register()
    ann, bob = lead(world, "ann"), lead(world, "bob")
    world.start(owner="ann", lead=ann)
    world.push("first")
    await world.until(lambda: world.ended(1))
    world.start(owner="bob", lead=bob)
    world.push("second", CONFIGURATION)
    await world.until(lambda: world.traffic.share(PRODUCTION).candidate_pct == 20)
    await world.kill("ann")
    died_at = world.clock.now()
    await world.until(lambda: bob.fence is not None)
    assert world.clock.now() - died_at <= LEASE_S + 1.0
    await world.until(lambda: world.ended(2))
    assert world.board.rollouts(PRODUCTION)[0].status == "promoted"
    await world.stop()


async def test_who_was_paused_changes_nothing_when_it_wakes(tmp_path: Path) -> None:
    world = World(tmp_path)
    first = lead(world, "ann")
    first.keep(world.clock.now(), lambda tell: None)
    await first._tell(1)
    world.clock.advance(LEASE_S + 0.1)
    second = lead(world, "bob")
    second.keep(world.clock.now(), lambda tell: None)
    await second._tell(2)
    with pytest.raises(StaleFence):
        await world.traffic.lead(1)
    first.keep(world.clock.now(), lambda tell: None)
    assert first.fence is None
    await first._tell(1)
    assert first.fence is None, "what it believed does not come true by being told late"


async def test_a_new_store_s_fences_outgrow_those_that_the_data_plane_knows(tmp_path: Path) -> None:
    world = World(tmp_path)
    await world.traffic.lead(1234)
    world.register()
    mine = lead(world, "ann")
    world.start(owner="ann", lead=mine)
    world.push("first")
    await world.until(lambda: world.ended(1))
    assert mine.fence is not None
    assert mine.fence >= 1234
    await world.stop()


def spread(store: MemoryStore, names: list[str], now: float) -> list[Sharing]:
    sharings = [Sharing(store, controller(name)) for name in names]
    for _ in range(2):
        for sharing in sharings:
            sharing.check_in(now)
            sharing._checked_at = float("-inf")
    return sharings


def test_each_application_has_its_place_with_one_of_those_that_are_alive() -> None:
    sharings = spread(MemoryStore(), ["ann", "bob", "cem"], 100.0)
    takers = {app: [sharing.me.owner for sharing in sharings if sharing.takes(app, 100.0)] for app in APPS}
    assert all(len(mine) == 1 for mine in takers.values())
    assert {mine[0] for mine in takers.values()} == {"ann", "bob", "cem"}
    runs = [sharing.me.owner for sharing in sharings if sharing.takes("run/shop0/7", 100.0)]
    assert runs == takers["app/shop0"], "what belongs together stays together"


def test_whose_turn_is_not_taken_loses_it() -> None:
    ann, bob = spread(MemoryStore(), ["ann", "bob"], 100.0)
    mine = next(app for app in APPS if bob.takes(app, 100.0))
    assert not ann.takes(mine, 100.0)
    assert not ann.takes(mine, 100.0 + PATIENCE_S - 0.1)
    assert ann.takes(mine, 100.0 + PATIENCE_S)


def test_who_took_its_turn_is_waited_for_the_next_time_too() -> None:
    ann, bob = spread(MemoryStore(), ["ann", "bob"], 100.0)
    mine = next(app for app in APPS if bob.takes(app, 100.0))
    assert not ann.takes(mine, 100.0)
    assert not ann.takes(mine, 200.0)
    assert ann.takes(mine, 200.0 + PATIENCE_S)


def test_one_alone_takes_everything() -> None:
    [ann] = spread(MemoryStore(), ["ann"], 100.0)
    assert all(ann.takes(app, 100.0) for app in APPS)


def test_who_was_not_seen_for_a_while_is_not_reckoned_with() -> None:
    ann, bob = spread(MemoryStore(), ["ann", "bob"], 100.0)
    ann.check_in(100.0 + GONE_S + CHECK_IN_S)
    assert all(ann.takes(app, 110.0) for app in APPS)
    assert bob.me.owner in [known.owner for known in ann.store.controllers()], "it may come back"


def test_who_is_known_to_be_dead_is_not_waited_for() -> None:
    store = MemoryStore()
    spread(store, ["ann", "bob"], 100.0)
    store.append([Recorded("run/shop/1", PauseRequested("ada"))], 100.0)
    assert store.claim("run/shop/1", "bob", 100.0, LEASE_S) is not None
    Sharing(store, controller("ann"), is_gone=lambda other: other.owner == "bob").check_in(100.5)
    assert store.due(100.5, "ann") == ("run/shop/1",)
    assert [known.owner for known in store.controllers()] == ["ann"]


def test_a_clock_that_was_set_back_keeps_nobody_from_checking_in() -> None:
    store = MemoryStore()
    [ann] = spread(store, ["ann"], 1000.0)
    ann.check_in(500.0)
    assert [known.seen_at for known in store.controllers()] == [500.0]
