"""However a board came to its facts, it is the same: by all of them, by a snapshot, or by what retention left."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.adapters.store_sql.opening import open_store
from trimtab.api import live_board
from trimtab.api.live_board import NAME, LiveBoard, pack, restore, unpack
from trimtab.core.decide.retention import ROUTINE, Retention
from trimtab.core.model.facts import EvidenceCounted, EvidenceSummed, FactOfNewerVersion, Recorded
from trimtab.engine.pruning import Pruner
from trimtab.ports.store import Store
from trimtab.testing.clock import ManualClock
from trimtab.testing.made_up_log import MadeUpLog
from trimtab.testing.memory_store import MemoryStore
from trimtab.views.board import PARTS, Board

DAY_S = 86400.0


def made_up(seed: int, deliveries: int = 8, ticks: int = 6) -> list[Recorded]:
    told = itertools.islice(MadeUpLog(seed, ticks=ticks).deliveries(), deliveries)
    return list(itertools.chain.from_iterable(told))


def decided(store: Store, facts: Iterable[Recorded], now: float) -> None:
    """Record facts as if their objects had seen them and, if they end, had ended."""
    recorded = store.append(list(facts), now)
    for of in dict.fromkeys(fact.object for fact in recorded):
        claim = store.claim(of, "ann", now, 9.0)
        assert claim is not None
        ended = of.startswith(("run/", "rollout/"))
        store.commit(claim, state="{}", facts=(), todo=(), wake_at=None, ended=ended, now=now)


def fold(facts: Iterable[Recorded]) -> Board:
    board = Board()
    board.apply(facts)
    return board


def everything(store: Store) -> tuple[Recorded, ...]:
    return store.facts(limit=1_000_000)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), part=st.floats(0, 1))
def test_a_snapshot_and_the_rest_are_the_whole(seed: int, part: float) -> None:
    store = MemoryStore()
    facts = store.append(made_up(seed), 1.0)
    cut = int(part * len(facts))
    first = fold(facts[:cut])
    board = Board.of(first.seq, unpack(pack(first.parts())))
    board.apply(facts[cut:])
    whole = fold(facts)
    assert board.seq == whole.seq
    assert board.parts() == whole.parts()
    assert board.apps() == whole.apps()
    assert board.releases("shop-0") == whole.releases("shop-0")
    assert board.overview("shop-1", 50) == whole.overview("shop-1", 50)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), part=st.floats(0, 1))
def test_what_retention_leaves_folds_to_the_same(seed: int, part: float) -> None:
    """Also for a board that was in the middle of it when most was removed."""
    store, clock = MemoryStore(), ManualClock(100 * DAY_S)
    decided(store, made_up(seed), 1 * DAY_S)
    before = everything(store)
    whole = fold(before)
    early = fold(before[: int(part * len(before))])
    gone = asyncio.run(Pruner(store, clock).go())
    left = everything(store)
    summed = [fact for fact in left if isinstance(fact.fact, EvidenceSummed)]
    assert gone == len(before) + len(summed) - len(left)
    assert fold(left).parts() == whole.parts()
    for board in (early, whole):
        board.apply(left)
        assert board.parts() == fold(before).parts()


@pytest.fixture(params=["sqlite", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return open_store(tmp_path / "store.db") if request.param == "sqlite" else MemoryStore()


async def test_only_routine_goes_and_the_last_tick_of_each_step_stays(store: Store) -> None:
    decided(store, made_up(7), 1 * DAY_S)
    before = everything(store)
    await Pruner(store, ManualClock(40 * DAY_S)).go()
    left = everything(store)
    removed = [fact for fact in before if fact not in left]
    assert {fact.kind for fact in removed} == set(ROUTINE)
    last = {(f.object, f.fact.index): f for f in before if isinstance(f.fact, EvidenceCounted)}
    assert {fact.seq for fact in last.values()} == {fact.seq for fact in left if isinstance(fact.fact, EvidenceCounted)}
    assert not any(fact.kind == "ActionDone" for fact in left)
    assert await Pruner(store, ManualClock(40 * DAY_S)).go() == 0
    assert everything(store) == left


async def test_what_is_young_or_has_not_ended_stays(store: Store) -> None:
    facts = made_up(7)
    decided(store, facts, 20 * DAY_S)
    assert await Pruner(store, ManualClock(40 * DAY_S)).go() == 0
    assert await Pruner(store, ManualClock(40 * DAY_S), Retention(10 * DAY_S)).go() > 0

    running = MemoryStore()
    decided(running, (fact for fact in facts if fact.kind not in ("RolloutEnded", "RunFinished")), 1.0)
    await Pruner(running, ManualClock(90 * DAY_S)).go()
    kept = [fact for fact in everything(running) if fact.object.startswith(("run/", "rollout/"))]
    assert len(kept) == len([fact for fact in facts if fact.object.startswith(("run/", "rollout/"))]) - sum(
        fact.kind in ("RolloutEnded", "RunFinished") and fact.object.startswith(("run/", "rollout/")) for fact in facts
    )


async def test_work_that_was_broken_off_goes_on(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ended in the middle of a rollout's facts, after some of them and their sum were stored."""
    monkeypatch.setattr("trimtab.engine.pruning.PAGE", 5)
    decided(store, made_up(3), 1 * DAY_S)
    whole = fold(everything(store))
    clock = ManualClock(40 * DAY_S)
    for stop_after in (2, 9, 30):
        work = Pruner(store, clock).go()
        for _ in range(stop_after):
            work.send(None)
        work.close()
        assert fold(everything(store)).parts() == whole.parts()
    for _ in range(20):
        await Pruner(store, clock).go()
    assert fold(everything(store)).parts() == whole.parts()
    sums = [fact.object for fact in everything(store) if isinstance(fact.fact, EvidenceSummed)]
    assert len(sums) == len(set(sums)) > 5


