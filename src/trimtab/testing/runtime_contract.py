"""What every `Runtime` promises. Each check takes a fresh bench; `CHECKS` has them all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Protocol

from trimtab.core.errors import StaleFence
from trimtab.core.model.identity import ArmId, Digest, EnvironmentId, arm
from trimtab.core.model.specification import Specification
from trimtab.core.model.traffic import Endpoint, Instance
from trimtab.ports.runtime import Runtime

FIRST = "sha256:" + "1" * 64
SECOND = "sha256:" + "2" * 64
THIRD = "sha256:" + "3" * 64
PROGRAM = "sha256:" + "a" * 64
OTHER_PROGRAM = "sha256:" + "b" * 64
Seen = list[tuple[Endpoint, int | None, str]]
PLACE = EnvironmentId("shop", "production")
OTHER_PLACE = EnvironmentId("shop", "staging")
_MOST_WAITS = 1000


class RuntimeBench(Protocol):
    """A runtime to be examined, and the means to do it. Instances answer badly until `answer` says otherwise."""

    runtime: Runtime
    specification: Specification
    root: Path

    async def answer(self, environment: EnvironmentId, release: ArmId, *, well: bool) -> None:
        """Let the release's instances answer their health check well or badly."""
        ...

    async def wait(self) -> None:
        """Let a little time pass."""
        ...

    async def reopen(self) -> None:
        """Let `runtime` be what the next controller would see."""
        ...


async def _start(
    bench: RuntimeBench, release: ArmId = FIRST, replicas: int = 1, environment: EnvironmentId = PLACE
) -> tuple[Instance, ...]:
    await bench.runtime.ensure(environment, release, bench.specification, bench.root, replicas)
    return await bench.runtime.instances(environment, release)


async def phases_become(
    bench: RuntimeBench, phase: str, release: ArmId = FIRST, environment: EnvironmentId = PLACE
) -> tuple[Instance, ...]:
    """The release's instances once all are in the phase; an AssertionError if that takes too long."""
    found: tuple[Instance, ...] = ()
    for _ in range(_MOST_WAITS):
        found = await bench.runtime.instances(environment, release)
        if found and all(instance.phase == phase for instance in found):
            return found
        await bench.wait()
    raise AssertionError(f"never {phase}: {found}")


async def check_ensure_starts_replicas(bench: RuntimeBench) -> None:
    instances = await _start(bench, replicas=3)
    assert len(instances) == 3
    assert [instance.id for instance in instances] == sorted({instance.id for instance in instances})
    assert len({instance.endpoint for instance in instances}) == 3
    assert {instance.release for instance in instances} == {FIRST}
    await bench.answer(PLACE, FIRST, well=True)
    for instance in await phases_become(bench, "ready"):
        assert instance.pid is not None
        assert instance.log
        assert instance.problem is None


async def check_ensure_is_idempotent(bench: RuntimeBench) -> None:
    await bench.answer(PLACE, FIRST, well=True)
    await _start(bench, replicas=2)
    before = await phases_become(bench, "ready")
    after = await _start(bench, replicas=2)
    assert [(i.id, i.endpoint, i.pid) for i in after] == [(i.id, i.endpoint, i.pid) for i in before]


async def check_ensure_adds_replicas(bench: RuntimeBench) -> None:
    one = await _start(bench, replicas=1)
    two = await _start(bench, replicas=2)
    assert two[0].endpoint == one[0].endpoint
    assert len({instance.endpoint for instance in two}) == 2


async def check_an_instance_is_ready_when_it_answers(bench: RuntimeBench) -> None:
    await _start(bench)
    for _ in range(5):
        await bench.wait()
        assert [i.phase for i in await bench.runtime.instances(PLACE)] == ["starting"]
    await bench.answer(PLACE, FIRST, well=True)
    await phases_become(bench, "ready")


async def check_an_instance_that_stops_answering_is_unhealthy(bench: RuntimeBench) -> None:
    await bench.answer(PLACE, FIRST, well=True)
    await _start(bench)
    await phases_become(bench, "ready")
    await bench.answer(PLACE, FIRST, well=False)
    (instance,) = await phases_become(bench, "unhealthy")
    assert instance.problem is not None
    await bench.answer(PLACE, FIRST, well=True)
    (instance,) = await phases_become(bench, "ready")
    assert instance.problem is None


async def check_changes_are_told(bench: RuntimeBench) -> None:
    told: list[EnvironmentId] = []
    bench.runtime.on_change(told.append)
    await _start(bench)
    await bench.answer(PLACE, FIRST, well=True)
    await phases_become(bench, "ready")
    for _ in range(_MOST_WAITS):
        if told:
            break
        await bench.wait()
    assert set(told) == {PLACE}


