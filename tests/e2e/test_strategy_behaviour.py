"""What each strategy is for, end to end: who gets which answer, what goes back, and why."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from tests.e2e.world import World, users, wait_for
from trimtab.views.model import RolloutView

Reply = Callable[[str], tuple[int, Any]]
WAITING_GATE = "{{canary: {{steps: [{{weight: 20%, hold: 500ms, gate: '{url}/gate'}}]}}}}"


@contextmanager
def endpoint(reply: Reply) -> Iterator[str]:
    """A service on this machine that answers each path with a status and JSON; its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, value = reply(self.path)
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def kinds(world: World) -> list[str]:
    return [entry.kind for entry in world.client.history(limit=200, routine=True)]


def rollout(world: World, commit: str, what: Callable[[RolloutView], bool], why: str) -> RolloutView:
    """The commit's rollout, once it is like that."""

    def look() -> RolloutView | None:
        seen = world.rollout_of(commit)
        return seen if seen is not None and what(seen) else None

    return wait_for(look, why=why)


def test_mirrored_answers_are_compared_and_nobody_gets_them(world: World) -> None:
    compare = "{compare: json, ignore: [id, by]}"
    world.plant(strategy=f"{{shadow: {{for: 500ms, requests: 20, mirror: {compare}}}}}")
    world.up()
    world.ended(world.push(version=1, answer="42"))
    with users(f"{world.url}/answer") as answers:
        same = world.ended(world.push(version=2, answer="42"))
        assert (same.status, same.verdict) == ("promoted", "PASS")
        other = world.ended(world.push(version=3, answer="43"))
        assert (other.status, other.verdict) == ("rolled_back", "FAIL")
        assert "answer" in other.reason
        assert "GET /answer" in other.reason
    assert not answers.bad
    assert {json.loads(text)["by"] for text in answers.versions} == {"version 1", "version 2"}


def test_blue_green_shows_the_idle_side_to_those_who_ask_for_it_and_switches_at_once(world: World) -> None:
    world.plant(strategy="{blue-green: {warm_up: {for: 500ms, mirror: {compare: none}}, approve: true}}")
    world.up()
    world.ended(world.push(version=1))
    with users(world.url) as answers:
        commit = world.push(version=2)
        rollout(world, commit, lambda seen: seen.awaiting_approval, "the preview waits for a person")
        assert httpx.get(world.url, headers={"x-trimtab-arm": "candidate"}).text == "version 2"
        assert set(answers.versions) == {"version 1"}
        world.client.steer("shop", "production", "approve")
        assert world.ended(commit).status == "promoted"
        wait_for(lambda: answers.versions["version 2"] > 50, why="the new release answers")
    assert not answers.bad


def test_an_idle_side_that_fails_on_copies_is_never_switched_to(world: World) -> None:
    world.plant(strategy="{blue-green: {warm_up: {for: 500ms}}}")
    world.up()
    world.ended(world.push(version=1))
    with users(world.url) as answers:
        bad = world.ended(world.push(version=2, fail=0.5))
    assert (bad.status, bad.verdict) == ("rolled_back", "FAIL")
    assert not answers.bad
    assert set(answers.versions) == {"version 1"}


def test_a_gate_that_waits_still_rolls_back_when_the_candidate_goes_bad(world: World) -> None:
    switch = world.folder / "switch"
    with endpoint(lambda path: (202, {"status": "wait"})) as url:
        world.plant(strategy=WAITING_GATE.format(url=url))
        world.up()
        world.ended(world.push(version=1))
        with users(world.url):
            commit = world.push(version=2, switch=str(switch))
            rollout(world, commit, lambda seen: seen.gate != "" and seen.status == "observing", "the gate is asked")
            switch.touch()
            bad = world.ended(commit)
    assert (bad.status, bad.verdict) == ("rolled_back", "FAIL")
    wait_for(lambda: not world.processes("adapters.gates"), why="the gate is no longer asked")


def test_a_gate_is_told_what_it_is_about_and_may_say_no(world: World) -> None:
    with endpoint(lambda path: (200, {"status": "fail", "reason": "the answers are rude"})) as url:
        world.plant(strategy=WAITING_GATE.format(url=url))
        world.up()
        world.ended(world.push(version=1))
        refused = world.ended(world.push(version=2))
    assert refused.status == "rolled_back"
    assert "the answers are rude" in refused.reason


def test_a_release_that_goes_bad_after_the_steps_is_caught_in_its_bake_time(world: World) -> None:
    switch = world.folder / "switch"
    world.plant(strategy="{canary: {steps: [{weight: 50%, hold: 500ms}], bake: {for: 10m, holdback: 10%}}}")
    world.up()
    first = world.ended(world.push(version=1)).release
    with users(world.url):
        commit = world.push(version=2, switch=str(switch))
        rollout(world, commit, lambda seen: seen.step == 1 and seen.status == "observing", "it bakes")
        switch.touch()
        assert world.ended(commit).status == "rolled_back"
        world.live(first)


def test_a_return_is_instant_and_skips_the_steps(world: World) -> None:
    world.plant(strategy="{canary: {scale_down_delay: 10m, steps: [{weight: 50%, hold: 500ms}], rollback_window: 1}}")
    world.up()
    first = world.ended(world.push(version=1)).release
    with users(world.url) as answers:
        second = world.ended(world.push(version=2)).release
        before = {process.pid for process in world.processes("app.py")}
        world.client.rollback("shop", "production", first)
        world.live(first)
        newest = world.client.rollouts("shop", "production")[0]
        assert (newest.release, newest.steps, newest.status) == (first, (), "promoted")
        assert before & {process.pid for process in world.processes("app.py")} == before
        assert world.production.previous == second
    assert not answers.bad


