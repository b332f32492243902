"""A changed prompt reaches the instances that run, step by step like any release; another program starts anew."""

from __future__ import annotations

import os
import signal

from tests.e2e.hot import Hot
from tests.e2e.world import Answers, World, users, wait_for


def two(answers: Answers) -> bool:
    return len(answers.versions) == 2 and min(answers.versions.values()) > 20


def test_a_prompt_reaches_what_runs_as_a_release(world: World) -> None:
    hot = Hot(world)
    first = world.ended(hot.push("kind")).release
    world.live(first)
    (pid,) = hot.pids()
    assert hot.said() == f"kind: first build cite {pid}"

    with users(world.url) as answers:
        commit = hot.push("brief", "quote")
        world.observing(commit)
        wait_for(lambda: two(answers), why="both prompts are used")
        assert set(answers.versions) == {f"kind: first build cite {pid}", f"brief: first build quote {pid}"}
        hot.promote(commit)
        world.live(world.run(commit).release)  # type: ignore[union-attr]
        wait_for(lambda: len(world.client.status().instances["shop/production"]) == 1, why="the old one is retired")
    assert answers.bad == {}
    with users(world.url) as answers:
        wait_for(lambda: sum(answers.versions.values()) > 50, why="everybody has the new one")
    assert set(answers.versions) == {f"brief: first build quote {pid}"}
    assert hot.pids() == {pid}

    with users(world.url) as answers:
        commit = hot.push("broken", "quote")
        assert world.ended(commit).status == "rolled_back"
        world.live(world.production.live)
        assert hot.said() == f"brief: first build quote {pid}"
    worse = answers.versions.pop(f"broken: first build quote {pid}")
    assert answers.bad == {"500": worse}, "no other request failed"
    assert set(answers.versions) == {f"brief: first build quote {pid}"}
    assert hot.pids() == {pid}

    world.client.rollback("shop", "production", first)
    world.live(first)
    assert hot.said() == f"kind: first build cite {pid}", "as it was in the beginning, in the same process"


def test_an_instance_that_dies_comes_back_and_serves_both(world: World) -> None:
    hot = Hot(world)
    world.ended(hot.push("kind"))
    (pid,) = hot.pids()
    commit = hot.push("brief")
    world.observing(commit)
    os.kill(pid, signal.SIGKILL)
    again = wait_for(lambda: hot.another(pid), why="it is started again")
    for arm, prompt in (("stable", "kind"), ("candidate", "brief")):
        wait_for(lambda a=arm, p=prompt: hot.said(a) == f"{p}: first build cite {again}", why=f"{arm} is served")  # type: ignore[misc]
    world.kill_controller()
    world.up()
    assert world.observing(commit).status == "observing"
    assert hot.said("candidate") == f"brief: first build cite {again}", "the next controller finds what is shared"
    hot.promote(commit)
    world.live(world.run(commit).release)  # type: ignore[union-attr]
    assert hot.said() == f"brief: first build cite {again}"

    commit = hot.push("brief", build="second build")
    world.observing(commit)
    assert len(hot.pids()) == 2, "another program is started"
    hot.promote(commit)
    world.live(world.run(commit).release)  # type: ignore[union-attr]
    wait_for(lambda: len(hot.pids()) == 1, why="the old program ends")
    assert again not in hot.pids()
    assert hot.said().startswith("brief: second build cite ")
