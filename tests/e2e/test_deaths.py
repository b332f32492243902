"""kill -9 of the real controller at every stored transition of every strategy, one after the other in one installation,
under load: before the write, again, after it, again, before the next.

Every write has a name that says what becomes known by it (`mortal`); the controller dies at each twice, until a good
release was promoted and a bad one rolled back.
"""

from __future__ import annotations

import itertools
import json
import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pytest

from tests.e2e.conftest import tidied
from tests.e2e.world import Answers, World, users, wait_for
from trimtab.client import TrimtabClient
from trimtab.core.errors import TrimtabError

MARKS = "pipeline: {{once: {{run: 'echo $TRIMTAB_RUN >> {marks}', sandbox: none}}}}"
SEGMENTS = "segments: {beta: {header: X-Beta, equals: '1'}}\n"
STRATEGIES: dict[str, tuple[str, str]] = {
    "canary": (
        "{canary: {scale_down_delay: 0s, steps: [{weight: 20%, hold: 300ms}, {weight: 50%, hold: 300ms}]}}",
        "",
    ),
    "every step": (
        """{canary: {bake: 1s, scale_down_delay: 0s, steps: [
      {match: beta, weight: 50%, hold: 300ms},
      {match: everybody, weight: 10%, hold: 300ms, scale: 1},
      {gate: sleep 0.1},
      approve,
      {mirror: {share: 50%, compare: status}, hold: 300ms},
      {experiment: {weight: 10%, variants: {short: {VARIANT: short}}}, hold: 300ms},
      {mirror: false, weight: 50%, hold: 300ms, ramp: 300ms, evidence: true}]}}""",
        SEGMENTS + "replicas: 2",
    ),
    "blue-green": (
        "{blue-green: {warm_up: {for: 300ms}, gate: sleep 0.1, approve: true, bake: 1s, scale_down_delay: 0s}}",
        "",
    ),
    "rolling": ("{rolling: {hold: 300ms, requests: 5, scale_down_delay: 0s}}", "replicas: 2"),
    "shadow": ("{shadow: {for: 300ms, mirror: {compare: status}, ramp: 300ms, scale_down_delay: 0s}}", ""),
    "ab": ("{ab: {match: beta, weight: 50%, for: 300ms, requests: 30, scale_down_delay: 0s}}", SEGMENTS),
    "instant": ("instant", ""),
}
LEASE_AND_A_BIT_S = 3.5
MOVING = re.compile(r"^commit rollout/.*(shifting|observing)/")
"""Writes of a rollout that has neither been promoted nor returned: nobody holds the candidate's share but the lease."""
WATCHED_RETURNS = 1
"""How often, for each release, a dead controller stays away until stable has everything."""