async def check_releases_and_environments_are_apart(bench: RuntimeBench) -> None:
    await _start(bench, FIRST)
    await _start(bench, SECOND)
    await _start(bench, FIRST, environment=OTHER_PLACE)
    here, there = await bench.runtime.instances(PLACE), await bench.runtime.instances(OTHER_PLACE)
    assert sorted(instance.release for instance in here) == [FIRST, SECOND]
    assert len({instance.endpoint for instance in here + there}) == 3
    await bench.runtime.stop(PLACE, FIRST)
    assert [instance.release for instance in await bench.runtime.instances(PLACE)] == [SECOND]
    assert len(await bench.runtime.instances(OTHER_PLACE)) == 1


async def check_stale_fences_change_nothing(bench: RuntimeBench) -> None:
    """A controller that stood still for long must not stop what its successor has started."""
    await bench.runtime.ensure(PLACE, FIRST, bench.specification, bench.root, 1, fence=7)
    for stale in (
        bench.runtime.stop(PLACE, FIRST, fence=6),
        bench.runtime.remove(PLACE, fence=6),
        bench.runtime.ensure(PLACE, SECOND, bench.specification, bench.root, 1, fence=6),
    ):
        try:
            await stale
        except StaleFence:
            continue
        raise AssertionError("a stale fence was taken")
    await bench.reopen()
    assert [instance.release for instance in await bench.runtime.instances(PLACE)] == [FIRST]
    await bench.runtime.ensure(OTHER_PLACE, SECOND, bench.specification, bench.root, 1, fence=6)
    await bench.runtime.stop(OTHER_PLACE, SECOND)
    await bench.runtime.stop(PLACE, FIRST, fence=7)
    assert await bench.runtime.instances(PLACE) == ()


async def check_stop_is_idempotent_and_not_for_ever(bench: RuntimeBench) -> None:
    await bench.runtime.stop(PLACE, FIRST)
    await _start(bench, replicas=2)
    await bench.runtime.stop(PLACE, FIRST)
    await bench.runtime.stop(PLACE, FIRST)
    assert await bench.runtime.instances(PLACE) == ()
    await bench.answer(PLACE, FIRST, well=True)
    assert len(await _start(bench, replicas=1)) == 1
    await phases_become(bench, "ready")


async def check_some_instances_are_kept(bench: RuntimeBench) -> None:
    await bench.answer(PLACE, FIRST, well=True)
    await _start(bench, replicas=3)
    before = await phases_become(bench, "ready")
    for _ in range(2):
        await bench.runtime.stop(PLACE, FIRST, keep=1)
    kept = await bench.runtime.instances(PLACE, FIRST)
    assert [(i.id, i.pid, i.phase) for i in kept] == [(before[0].id, before[0].pid, "ready")]
    await bench.reopen()
    assert [i.id for i in await bench.runtime.instances(PLACE, FIRST)] == [before[0].id]
    assert len(await _start(bench, replicas=2)) == 2
    await phases_become(bench, "ready")


async def check_the_same_release_in_another_guise_is_another_arm(bench: RuntimeBench) -> None:
    other = arm(FIRST, "short-prompt")
    await bench.answer(PLACE, FIRST, well=True)
    await _start(bench)
    await bench.answer(PLACE, other, well=True)
    await bench.runtime.ensure(PLACE, other, bench.specification, bench.root, 1, {"PROMPT": "short"})
    assert [i.release for i in await bench.runtime.instances(PLACE, other)] == [other]
    await phases_become(bench, "ready", other)
    await bench.runtime.stop(PLACE, other)
    assert [i.release for i in await bench.runtime.instances(PLACE)] == [FIRST]
    await phases_become(bench, "ready")


async def check_what_is_removed_is_gone(bench: RuntimeBench) -> None:
    await _start(bench, FIRST, replicas=2)
    await _start(bench, SECOND)
    await _start(bench, FIRST, environment=OTHER_PLACE)
    await bench.runtime.stop(PLACE, SECOND)
    for _ in range(2):
        await bench.runtime.remove(PLACE, fence=7)
    assert await bench.runtime.instances(PLACE) == ()
    assert len(await bench.runtime.instances(OTHER_PLACE)) == 1
    await bench.reopen()
    assert await bench.runtime.instances(PLACE) == ()
    await bench.runtime.ensure(PLACE, FIRST, bench.specification, bench.root, 1, fence=7)
    await bench.answer(PLACE, FIRST, well=True)
    await phases_become(bench, "ready")