def test_no_progress_aborts(world: World) -> None:
    world.plant(strategy="{canary: {steps: [50%], progress_deadline: 1s}}", health_timeout="5m")
    world.up()
    first = world.ended(world.push(version=1)).release
    stuck = world.ended(world.push(version=2, health=503))
    assert stuck.status == "rolled_back"
    assert "no progress for 1.0 s" in stuck.reason
    world.live(first)


def test_metrics_of_ones_own_roll_back_and_an_outage_holds(world: World) -> None:
    """The endpoint counts refusals; while it is down the rollout neither fails nor goes on."""
    counted = {"candidate": {"bad": 0, "all": 0}, "stable": {"bad": 0, "all": 0}}
    down = threading.Event()

    def reply(path: str) -> tuple[int, Any]:
        if down.is_set():
            return 503, {"error": "down"}
        for name, bad in (("candidate", worse), ("stable", 1)):
            counted[name]["all"] += 100
            counted[name]["bad"] += bad
        return 200, counted

    worse = 1
    with endpoint(reply) as url:
        metric = (
            f"{{events: {{bad: $arm.bad, all: $arm.all}}, json: '{url}', acceptable: 5%,"
            " every: 1s, timeout: 500ms, fresh: 2s}"
        )
        world.plant(
            strategy="{canary: {steps: [{weight: 50%, hold: 2s}]}}",
            analysis=f"{{errors: {{acceptable: 5%}}, latency: false, metrics: {{refusals: {metric}}}}}",
        )
        world.up()
        world.ended(world.push(version=1))
        with users(world.url):
            down.set()
            commit = world.push(version=2)
            held = rollout(world, commit, lambda seen: "refusals" in seen.held, "it is held for want of numbers")
            assert "503" in held.held
            asked = world.client.metrics("shop", "production")[0]
            assert (asked.name, asked.release) == ("refusals", held.release)
            assert asked.problem is not None
            assert "503" in asked.problem.message
            down.clear()
            asked = world.client.metrics("shop", "production", held.release)[0]
            assert asked.problem is None
            assert asked.numbers["all"] > 0
            promoted = world.ended(commit)
            assert (promoted.status, promoted.verdict) == ("promoted", "PASS")
            worse = 60
            bad = world.ended(world.push(version=3))
            assert (bad.status, bad.verdict) == ("rolled_back", "FAIL")
            assert "refusals" in bad.reason


def test_what_is_held_waits_and_what_was_proven_worse_is_never_tried_again(world: World) -> None:
    world.plant(strategy="{canary: {steps: [{weight: 50%, hold: 500ms}]}}")
    world.up()
    first = world.ended(world.push(version=1)).release
    with users(world.url):
        bad = world.ended(world.push(version=2, fail=0.9))
        assert bad.status == "rolled_back"
        assert world.production.quarantined == (bad.release,)
        world.push(version=1)
        again = world.push(version=2, fail=0.9)
        wait_for(lambda: "ReleaseRefused" in kinds(world), why="the same bytes are refused")
        assert world.finished(again).release == bad.release
        assert world.production.live == first

        world.client.pin("shop", "production")
        commit = world.push(version=3)
        wait_for(lambda: "pinned" in world.production.held, why="the pin holds it")
        world.client.freeze("shop", "production")
        world.client.unpin("shop", "production")
        wait_for(lambda: "frozen" in world.production.held, why="the freeze holds it")
        assert world.rollout_of(commit) is None
        world.client.thaw("shop", "production")
        assert world.ended(commit).status == "promoted"


def test_outside_its_windows_a_release_waits_with_the_time_at_which_it_may_go(world: World) -> None:
    world.plant(more="windows: {rule: FREQ=YEARLY, start: '2000-01-01T00:00', for: 1s, zone: Europe/Berlin}")
    world.up()
    commit = world.push(version=1)
    assert world.finished(commit).status == "passed"
    wait_for(lambda: "no deployment window is open" in world.production.held, why="the window holds it")
    assert world.production.held_until is not None
    assert world.rollout_of(commit) is None
    (world.repository / "trimtab.yaml").write_text((world.repository / "trimtab.yaml").read_text().split("windows")[0])
    assert world.ended(world.push(version=2)).status == "promoted"


def test_an_error_budget_that_is_used_up_freezes(world: World) -> None:
    switch = world.folder / "switch"
    world.plant(strategy="instant", more="budget: {objective: 99%}")
    world.up()
    first = world.ended(world.push(version=1, switch=str(switch))).release
    with users(world.url) as answers:
        world.client.freeze("shop", "production")
        commit = world.push(version=2)
        wait_for(lambda: "frozen" in world.production.held, why="the freeze holds it")
        switch.touch()
        wait_for(lambda: answers.statuses["500"] > 300, why="a part of the budget is spent")
        world.client.thaw("shop", "production")
        wait_for(lambda: "budget" in world.production.held, why="the error budget holds it")
        assert world.rollout_of(commit) is None
        world.client.pin("shop", "production", world.finished(commit).release)
        world.live(world.finished(commit).release)  # what a person asks for is not held
    assert world.production.previous == first