@dataclass
class Doomed(World):
    """An installation whose controller dies when it is told to."""

    server: subprocess.Popen[str] | None = None
    heard: queue.Queue[dict[str, Any]] = field(default_factory=queue.Queue)
    died_at: dict[str, set[str]] = field(default_factory=lambda: {"before": set(), "after": set()})
    of: tuple[str, ...] = ("app", "run", "env", "rollout", "gateway", "store")
    """It dies at writes about these only."""
    moment: str = ""
    pid: int | None = None
    lives: int = 0

    def begin(self, moment: str = "") -> None:
        """Begin a life that ends before or after the next write that none has ended at so."""
        if self.server is None:
            self._start_server()
        (self.home / "api.json").unlink(missing_ok=True)
        self.moment = moment
        assert self.server is not None
        assert self.server.stdin is not None
        known = sorted(self.died_at.get(moment, ()))
        print(json.dumps({"moment": moment, "known": known, "of": self.of}), file=self.server.stdin, flush=True)
        self.pid = self.heard.get(timeout=10.0)["pid"]
        self.lives += 1

    def _start_server(self) -> None:
        with (self.folder / "up.log").open("ab") as log:
            self.server = subprocess.Popen(
                [sys.executable, "-m", "tests.e2e.mortal", str(self.home), str(self.api_port)],
                cwd=self.repository,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(str(Path(path).absolute()) for path in sys.path)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        threading.Thread(target=self._listen, args=(self.server.stdout,), daemon=True).start()

    def _listen(self, said: IO[str]) -> None:
        for line in said:
            self.heard.put(json.loads(line))

    def ended_at(self) -> str | None:
        """The write at which this life has ended; None while it lasts."""
        try:
            died_at: str | None = self.heard.get_nowait()["died_at"]
        except queue.Empty:
            return None
        self.pid = None
        assert died_at is not None, f"the controller fell: {(self.folder / 'up.log').read_text()[-3000:]}"
        self.died_at[self.moment].add(died_at)
        return died_at

    def end_life(self) -> None:
        """kill -9 of a life that did not end by itself."""
        if self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)
            self.heard.get(timeout=10.0)
            self.pid = None

    def answering(self) -> None:
        """A life that nothing ends, once it answers."""
        self.begin()
        api = self.home / "api.json"
        wait_for(lambda: self.ended_at() is None and api.exists(), why="the controller is up")
        said = json.loads(api.read_text())
        self._client = TrimtabClient(said["url"], said["token"], actor="tester")
        wait_for(self._answers, why="the API answers")

    def leave_change(self, **behaviour: float | str) -> str:
        """Commit, and push into the repository's folder while nobody hears of it."""
        (self.repository / "behaviour.json").write_text(json.dumps(behaviour))
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", f"Behave as {behaviour}")
        self.git("push", "--quiet", str(self.home / "git" / "shop.git"), "main")
        return self.git("rev-parse", "HEAD")

    def push_and_die(self, **behaviour: float | str) -> str:
        """Push to a controller that has taken note of it when it is killed."""
        self.answering()
        commit = self.push(**behaviour)
        self.end_life()
        return commit

    def down(self) -> None:
        self.end_life()
        if self.server is not None:
            assert self.server.stdin is not None
            self.server.stdin.close()
            self.server.wait(timeout=10.0)
        super().down()


@dataclass
class Walk:
    """One release from its push to the end of its rollout, with a death at every write on the way."""

    world: Doomed
    commit: str
    version: int
    watched: list[Answers]
    watched_returns: int
    returns_s: list[float] = field(default_factory=list)
    deaths: int = 0

    def go(self) -> None:
        for moment in itertools.cycle(("before", "after")):
            self.world.begin(moment)
            died_at = wait_for(self._look, within_s=60.0, why=f"the walk goes on, {self.deaths} deaths so far")
            if died_at == "over":
                self.world.end_life()
                return
            self.deaths += 1
            if MOVING.search(died_at) and self._served_lately() and len(self.returns_s) < self.watched_returns:
                self.returns_s.append(self._stable_returns())

    def _look(self) -> str | None:
        """Where this life has ended, or that the rollout is over."""
        died_at = self.world.ended_at()
        if died_at is not None:
            return died_at
        try:
            rollout = self.world.rollout_of(self.commit)
            if rollout is None:
                return None
            if rollout.awaiting_approval:
                self.world.client.steer("shop", "production", "approve")
            return "over" if rollout.ended and self._is_tidy() else None
        except TrimtabError:
            return None  # it is just dying, or being born

    def _is_tidy(self) -> bool:
        """Whether nothing is left to do."""
        place = self.world.production
        releases = {instance.release for instance in self.world.client.status().instances["shop/production"]}
        return place.live is not None and place.desired == place.live and releases == {place.live}

    def _served_lately(self) -> bool:
        return time.monotonic() - self._served_last_s() < 0.3

    def _served_last_s(self) -> float:
        last_s = [item for answers in self.watched for item in list(answers.last_s.items())]
        return max((at for version, at in last_s if self._is_mine(version)), default=float("-inf"))

    def _answers(self) -> Counter[str]:
        return sum((answers.versions for answers in self.watched), Counter())

    def _is_mine(self, version: str) -> bool:
        return version.split()[1] == str(self.version)

    def _stable_returns(self) -> float:
        """How long the candidate is served after a death."""
        died_s = time.monotonic()
        wait_for(lambda: time.monotonic() > died_s + LEASE_AND_A_BIT_S)
        before = self._answers()
        wait_for(lambda: self._answers().total() > before.total() + 40, why="stable is served")
        since = self._answers() - before
        # Whoever asked within the lease may be answered after it.
        assert sum(count for version, count in since.items() if self._is_mine(version)) <= USERS, since
        return max(0.0, self._served_last_s() - died_s)