async def check_the_next_controller_finds_instances(bench: RuntimeBench) -> None:
    await bench.answer(PLACE, FIRST, well=True)
    await _start(bench, replicas=2)
    await _start(bench, SECOND)
    await bench.runtime.stop(PLACE, SECOND)
    before = await phases_become(bench, "ready")
    await bench.reopen()
    after = await bench.runtime.instances(PLACE)
    assert [(i.id, i.endpoint, i.pid, i.phase) for i in after] == [(i.id, i.endpoint, i.pid, "ready") for i in before]
    await bench.runtime.stop(PLACE, FIRST)
    assert await bench.runtime.instances(PLACE) == ()


# --- arms that share instances ---


async def _share(
    bench: RuntimeBench,
    release: ArmId,
    replicas: int = 1,
    program: Digest = PROGRAM,
    environment: EnvironmentId = PLACE,
    fence: int = 0,
) -> tuple[Instance, ...]:
    await bench.runtime.ensure(
        environment, release, bench.specification, bench.root, replicas, program=program, fence=fence
    )
    return await bench.runtime.instances(environment, release)


async def _shared(bench: RuntimeBench, replicas: int = 1) -> Seen:
    """The instances that FIRST and SECOND share, as seen by FIRST, once they are ready."""
    for release in (FIRST, SECOND):
        await bench.answer(PLACE, release, well=True)
    await _share(bench, FIRST, replicas)
    running = _seen(await phases_become(bench, "ready"))
    await _share(bench, SECOND, replicas)
    return running


def _seen(instances: tuple[Instance, ...]) -> Seen:
    return [(instance.endpoint, instance.pid, instance.phase) for instance in instances]


async def _of(bench: RuntimeBench, release: ArmId) -> Seen:
    return _seen(await bench.runtime.instances(PLACE, release))


async def check_the_same_program_is_shared(bench: RuntimeBench) -> None:
    running = await _shared(bench, replicas=2)
    assert await _of(bench, SECOND) == running, "they are ready at once"
    assert await _of(bench, FIRST) == running
    everything = await bench.runtime.instances(PLACE)
    assert [instance.release for instance in everything] == [FIRST, FIRST, SECOND, SECOND]
    assert len({instance.id for instance in everything}) == 4, "each is known by a name of its own"
    assert len({instance.log for instance in everything}) == 2
    assert _seen(await _share(bench, SECOND, 2)) == running


async def check_what_is_shared_goes_on_until_nobody_uses_it(bench: RuntimeBench) -> None:
    for first, second in ((FIRST, SECOND), (SECOND, FIRST)):
        running = await _shared(bench, replicas=2)
        for _ in range(2):
            await bench.runtime.stop(PLACE, first)
            assert await _of(bench, first) == []
            assert await _of(bench, second) == running
        await bench.runtime.stop(PLACE, second)
        assert await bench.runtime.instances(PLACE) == ()
        assert _pids(await _shared(bench)).isdisjoint(_pids(running)), "they had ended"
        for release in (first, second):
            await bench.runtime.stop(PLACE, release)


def _pids(seen: Seen) -> set[int | None]:
    return {pid for _, pid, _ in seen}


async def check_what_was_stopped_is_shared_again(bench: RuntimeBench) -> None:
    """A rollback to a release of the same program."""
    running = await _shared(bench)
    await bench.runtime.stop(PLACE, FIRST)
    assert _seen(await _share(bench, FIRST)) == running
    await bench.runtime.stop(PLACE, SECOND)
    assert await _of(bench, FIRST) == running


async def check_scaling_one_arm_leaves_the_other_what_it_needs(bench: RuntimeBench) -> None:
    running = await _shared(bench, replicas=2)
    more = await _share(bench, SECOND, replicas=3)
    assert _seen(more)[:2] == running
    assert await _of(bench, FIRST) == running
    more = await phases_become(bench, "ready", SECOND)
    await bench.runtime.stop(PLACE, FIRST, keep=1)
    assert await _of(bench, FIRST) == running[:1]
    assert await _of(bench, SECOND) == _seen(more)
    await bench.runtime.stop(PLACE, SECOND, keep=1)
    for _ in range(2):
        assert await _of(bench, FIRST) == await _of(bench, SECOND) == running[:1]
        await bench.reopen()
    again = await _share(bench, FIRST, replicas=2)
    assert again[1].pid not in _pids(running), "it had ended when the last that needed it was scaled down"
    assert await _of(bench, SECOND) == running[:1]


