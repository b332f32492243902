"""A made-up history of an installation, as long as one likes: for views and for measuring. Same seed, same log."""

from __future__ import annotations

import random
from collections.abc import Iterator

from trimtab.core.errors import Problem
from trimtab.core.model import facts as f
from trimtab.core.model.identity import EnvironmentId, ObjectId, app_object, rollout_object, run_object
from trimtab.core.model.release import Part
from trimtab.core.model.specification import EnvironmentSpec, ServiceSpec, Specification, StepSpec
from trimtab.core.model.strategy import RolloutStep, StrategySpec

STEPS = tuple(RolloutStep(weight, hold_s=1.0) for weight in (5.0, 20.0, 50.0))
PLACES = ("staging", "production")


class MadeUpLog:
    """`apps` applications that deploy in turns; `ticks` is how many times a rollout counts in each step, on average."""

    def __init__(self, seed: int, *, apps: int = 2, ticks: int = 30) -> None:
        self._chance = random.Random(seed)
        self._apps, self._ticks = apps, ticks
        self._runs: dict[str, int] = {}
        self._rollouts: dict[EnvironmentId, int] = {}
        self._live: dict[EnvironmentId, str] = {}

    def deliveries(self) -> Iterator[list[f.Recorded]]:
        """For ever: the facts of one delivery after the other."""
        number = 0
        while True:
            yield list(self._delivery(f"shop-{number % self._apps}"))
            number += 1

    def _delivery(self, app: str) -> Iterator[f.Recorded]:
        chance, name = self._chance, app_object(app)
        if app not in self._runs:
            yield f.Recorded(name, f.AppRegistered())
        commit = f"{chance.getrandbits(160):040x}"
        change = f.Change(commit, "main", "ann", f"Answer in other words ({commit[:6]})", 1.0)
        yield f.Recorded(name, f.ChangeArrived(change, "push"), actor="ann")
        if chance.random() < 0.1:
            yield f.Recorded(name, f.ProblemFound(Problem("poll", "the repository cannot be reached")))
            yield f.Recorded(name, f.ProblemCleared("poll"))
        run = self._runs[app] = self._runs.get(app, 0) + 1
        specification = _specification(app)
        yield from self._run(app, run, change, specification)
        release = f"sha256:{chance.getrandbits(256):064x}"
        cut = f.ReleaseCut(release, run, commit, {"code": Part(f"sha256:{run:064x}", 1, 1)}, change.subject)
        yield f.Recorded(run_object(app, run), cut)
        for told in (run_object(app, run), name):
            yield f.Recorded(told, f.RunFinished(run, "passed", release, 3.0), "all steps passed")
        for place in PLACES:
            yield from self._place(EnvironmentId(app, place), release, run, specification)

    def _run(self, app: str, run: int, change: f.Change, specification: Specification) -> Iterator[f.Recorded]:
        of = run_object(app, run)
        yield f.Recorded(of, f.RunRequested(run, change), "the newest change")
        yield f.Recorded(of, f.SpecificationRead(specification))
        for step in specification.steps:
            yield f.Recorded(of, f.StepStarted(step.name, 1, f"step/{app}/{run}/{step.name}/1"))
            yield f.Recorded(of, f.StepFinished(step.name, 1, "passed", 0, 1.5, ""))
        yield f.Recorded(of, f.ActionDone("clean", "CleanWorkspace"))

    def _place(self, place: EnvironmentId, release: str, run: int, said: Specification) -> Iterator[f.Recorded]:
        chance, of = self._chance, place.object_id
        yield f.Recorded(of, f.ReleaseOffered(release, run, said))
        yield f.Recorded(of, f.DesiredCommitted(release, f"{chance.getrandbits(160):040x}"), "promoted by itself")
        yield f.Recorded(of, f.ActionDone("commit", "CommitDesired"))
        number = self._rollouts[place] = self._rollouts.get(place, 0) + 1
        stable = self._live.get(place)
        rollout = rollout_object(place, number)
        yield f.Recorded(rollout, f.RolloutRequested(number, release, stable, said, instant=stable is None, run=run))
        yield f.Recorded(
            rollout, f.RolloutStarted(number, release, stable, "canary", (5.0, 20.0, 50.0)), "step by step"
        )
        good = chance.random() < 0.8
        for index in range(len(STEPS) if stable else 0):
            yield from self._step(rollout, index)
        yield f.Recorded(rollout, f.VerdictReached("PASS" if good else "FAIL", "" if good else "errors"), "it is so")
        ended = f.RolloutEnded(number, release, stable, "promoted" if good else "rolled_back", 60.0, not good)
        for told in (rollout, of):
            yield f.Recorded(told, ended, "it is over")
        if good or stable is None:
            self._live[place] = release
            yield f.Recorded(of, f.LiveChanged(release, stable), "all traffic")
        else:
            yield f.Recorded(of, f.ReleaseQuarantined(release), "it is worse")

    def _step(self, rollout: ObjectId, index: int) -> Iterator[f.Recorded]:
        chance = self._chance
        weight = STEPS[index].weight_pct
        yield f.Recorded(rollout, f.StepEntered(index, weight), f"step {index + 1}")
        yield f.Recorded(rollout, f.ActionDone(f"shift-{index}", "ShiftTraffic"))
        if chance.random() < 0.2:
            yield f.Recorded(rollout, self._tick(index), "the share is not verified yet")
        yield f.Recorded(rollout, f.WeightVerified(index, weight), f"{weight:g} % verified")
        for _ in range(chance.randint(0, 2 * self._ticks)):
            yield f.Recorded(rollout, self._tick(index), "not sure yet")
            if chance.random() < 0.02:
                yield from self._interruption(rollout, index, weight)
        if chance.random() < 0.2:
            judged = f.ExperimentJudged(index, {"warmer": "PASS", "colder": "FAIL"}, ("colder",))
            yield f.Recorded(rollout, judged, "one is worse")

    def _interruption(self, rollout: ObjectId, index: int, weight: float) -> Iterator[f.Recorded]:
        match self._chance.randrange(4):
            case 0:
                yield f.Recorded(rollout, f.WeightLost(index, 0.0), "the gateway was started anew")
                yield f.Recorded(rollout, f.WeightVerified(index, weight), "and holds it again")
            case 1:
                yield f.Recorded(rollout, f.PauseRequested("bob"), actor="bob")
                yield f.Recorded(rollout, f.ResumeRequested("bob"), actor="bob")
            case 2:
                yield f.Recorded(rollout, f.RolloutHeld(), "numbers are old")
                yield f.Recorded(rollout, f.RolloutReleased())
            case _:
                yield f.Recorded(rollout, f.GateStarted("smoke", f"gate/{rollout}/smoke"))
                yield f.Recorded(rollout, f.GateEnded("smoke", True, 2.0), "gate smoke passed")

    def _tick(self, index: int) -> f.EvidenceCounted:
        chance = self._chance
        return f.EvidenceCounted(
            index,
            candidate_requests=chance.randint(0, 20),
            candidate_errors=chance.randint(0, 2),
            stable_requests=chance.randint(0, 200),
            stable_errors=chance.randint(0, 3),
            candidate_p95_ms=chance.choice((None, 20.5, 31.25)),
            stable_p95_ms=chance.choice((None, 19.5, 30.0)),
            rollback_log_e=chance.uniform(-2, 4),
            promote_log_e={"errors": chance.uniform(-2, 4), "latency": chance.uniform(-2, 4)},
            rollback_at=5.3,
            promote_at=3.0,
            own={"refusals": (chance.random(), chance.random())} if chance.random() < 0.5 else {},
        )


def _specification(app: str) -> Specification:
    places = tuple(EnvironmentSpec(name, 8080, strategy=StrategySpec(steps=STEPS)) for name in PLACES)
    steps = (StepSpec("build", "make"), StepSpec("test", "make test", ("build",)))
    return Specification(app, ServiceSpec("serve"), places, steps=steps)
