"""A realistic log of facts: a first release, a promoted canary, a failed step, a rolled-back canary, a paused one."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from trimtab.core.errors import Problem
from trimtab.core.model import facts as f
from trimtab.core.model.identity import Digest, short
from trimtab.core.model.release import Part
from trimtab.core.model.report import CoverageReport, FailedTest, StepReport, TestsReport
from trimtab.core.model.specification import (
    EnvironmentSpec,
    ServiceSpec,
    Specification,
    StepSpec,
)
from trimtab.core.model.strategy import RolloutStep, StrategySpec
from trimtab.views.board import Board
from trimtab.views.model import InstanceView, StatusView

BEGIN = 1_790_000_000.0
APP = "shop"

SPECIFICATION = Specification(
    app=APP,
    service=ServiceSpec("python serve.py"),
    environments=(
        EnvironmentSpec("staging", 7081, strategy=StrategySpec("instant", steps=())),
        EnvironmentSpec(
            "production",
            7080,
            strategy=StrategySpec(
                steps=(RolloutStep(5, 15, 20), RolloutStep(25, 15, 50), RolloutStep(50, 15, 100, evidence=True)),
            ),
        ),
    ),
    steps=(
        StepSpec("lint", "ruff check"),
        StepSpec("test", "pytest", needs=("lint",)),
        StepSpec("evals", "python evals.py", needs=("test",)),
    ),
)


def digest(name: str) -> Digest:
    return "sha256:" + hashlib.sha256(name.encode()).hexdigest()


class Scenario:
    """Writes the log, fact by fact; `now` moves as it goes."""

    def __init__(self) -> None:
        self.now = BEGIN
        self.facts: list[f.Recorded] = []
        self.runs = 0
        self.numbers = {"staging": 0, "production": 0}
        self.live: dict[str, Digest | None] = {"staging": None, "production": None}

    def add(self, place: str, fact: f.Fact, reason: str = "", actor: str = "trimtab", wait_s: float = 0.0) -> None:
        self.now += wait_s
        self.facts.append(f.Recorded(place, fact, reason, actor, seq=len(self.facts) + 1, at=self.now))

    def change(self, subject: str, actor: str = "ann") -> f.Change:
        commit = hashlib.sha1(subject.encode()).hexdigest()
        change = f.Change(commit, "main", actor, subject, self.now)
        self.add(f"app/{APP}", f.ChangeArrived(change, "push"), actor=actor)
        self.runs += 1
        asked = f.RunRequested(self.runs, change)
        why = f"{actor} changed main to {commit[:8]}: {subject}"
        self.add(f"run/{APP}/{self.runs}", asked, why, wait_s=0.02)
        self.add(f"run/{APP}/{self.runs}", f.SpecificationRead(SPECIFICATION), wait_s=0.05)
        return change

    def step(
        self,
        name: str,
        took_s: float,
        outcome: f.StepOutcome = "passed",
        detail: str = "",
        report: StepReport | None = None,
    ) -> None:
        run = f"run/{APP}/{self.runs}"
        self.add(run, f.StepStarted(name, 1, f"step/{APP}/{self.runs}/{name}/1"), wait_s=0.01)
        code = 0 if outcome == "passed" else 1
        reason = f"{name} {outcome} after {took_s} s"
        self.now += took_s
        if report is not None:
            self.add(run, f.StepKept(name, 1, None, report))
        self.add(run, f.StepFinished(name, 1, outcome, code, took_s, detail), reason)

    def passed(self, subject: str, actor: str = "ann") -> Digest:
        """A run that passes and cuts a release."""
        change = self.change(subject, actor)
        self.step("lint", 0.4)
        self.step("test", 1.8, detail="14 passed in 1.61s")
        self.step("evals", 2.7, detail="40 of 40 cases passed")
        release, run = digest(subject), f"run/{APP}/{self.runs}"
        parts = {"code": Part(digest("code" + subject), 12, 48_213), "prompts": Part(digest("prompts"), 3, 2_024)}
        cut = f.ReleaseCut(release, self.runs, change.commit, parts, subject)
        self.add(run, cut, wait_s=0.2)
        said = f"release {short(release)} (code and prompts) was cut from {change.commit[:8]}"
        self.add(run, f.RunFinished(self.runs, "passed", release, 5.2), said)
        self.add(f"app/{APP}", f.RunFinished(self.runs, "passed", release, 5.2), said)
        offered = f.ReleaseOffered(release, self.runs, SPECIFICATION, change.commit, subject)
        self.add(f"env/{APP}/staging", offered, f"run {self.runs} passed")
        return release

    def begin(self, environment: str, release: Digest, *, instant: bool = False) -> str:
        """A rollout that is about to start its instances; its object id."""
        self.numbers[environment] += 1
        number, stable = self.numbers[environment], self.live[environment]
        commit = hashlib.sha1(release.encode()).hexdigest()
        why = f"run {self.runs} passed"
        self.add(f"env/{APP}/{environment}", f.DesiredCommitted(release, commit), why, wait_s=0.03)
        place = f"rollout/{APP}/{environment}/{number}"
        at_once = instant or stable is None
        asked = f.RolloutRequested(number, release, stable, SPECIFICATION, instant=instant, run=self.runs)
        self.add(place, asked, f"Git says {short(release)} ({commit[:8]})")
        weights = () if at_once else (5.0, 25.0, 50.0)
        kind = "instant" if at_once else "canary"
        reason = (
            "the first release here: there is nothing to compare it with, so it gets all traffic once it is ready"
            if stable is None
            else f"from {short(stable)} {'at once' if at_once else 'by 5 % -> 25 % -> 50 % -> 100 %'}"
        )
        self.add(place, f.RolloutStarted(number, release, stable, kind, weights), reason, wait_s=0.01)
        self.add(place, f.InstancesReady(release, 1), "1 instance ready after 0.6 s", wait_s=0.6)
        return place

    def weight(self, place: str, index: int, weight_pct: float, why: str) -> None:
        self.add(place, f.StepEntered(index, weight_pct), why, wait_s=0.1)
        said = f"the gateway was read back and holds {weight_pct:g} %"
        self.add(place, f.WeightVerified(index, weight_pct), said, wait_s=0.2)

    def tick(
        self,
        place: str,
        index: int,
        candidate: tuple[int, int],
        stable: tuple[int, int],
        harm: float,
        good: dict[str, float],
        reason: str,
    ) -> None:
        """Requests and errors of both arms; `harm` and `good` as shares of what is needed."""
        tick = f.EvidenceCounted(
            index=index,
            candidate_requests=candidate[0],
            candidate_errors=candidate[1],
            stable_requests=stable[0],
            stable_errors=stable[1],
            candidate_p95_ms=48.2,
            stable_p95_ms=46.9,
            rollback_log_e=harm * 4.6,
            promote_log_e={metric: share * 3.0 for metric, share in good.items()},
            rollback_at=4.6,
            promote_at=3.0,
        )
        self.add(place, tick, reason, wait_s=1.0)

    def end(self, place: str, release: Digest, outcome: f.RolloutOutcome, reason: str, took_s: float) -> None:
        _, _, environment, number = place.split("/")
        stable = self.live[environment]
        if stable is not None and outcome != "promoted":
            self.add(place, f.TrafficReturned(stable), f"all traffic is on {short(stable)}", wait_s=0.1)
        ended = f.RolloutEnded(int(number), release, stable, outcome, took_s)
        self.add(place, ended, reason, wait_s=0.1)
        self.add(f"env/{APP}/{environment}", ended, reason)
        if outcome == "promoted":
            why = f"all of {APP}/{environment} since {took_s:.0f} s after the rollout began: {reason}"
            self.add(f"env/{APP}/{environment}", f.LiveChanged(release, stable), why)
            self.live[environment] = release

    def instant(self, environment: str, release: Digest) -> None:
        """A rollout to 100 % at once."""
        place = self.begin(environment, release, instant=True)
        self.end(place, release, "promoted", "ready, and the strategy is instant", 0.8)


GOOD = "of 212 candidate requests 0.5 % failed (stable 0.3 %): each within its margin, wrong at most 5 % of the time"
WORSE = (
    "the candidate fails more often: 5.4 % of 93 candidate requests against 0.3 % of 1,140 stable requests failed;"
    " the chance of saying so of a candidate that is no worse is below 1 % (e = 104)"
)
FAR = {"errors": 0.61, "latency p50": 0.84, "latency p95": 0.37}


def play() -> Scenario:
    """The whole story."""
    scene = Scenario()
    scene.add(f"app/{APP}", f.AppRegistered(), "first push")
    first = scene.passed("Answer questions about orders")
    scene.instant("staging", first)
    scene.instant("production", first)

    scene.now += 600
    _promoted(scene)
    scene.now += 300
    _failed_step(scene)
    scene.now += 240
    _rolled_back(scene)
    scene.now += 120
    _paused(scene)
    return scene


def _promoted(scene: Scenario) -> None:
    release = scene.passed("Cache the embeddings of known products")
    scene.instant("staging", release)
    place = scene.begin("production", release)
    for index, weight in enumerate((5.0, 25.0, 50.0)):
        scene.weight(place, index, weight, "the step before it gave no alarm")
        scene.tick(place, index, (70, 0), (900, 3), 0.05, dict.fromkeys(FAR, 1.0), GOOD)
        scene.now += 15
    scene.add(place, f.VerdictReached("PASS", ""), GOOD)
    scene.end(place, release, "promoted", GOOD, 51.0)


_RED = StepReport(
    tests=TestsReport(
        *(11, 2, 1, 0.8),
        (
            FailedTest("test_answers.test_refund", "AssertionError: assert 'refund' in 'We are sorry.'"),
            FailedTest("test_answers.test_tone", "AssertionError: the answer is rude"),
        ),
    ),
    coverage=CoverageReport(412, 331, 82.0),
)


def _failed_step(scene: Scenario) -> None:
    scene.change("Shorten the system prompt", actor="ben")
    scene.step("lint", 0.4)
    detail = "exit code 1: FAILED test_answers.py::test_refund - AssertionError"
    scene.step("test", 1.1, "failed", detail, _RED)
    reason = "test failed, so nothing was released"
    scene.add(f"run/{APP}/{scene.runs}", f.RunFinished(scene.runs, "failed", None, 1.6), reason)
    scene.add(f"app/{APP}", f.RunFinished(scene.runs, "failed", None, 1.6), reason)


def _rolled_back(scene: Scenario) -> None:
    release = scene.passed("Rank answers with the new model", actor="ben")
    scene.instant("staging", release)
    place = scene.begin("production", release)
    scene.weight(place, 0, 5.0, "the gateway can reach both releases")
    scene.tick(place, 0, (41, 2), (512, 1), 0.44, {"errors": 0.0, "latency p50": 0.2, "latency p95": 0.1}, "not yet")
    scene.tick(place, 0, (52, 3), (628, 2), 1.01, {"errors": 0.0, "latency p50": 0.3, "latency p95": 0.2}, WORSE)
    scene.add(place, f.VerdictReached("FAIL", "errors"), WORSE)
    scene.end(place, release, "rolled_back", WORSE, 9.4)
    stable = scene.live["production"] or ""
    scene.add(f"env/{APP}/production", f.DesiredCommitted(stable, digest("revert")[7:47]), WORSE)


def _paused(scene: Scenario) -> None:
    release = scene.passed("Speak the customer's language")
    scene.instant("staging", release)
    place = scene.begin("production", release)
    scene.weight(place, 0, 5.0, "the gateway can reach both releases")
    scene.tick(place, 0, (22, 0), (310, 1), 0.02, FAR, "not proven yet")
    scene.weight(place, 1, 25.0, "22 candidate requests in 15 s at 5 % gave no alarm")
    why = "not proven yet after 34 candidate requests: errors 61 %, latency p50 84 % of the evidence needed"
    scene.tick(place, 1, (34, 0), (102, 0), 0.08, FAR, why)
    scene.add(place, f.PauseRequested("ann"), "ann asked for it", actor="ann", wait_s=0.5)
    problem = Problem("instance", "an instance does not serve: it is backing_off", "`trimtab logs` shows its output")
    scene.add(f"env/{APP}/staging", f.ProblemFound(problem))


def board(facts: Iterable[f.Recorded]) -> Board:
    made = Board()
    made.apply(facts)
    return made


def instances(scene: Scenario) -> dict[str, tuple[InstanceView, ...]]:
    """Two in production, one in trouble in staging."""
    stable, newest = scene.live["production"] or "", scene.live["staging"] or ""

    def instance(place: str, release: Digest, port: int, phase: str, restarts: int, problem: str = "") -> InstanceView:
        started_at, name = scene.now - 130, f"instance/{place}/{short(release)}/1"
        address, log = f"127.0.0.1:{port}", name
        return InstanceView(name, release, address, phase, started_at, restarts, 1.4, 38_400_000, log, problem)

    return {
        "shop/staging": (instance("shop/staging", newest, 40_101, "backing_off", 4, "exit code 3: no API key"),),
        "shop/production": (
            instance("shop/production", stable, 40_111, "ready", 0),
            instance("shop/production", newest, 40_112, "ready", 0),
        ),
    }


def status(scene: Scenario) -> StatusView:
    return StatusView("0.1.0", board(scene.facts).apps(), instances=instances(scene))