USERS = 3


def examine(world: Doomed, walks: list[tuple[Walk, str]]) -> None:
    """Nothing lost, nothing twice, nothing that should not have been."""
    world.answering()
    marks = (world.folder / "marks").read_text().split()
    runs = [1, *range(2, 2 + len(walks))]
    assert marks == [str(number) for number in runs]
    assert [run.status for run in reversed(world.client.runs("shop"))] == ["passed"] * len(runs)
    statuses = [rollout.status for rollout in reversed(world.client.rollouts("shop", "production"))]
    assert statuses == ["promoted", *(status for _, status in walks)]
    words = {"promoted": ["Promote"], "rolled_back": ["Promote", "Roll"]}
    expected = ["Promote", *(word for _, status in walks for word in words[status])]
    assert [line.split()[0] for line in world.desired_log()] == expected
    place = world.production
    assert place.live == place.desired
    text = world.git("--git-dir", str(world.home / "git" / "state.git"), "show", "main:shop/production.yaml")
    assert place.live is not None
    assert place.live in text


def walk_through(name: str, *, quick: bool = False) -> int:
    """How often the controller has died. `quick`: at each write about the rollout once, by turns before and after."""
    strategy, more = STRATEGIES[name]
    with tidied(Doomed) as world:
        if quick:
            world.of = ("rollout",)
            world.died_at["after"] = world.died_at["before"]
        world.plant(strategy=strategy, more=more, pipeline=MARKS.format(marks=world.folder / "marks"))
        world.answering()
        world.ended(world.push(version=1))
        world.end_life()
        walks: list[tuple[Walk, str]] = []
        headers = {"X-Beta": "1"}
        with users(world.url, number=USERS - 1) as everybody, users(world.url, number=1, headers=headers) as beta:
            for version, fail, status in ((2, 0.0, "promoted"), (3, 1.0, "rolled_back")):
                if name == "instant" and fail:
                    continue  # nothing looks at it before it has everything
                commit = (world.push_and_die if quick else world.leave_change)(version=version, fail=fail)
                walk = Walk(world, commit, version, [everybody, beta], 0 if quick else WATCHED_RETURNS)
                walks.append((walk, status))
                walk.go()
                assert_answers([everybody, beta], may_fail=fail > 0)
        examine(world, walks)
        deaths = sum(walk.deaths for walk, _ in walks)
        returns = ", ".join(f"{seconds:.1f}" for walk, _ in walks for seconds in walk.returns_s)
        print(
            f"{name}: {deaths} deaths; a candidate's last answer came so long after its controller's death: {returns} s"
        )
        return deaths


def assert_answers(watched: list[Answers], *, may_fail: bool) -> None:
    """No request failed but those that a bad candidate answered."""
    for answers in watched:
        assert set(answers.bad) <= ({"500"} if may_fail else set()), answers.bad
        assert answers.bad.get("500", 0) <= sum(n for v, n in answers.versions.items() if v.startswith("version 3"))


@pytest.mark.timeout(300)
def test_a_canary_survives_a_death_at_every_write() -> None:
    assert walk_through("canary", quick=True) >= 20


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_strategy_survives_a_death_at_every_write() -> None:
    deaths = {name: walk_through(name) for name in STRATEGIES}
    print(deaths)
    assert sum(deaths.values()) >= 500
