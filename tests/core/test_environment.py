"""The environment's decisions: Git says, live follows; and what happens when they disagree."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from trimtab.core.decide.environment import (
    DesiredReading,
    EnvironmentReading,
    EnvironmentState,
    decide_environment,
)
from trimtab.core.errors import Problem
from trimtab.core.model import facts as f
from trimtab.core.model.actions import Action, ApplyRoute, CommitDesired, RetireRelease, StartInstances
from trimtab.core.model.identity import EnvironmentId
from trimtab.core.model.specification import EnvironmentSpec, NewerPolicy, ServiceSpec, Specification
from trimtab.core.model.traffic import Endpoint, Instance, TrafficReading

PLACE = EnvironmentId("shop", "staging")
A, B, C = ("sha256:" + letter * 64 for letter in "abc")


def specification(policy: NewerPolicy = "latest") -> Specification:
    places = (EnvironmentSpec("staging", 8081), EnvironmentSpec("production", 8080))
    return Specification("shop", ServiceSpec("serve"), places, on_newer_change=policy)


@dataclass
class Play:
    """An environment with a Git and a gateway that do what they are told."""

    policy: NewerPolicy = "latest"
    state: EnvironmentState = field(default_factory=lambda: EnvironmentState(PLACE))
    reading: EnvironmentReading = field(default_factory=EnvironmentReading)
    said: list[tuple[f.Fact, str, str | None]] = field(default_factory=list)
    todo: list[tuple[str, Action]] = field(default_factory=list)
    commits: int = 0
    now: float = 100.0

    def specification(self, policy: NewerPolicy = "latest") -> Specification:
        return specification(policy)

    def see(self, *facts: f.Fact) -> None:
        recorded = tuple(f.Recorded(PLACE.object_id, fact, reason="because") for fact in facts)
        decision = decide_environment(self.state, recorded, self.reading, self.now)
        self.state = decision.state
        self.said += [(emit.fact, emit.reason, emit.object) for emit in decision.emit]
        self.todo += [(todo.key, todo.action) for todo in decision.todo]

    def offer(self, release: str, run: int = 1) -> None:
        self.see(f.ReleaseOffered(release, run, self.specification(self.policy), "c" * 40, "Say more"))

    def commit(self) -> CommitDesired:
        """Git takes the pending commit."""
        action = next(action for _, action in reversed(self.todo) if isinstance(action, CommitDesired))
        self.commits += 1
        written = f"commit-{self.commits}"
        self.reading = replace(
            self.reading,
            desired=DesiredReading(written, action.release, "Trimtab", "", self.specification(self.policy)),
        )
        self.see(f.DesiredCommitted(action.release, written))
        return action

    def end(self, outcome: f.RolloutOutcome) -> None:
        number, wanted = self.state.rollout, self.state.desired
        assert number is not None
        request = [fact for fact, _, _ in self.said if isinstance(fact, f.RolloutRequested)][-1]
        self.see(f.RolloutEnded(number, request.release, request.stable, outcome, 3.0))
        assert wanted is not None

    def deploy(self, release: str, run: int = 1) -> None:
        self.offer(release, run)
        self.commit()
        self.end("promoted")

    def facts(self, kind: type[f.Fact]) -> list[f.Fact]:
        return [fact for fact, _, _ in self.said if isinstance(fact, kind)]

    def actions(self, kind: type[Action]) -> list[Action]:
        return [action for _, action in self.todo if isinstance(action, kind)]


def test_an_offer_is_written_to_git_before_anything_moves() -> None:
    play = Play()
    play.offer(A)
    assert play.actions(CommitDesired)
    assert not play.facts(f.RolloutRequested)
    play.commit()
    assert [fact.release for fact in play.facts(f.RolloutRequested) if isinstance(fact, f.RolloutRequested)] == [A]


def test_a_promoted_release_is_live_and_offered_to_the_next_environment() -> None:
    play = Play()
    play.deploy(A)
    assert play.state.live == A
    assert [place for fact, _, place in play.said if isinstance(fact, f.ReleaseOffered)] == ["env/shop/production"]


def test_the_release_before_is_retired() -> None:
    play = Play()
    play.deploy(A)
    play.deploy(B, run=2)
    retired = play.actions(RetireRelease)
    assert [action.release for action in retired if isinstance(action, RetireRelease)] == [A]
    assert play.state.history == (A,)


def test_a_rolled_back_release_is_reverted_in_git_and_not_tried_again() -> None:
    play = Play()
    play.deploy(A)
    play.offer(B, run=2)
    play.commit()
    play.end("rolled_back")
    revert = play.commit()
    assert revert.release == A
    assert revert.subject.startswith("Roll back bbbbbbbbbbbb in shop/staging")
    assert revert.trailers["Trimtab-Reason"] == "because"
    play.see()
    assert play.state.rollout is None
    assert len(play.facts(f.RolloutRequested)) == 2


def test_a_first_release_that_fails_is_not_tried_again_by_itself() -> None:
    play = Play()
    play.offer(A)
    play.commit()
    play.end("failed")
    play.see()
    assert play.state.rollout is None
    play.offer(B, run=2)
    play.commit()
    assert play.state.rollout == 2


def test_the_same_release_is_tried_again_when_it_is_offered_again() -> None:
    """Git says so already, so our commit changes nothing there: the file's newest commit stays the old one."""
    play = Play()
    play.offer(A)
    play.commit()
    play.end("failed")
    play.see()
    play.offer(A, run=2)
    play.see(f.DesiredCommitted(A, "empty-commit"))
    assert play.state.rollout == 2
    play.see()
    assert not play.facts(f.DesiredAdopted)


