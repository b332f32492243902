"""From push to production and back, measured on the whole system as its users run it.

Real Git over HTTP, a real Envoy, real instances, requests from a process of their own. Goals and limits:

- the first step: Buildbot on a machine of this kind needs 327 ms (p50) from a webhook to its first shell step;
- the way back: the share is a lease of 3 s, which bounds what a dead controller costs.

How many requests a verdict needs is measured by `benchmarks/verdicts`.

``python -m benchmarks.delivery [--quick] [--json]``
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from tempfile import mkdtemp

import httpx
from tests.e2e.hot import Hot
from tests.e2e.world import World, wait_for, whole_stream

from benchmarks._load import Answer, Log, load
from benchmarks._report import Value, finish

BUILDBOT_P50_MS = 327.0
HALF = "{canary: {steps: [{weight: 50%, hold: 10m, requests: 10}], deadline: 20m}}"
DEFAULT_FIRST_STEP = "{canary: {steps: [{weight: 5%, hold: 10m, requests: 10}], deadline: 20m}}"


@contextmanager
def installation(**settings: str) -> Iterator[World]:
    """A Trimtab that is up, with its application planted but not pushed."""
    with unplanted() as world:
        world.plant(**settings)
        world.up()
        yield world


@contextmanager
def unplanted() -> Iterator[World]:
    """A folder for a Trimtab, of which nothing is left afterwards."""
    world = World(Path(mkdtemp(prefix="trimtab-bench-")))
    try:
        yield world
    finally:
        world.down()
        shutil.rmtree(world.folder, ignore_errors=True)


def push_to_first_step(world: World, pushes: int) -> dict[str, Value]:
    """From the moment the branch moved in Trimtab's repository until the step's shell said the time in its sandbox."""
    world.configure(strategy="instant", pipeline="pipeline: {first: 'date +%s.%N; exit 1'}")
    branch = world.home / "git" / "shop.git" / "refs" / "heads" / "main"
    waits_ms = []
    for number in range(pushes):
        commit = world.push(version=-number)
        accepted_s = branch.stat().st_mtime_ns / 1e9
        run = world.finished(commit)
        said = (world.home / "processes" / f"step+shop+{run.number}+first+1" / "log").read_text()
        waits_ms.append((float(said) - accepted_s) * 1000)
    waits_ms.sort()
    p50_ms = median(waits_ms)
    return {
        "push_to_first_step_p50_ms": p50_ms,
        "push_to_first_step_p99_ms": quantiles(waits_ms, n=100, method="inclusive")[98],
        "push_to_first_step_pushes": pushes,
        "buildbot_over_trimtab_p50": BUILDBOT_P50_MS / p50_ms,
    }


def deployments_under_load(world: World, deployments: int, stream_s: float) -> dict[str, Value]:
    """Instant deployments one after the other, while requests come at 100/s and an event stream opens with each."""
    world.configure(strategy="instant")
    world.ended(world.push(version=0))
    streams: list[Future[str]] = []
    took_s = []
    with ThreadPoolExecutor(deployments) as threads, load(f"{world.url}/", 100.0) as log:
        for version in range(1, deployments + 1):
            streams.append(threads.submit(whole_stream, f"{world.url}/stream?seconds={stream_s}"))
            began_s = time.time()
            commit = world.push(version=version)
            world.ended(commit)
            took_s.append(_first(log, f"version {version}").sent_at - began_s)
        cut = sum(not _whole(stream) for stream in streams)
        answers = log.answers()
    failed = sum(answer.status != 200 for answer in answers)
    return {
        "push_to_production_noop_s": median(took_s),
        "failed_requests": failed + cut,
        "deployments": deployments,
        "requests_under_deployments": len(answers),
        "streams_under_deployments": len(streams),
    }


def _first(log: Log, text: str) -> Answer:
    """The first answer after which every later one says `text` too."""
    answers = sorted((answer for answer in log.answers()), key=lambda answer: answer.sent_at)
    position = len(answers)
    while position and answers[position - 1].text == text:
        position -= 1
    return answers[min(position, len(answers) - 1)]


def _whole(stream: Future[str]) -> bool:
    try:
        return stream.result(timeout=120).endswith("data: [DONE]\n\n")
    except httpx.HTTPError:
        return False


def rollbacks(world: World, number: int) -> dict[str, Value]:
    """Canaries at 50 % that fail every request: from the stored verdict to the last answer a client got from them."""
    world.configure(strategy=HALF)
    waits_ms = []
    with load(f"{world.url}/", 100.0) as log:
        for attempt in range(number):
            commit = world.push(version=10_000 + attempt, fail=1.0)
            world.ended(commit)
            verdict_at = _verdict_at(world)
            last_at = max(answer.at for answer in log.answers() if answer.text == f"version {10_000 + attempt}")
            waits_ms.append(max(0.0, (last_at - verdict_at) * 1000))
            wait_for(lambda: world.production.desired == world.production.live, why="Git says so too")
    return {"verdict_to_zero_p99_ms": _p99(waits_ms), "rollbacks": number}


def hard_failures(world: World, number: int) -> dict[str, Value]:
    """At 50 requests/s and the default first step (5 %): from the first request that reached it to the last."""
    world.configure(strategy=DEFAULT_FIRST_STEP)
    took_s = []
    with load(f"{world.url}/", 50.0) as log:
        for attempt in range(number):
            world.ended(world.push(version=20_000 + attempt, fail=1.0))
            mine = [answer for answer in log.answers() if answer.text == f"version {20_000 + attempt}"]
            took_s.append(max(answer.at for answer in mine) - min(answer.sent_at for answer in mine))
            wait_for(lambda: world.production.desired == world.production.live, why="Git says so too")
    return {"hard_failure_to_zero_s": median(took_s), "hard_failures": number}


def dead_controllers(world: World, number: int) -> dict[str, Value]:
    """kill -9 of the controller in the middle of a canary at 50 %, until the last answer from the canary."""
    world.configure(strategy=HALF)
    took_s = []
    with load(f"{world.url}/", 100.0) as log:
        for attempt in range(number):
            commit = world.push(version=30_000 + attempt)
            text = f"version {30_000 + attempt}"
            world.observing(commit)
            wait_for(partial(_has, log, text), why="it gets traffic")
            killed_at = time.time()
            world.kill_controller()
            wait_for(partial(_quiet, log, text), why="its share is gone")
            took_s.append(max(answer.at for answer in log.answers() if answer.text == text) - killed_at)
            if attempt + 1 < number:
                world.up()
                world.client.steer("shop", "production", "abort")
                world.ended(commit)
                wait_for(lambda: world.production.desired == world.production.live, why="Git says so too")
    return {"dead_controller_to_stable_s": max(took_s), "dead_controllers": number}


def hot_changes(changes: int) -> dict[str, Value]:
    """From the moment the branch moved in Trimtab's repository until the first answer by the new prompt, at once for
    everybody; beside it the same for a change of the program, of which an instance has to be started. It is a small
    one: it needs the standard library and Jinja2."""
    with unplanted() as world:
        hot = Hot(world, strategy="instant")
        world.ended(hot.push("first", build="build -1"))
        branch = world.home / "git" / "shop.git" / "refs" / "heads" / "main"
        took_ms: dict[str, list[float]] = {"hot": [], "cold": []}
        with load(f"{world.url}/", 200.0) as log:
            for number in range(changes):
                for kind, prompt, build in (
                    ("hot", f"prompt {number}", number - 1),
                    ("cold", f"prompt {number}", number),
                ):
                    commit = hot.push(prompt, build=f"build {build}")
                    accepted_s = branch.stat().st_mtime_ns / 1e9
                    world.ended(commit)
                    said = f"{prompt}: build {build} "
                    wait_for(partial(_begins, log, said), why=f"{said} is served")
                    took_ms[kind].append((_first_beginning(log, said) - accepted_s) * 1000)
            failed = sum(answer.status != 200 for answer in log.answers())
    hot_ms, cold_ms = median(took_ms["hot"]), median(took_ms["cold"])
    return {
        "hot_change_ms": hot_ms,
        "cold_change_ms": cold_ms,
        "cold_over_hot_change": cold_ms / hot_ms,
        "hot_changes": changes,
        "failed_requests_under_hot_changes": failed,
    }


def _begins(log: Log, text: str) -> bool:
    return any(answer.text.startswith(text) for answer in log.answers())


def _first_beginning(log: Log, text: str) -> float:
    """When the first answer that begins so was there."""
    return min(answer.at for answer in log.answers() if answer.text.startswith(text))


def _has(log: Log, text: str) -> bool:
    return any(answer.text == text for answer in log.answers())


def _quiet(log: Log, text: str) -> bool:
    """Whether nothing said `text` for the last two seconds."""
    answers = log.answers()
    return answers[-1].at - max(answer.at for answer in answers if answer.text == text) > 2.0


def _verdict_at(world: World) -> float:
    """When the newest FAIL was stored."""
    return [entry.at for entry in world.client.history(limit=100) if entry.kind == "VerdictReached"][-1]


def _p99(values: list[float]) -> float:
    return quantiles(values, n=100, method="inclusive")[98] if len(values) > 1 else values[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    quick: bool = options.quick
    results: dict[str, Value] = {}
    with installation(strategy="instant") as world:
        results |= push_to_first_step(world, 30 if quick else 100)
        results |= deployments_under_load(world, 10 if quick else 200, 3.0 if quick else 30.0)
        results |= rollbacks(world, 3 if quick else 50)
        results |= hard_failures(world, 3 if quick else 15)
        results |= dead_controllers(world, 1 if quick else 5)
    results |= hot_changes(2 if quick else 20)
    finish(results, options.json)


if __name__ == "__main__":
    main()