async def check_the_next_controller_finds_what_is_shared(bench: RuntimeBench) -> None:
    running = await _shared(bench)
    await bench.reopen()
    for release in (FIRST, SECOND):
        assert await _of(bench, release) == running
    await bench.runtime.stop(PLACE, FIRST)
    await bench.reopen()
    assert await _of(bench, FIRST) == []
    assert await _of(bench, SECOND) == running
    assert _seen(await _share(bench, FIRST)) == running
    await bench.reopen()
    await bench.runtime.stop(PLACE, SECOND)
    assert await _of(bench, FIRST) == running
    await bench.runtime.stop(PLACE, FIRST)
    await bench.reopen()
    assert await bench.runtime.instances(PLACE) == ()


async def check_other_programs_places_and_guises_share_nothing(bench: RuntimeBench) -> None:
    (mine,) = await _shared(bench)
    found = [mine[0], mine[0]]
    baseline, variant = arm(FIRST, "baseline"), arm(FIRST, "short-prompt")
    for release, program, place in (
        (THIRD, OTHER_PROGRAM, PLACE),
        (FIRST, PROGRAM, OTHER_PLACE),
        (baseline, "", PLACE),
        (variant, "", PLACE),
    ):
        (other,) = await _share(bench, release, program=program, environment=place)
        assert (other.release, other.endpoint in found) == (release, False)
        found.append(other.endpoint)
    for stopped in (THIRD, baseline, variant):
        await bench.runtime.stop(PLACE, stopped)
    await bench.runtime.stop(OTHER_PLACE, FIRST)
    assert await _of(bench, FIRST) == await _of(bench, SECOND) == [mine]


async def check_an_arm_keeps_the_instances_that_it_has(bench: RuntimeBench) -> None:
    """Whatever it is called meanwhile; who comes later is told apart, even where the names are alike."""
    running = await _shared(bench)
    assert _seen(await _share(bench, SECOND, program=OTHER_PROGRAM)) == running
    await bench.runtime.stop(PLACE, FIRST)
    (first,) = await _share(bench, FIRST, program=OTHER_PROGRAM)
    assert first.pid not in _pids(running)
    (first,) = await phases_become(bench, "ready", FIRST)
    for _ in range(2):
        assert await _of(bench, SECOND) == running
        assert await _of(bench, FIRST) == _seen((first,))
        await bench.reopen()
    await bench.runtime.stop(PLACE, SECOND)
    assert await _of(bench, FIRST) == _seen((first,))
    await bench.runtime.stop(PLACE, FIRST)
    assert await bench.runtime.instances(PLACE) == ()


async def check_stale_fences_leave_what_is_shared(bench: RuntimeBench) -> None:
    running = await _shared(bench)
    await _share(bench, SECOND, fence=7)
    for stale in (bench.runtime.stop(PLACE, FIRST, fence=6), _share(bench, THIRD, fence=6)):
        try:
            await stale
        except StaleFence:
            continue
        raise AssertionError("a stale fence was taken")
    assert await _of(bench, FIRST) == await _of(bench, SECOND) == running
    assert await _of(bench, THIRD) == []


async def check_what_is_shared_is_removed(bench: RuntimeBench) -> None:
    running = await _shared(bench, replicas=2)
    await bench.runtime.remove(PLACE)
    assert await bench.runtime.instances(PLACE) == ()
    await bench.reopen()
    assert await bench.runtime.instances(PLACE) == ()
    assert _pids(await _shared(bench)).isdisjoint(_pids(running))


CHECKS: tuple[Callable[[RuntimeBench], Awaitable[None]], ...] = (
    check_ensure_starts_replicas,
    check_ensure_is_idempotent,
    check_ensure_adds_replicas,
    check_an_instance_is_ready_when_it_answers,
    check_an_instance_that_stops_answering_is_unhealthy,
    check_changes_are_told,
    check_releases_and_environments_are_apart,
    check_stale_fences_change_nothing,
    check_what_is_removed_is_gone,
    check_stop_is_idempotent_and_not_for_ever,
    check_some_instances_are_kept,
    check_the_same_release_in_another_guise_is_another_arm,
    check_the_next_controller_finds_instances,
    check_the_same_program_is_shared,
    check_what_is_shared_goes_on_until_nobody_uses_it,
    check_what_was_stopped_is_shared_again,
    check_scaling_one_arm_leaves_the_other_what_it_needs,
    check_the_next_controller_finds_what_is_shared,
    check_other_programs_places_and_guises_share_nothing,
    check_an_arm_keeps_the_instances_that_it_has,
    check_stale_fences_leave_what_is_shared,
    check_what_is_shared_is_removed,
)