def test_an_edit_in_git_is_picked_up() -> None:
    play = Play()
    play.deploy(A)
    play.deploy(B, run=2)
    play.reading = replace(play.reading, desired=DesiredReading("by-hand", A, "someone", "Revert", specification()))
    play.see()
    request = play.facts(f.RolloutRequested)[-1]
    assert isinstance(request, f.RolloutRequested)
    assert (request.release, request.instant) == (A, True)


def test_an_invalid_edit_is_refused_once_and_changes_nothing() -> None:
    play = Play()
    play.deploy(A)
    problem = Problem("state-invalid", "`latest` is not a digest")
    play.reading = replace(play.reading, desired=DesiredReading("by-hand", None, "someone", "Oops", problem=problem))
    play.see()
    play.see()
    assert len(play.facts(f.DesiredRefused)) == 1
    assert (play.state.live, play.state.rollout) == (A, None)


def test_an_edit_in_git_during_a_rollout_stops_it() -> None:
    play = Play()
    play.deploy(A)
    play.offer(B, run=2)
    play.commit()
    play.reading = replace(play.reading, desired=DesiredReading("by-hand", A, "someone", "Stop", specification()))
    play.see()
    assert [place for fact, _, place in play.said if isinstance(fact, f.AbortRequested)] == ["rollout/shop/staging/2"]
    play.end("superseded")
    assert (play.state.live, play.state.rollout) == (A, None)


def test_latest_lets_the_running_one_end_and_skips_to_the_newest() -> None:
    play = Play()
    play.deploy(A)
    play.offer(B, run=2)
    play.commit()
    play.offer(C, run=3)
    play.offer(A, run=4)
    assert [fact.release for fact in play.facts(f.ReleaseSuperseded) if isinstance(fact, f.ReleaseSuperseded)] == [C]
    assert not play.facts(f.AbortRequested)


def test_queue_takes_all_in_order() -> None:
    play = Play("queue")
    play.deploy(A)
    play.offer(B, run=2)
    play.commit()
    play.offer(C, run=3)
    play.offer(A, run=4)
    play.end("promoted")
    assert play.commit().release == C


def test_cancel_stops_the_running_one_for_the_newest() -> None:
    play = Play("cancel")
    play.deploy(A)
    play.offer(B, run=2)
    play.commit()
    play.offer(C, run=3)
    assert play.facts(f.AbortRequested)
    play.end("superseded")
    assert play.commit().release == C


def test_a_rollback_is_written_to_git_and_returns_at_once() -> None:
    play = Play()
    play.deploy(A)
    play.deploy(B, run=2)
    play.see(f.RollbackRequested(None, "someone"))
    assert play.commit().release == A
    request = play.facts(f.RolloutRequested)[-1]
    assert isinstance(request, f.RolloutRequested)
    assert (request.release, request.stable, request.instant) == (A, B, True)


def live_world(*phases: str, stable: str | None = A) -> EnvironmentReading:
    instances = tuple(Instance(str(i), A, Endpoint("127.0.0.1", 9000 + i), phase) for i, phase in enumerate(phases))
    traffic = TrafficReading(stable, endpoints={A: tuple(i.endpoint for i in instances)} if stable == A else {})
    return EnvironmentReading(traffic=traffic, instances=instances)


def test_missing_instances_are_started_again() -> None:
    play = Play()
    play.deploy(A)
    play.reading = replace(live_world(), desired=play.reading.desired)
    play.see()
    play.see()
    assert len(play.actions(StartInstances)) == 1


def test_a_gateway_that_routes_elsewhere_is_put_right() -> None:
    play = Play()
    play.deploy(A)
    play.reading = replace(live_world("ready", stable=B), desired=play.reading.desired)
    play.see()
    route = play.actions(ApplyRoute)[-1]
    assert isinstance(route, ApplyRoute)
    assert route.stable == A


def test_an_instance_that_does_not_serve_is_a_problem_until_it_does() -> None:
    play = Play()
    play.deploy(A)
    play.reading = replace(live_world("unhealthy"), desired=play.reading.desired)
    play.see()
    assert [fact.problem.code for fact in play.facts(f.ProblemFound) if isinstance(fact, f.ProblemFound)] == [
        "instance"
    ]
    play.reading = replace(live_world("ready"), desired=play.reading.desired)
    play.see()
    assert play.facts(f.ProblemCleared)


def test_a_write_that_fails_is_made_again_until_it_is_done() -> None:
    play = Play()
    play.deploy(A)
    play.offer(B, run=2)
    key, wanted = play.todo[-1]
    locked = Problem("git", "main.lock is there")
    play.see(f.ActionFailed(key, "CommitDesired", locked))
    assert [problem.code for problem in play.state.problems] == ["state-repository"]
    play.see()
    assert play.todo[-1] == (key, wanted)
    play.now += 10.0
    play.see()
    again, action = play.todo[-1]
    assert (again != key, action) == (True, wanted)
    play.commit()
    assert play.state.problems == ()
    assert play.state.rollout is not None


def test_a_commit_that_names_the_candidate_anew_starts_its_rollout_anew() -> None:
    play = Play()
    play.deploy(A)
    play.offer(B, run=2)
    play.commit()
    first = play.state.rollout
    play.reading = replace(
        play.reading, desired=DesiredReading("by-hand", B, "ada", "Say why", play.specification(play.policy))
    )
    play.see()
    play.end("superseded")
    assert play.state.rollout is not None
    assert play.state.rollout != first