# --- snapshots ---


def test_a_snapshot_of_another_version_is_made_anew(store: Store) -> None:
    facts = store.append(made_up(1), 1.0)
    store.keep_snapshot(NAME, 5, "board 0 0123456789abcdef\nwhatever")
    assert restore(store).seq == 0
    assert LiveBoard(store).now().parts() == fold(facts).parts()


@pytest.mark.parametrize("damage", ["", "!", "c$|{b"])
def test_a_damaged_snapshot_is_passed_over(store: Store, damage: str) -> None:
    facts = store.append(made_up(1), 1.0)
    board = fold(facts[:20])
    store.keep_snapshot(NAME, 20, pack(board.parts())[:-40] + damage)
    assert restore(store).seq == 0
    assert LiveBoard(store).now().parts() == fold(facts).parts()


def test_a_change_of_folds_or_of_views_is_another_version(monkeypatch: pytest.MonkeyPatch) -> None:
    said = live_board.version()
    monkeypatch.setattr(live_board, "FOLDS", 999)
    assert live_board.version.__wrapped__() != said
    monkeypatch.undo()
    monkeypatch.setattr(live_board, "PARTS", PARTS[1:])
    assert live_board.version.__wrapped__() != said


async def test_snapshots_are_kept_now_and_then_and_opened(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_board, "EVERY", 100)
    clock, board = ManualClock(), LiveBoard(store)
    keeping = asyncio.create_task(board.keep(clock))
    await clock.run_for(1.0)
    assert store.snapshot(NAME) is None
    facts = store.append(made_up(1), 1.0)
    kept = await _until_kept(store, clock, 0)
    assert kept == len(facts)
    reopened = restore(store)
    assert (reopened.seq, reopened.parts()) == (kept, board.now().parts())
    more = store.append(made_up(2)[:150], 2.0)
    assert await _until_kept(store, clock, kept) == more[-1].seq
    keeping.cancel()


async def _until_kept(store: Store, clock: ManualClock, before: int) -> int:
    for _ in range(200):
        await clock.run_for(live_board.LOOK_S)
        await asyncio.sleep(0.01)  # packing is the work of a thread
        snapshot = store.snapshot(NAME)
        if snapshot is not None and snapshot.seq > before:
            return snapshot.seq
    raise AssertionError("no snapshot was kept")


def test_facts_of_newer_versions_are_passed_over() -> None:
    store = MemoryStore()
    facts = store.append(made_up(1), 1.0)
    newer = [Recorded(fact.object, FactOfNewerVersion("TeaServed", "{}"), seq=fact.seq) for fact in facts]
    board = Board()
    for fact, unknown in zip(facts, newer, strict=True):
        board.apply([fact])
        board.seq -= 1
        board.apply([unknown])
    assert newer[0].kind == "TeaServed"
    assert board.parts() == fold(facts).parts()
