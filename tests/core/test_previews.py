"""Previews of an application: who has one, where, and until when."""

from __future__ import annotations

import re
from dataclasses import replace

from trimtab.core.decide import previews
from trimtab.core.decide.application import ApplicationReading, AppState, decide_application
from trimtab.core.decide.previews import Previews, name_of
from trimtab.core.decide.pull_requests import PullReading
from trimtab.core.model import facts as f
from trimtab.core.model.actions import ReportRun
from trimtab.core.model.decision import Decision
from trimtab.core.model.forge import ForgeSpec
from trimtab.core.model.identity import is_name
from trimtab.core.model.specification import EnvironmentSpec, PreviewsSpec, ServiceSpec, Specification

SPEC = PreviewsSpec(first_port=9000, last_port=9002, keep_s=3600.0, env={"STAGE": "preview"}, replicas=2)
HEAD = Specification("shop", ServiceSpec("serve"), (EnvironmentSpec("production", 8080),))
STATE = AppState("shop", previews=Previews(SPEC))
FORGE = ForgeSpec("github", "org/shop", "https://api.github.com")
FREE = frozenset({9000, 9001, 9002})
DIGEST = {letter: f"sha256:{letter * 64}" for letter in "abcdef"}


def pull(number: int, *, from_fork: bool = False) -> f.PullRequest:
    return f.PullRequest(number, "main", from_fork=from_fork)


def updated(number: int, letter: str, *, from_fork: bool = False) -> f.PullRequestUpdated:
    request = pull(number, from_fork=from_fork)
    return f.PullRequestUpdated(request, f.Change(letter * 40, request.branch, "ann", f"Change {letter}", 0.0))


def passed(run: int, letter: str) -> tuple[f.Fact, ...]:
    """What the run of a pull request that passes says to the application."""
    release = DIGEST[letter]
    return f.ReleaseOffered(release, run, HEAD, letter * 40), f.RunFinished(run, "passed", release, 1.0)


def see(
    state: AppState,
    *facts: f.Fact,
    now: float = 0.0,
    free: frozenset[int] = FREE,
    closed: tuple[str, ...] = (),
) -> Decision[AppState]:
    recorded = tuple(f.Recorded("app/shop", fact) for fact in facts)
    reading = ApplicationReading(pulls=PullReading(closed=closed), free_ports=free)
    return decide_application(state, recorded, reading, now)


def opened(decision: Decision[AppState]) -> list[tuple[str | None, int, str]]:
    """Of each preview that was opened: the environment, the run and the address."""
    said = [(emit.object, emit.fact) for emit in decision.emit]
    return [(place, fact.run, fact.url) for place, fact in said if isinstance(fact, f.PreviewOpened)]


def closed(decision: Decision[AppState]) -> list[tuple[str | None, str]]:
    return [(emit.object, emit.reason) for emit in decision.emit if isinstance(emit.fact, f.PreviewClosed)]


def requested(decision: Decision[AppState]) -> list[bool]:
    """Of each run that was asked for, whether it cuts a release for a preview."""
    return [emit.fact.preview for emit in decision.emit if isinstance(emit.fact, f.RunRequested)]


def having(number: int = 7, letter: str = "a", now: float = 0.0) -> AppState:
    """The state once a pull request has its preview."""
    state = see(STATE, updated(number, letter)).state
    return see(state, *passed(1, letter), now=now).state


NAMED = {
    "verse": "preview-verse",
    "7": "preview-7-[0-9a-f]{6}",  # pull request 7 of a forge is another one
    "Ann/New_Prompt": "preview-ann-new-prompt-[0-9a-f]{6}",
    "ann/new-prompt": "preview-ann-new-prompt-[0-9a-f]{6}",
    "...": "preview-[0-9a-f]{6}",
    "x" * 200: "preview-x{24}-[0-9a-f]{6}",
    "x" * 199: "preview-x{24}-[0-9a-f]{6}",
}


def test_every_pull_request_has_a_name_of_its_own() -> None:
    names = {name: name_of(f.PullRequest(0, "main", name=name)) for name in NAMED}
    for name, pattern in NAMED.items():
        assert re.fullmatch(pattern, names[name])
        assert is_name(names[name])
    assert len({*names.values(), name_of(pull(7))}) == len(NAMED) + 1
    assert name_of(pull(7)) == "preview-7"


def test_who_passes_has_a_preview_with_the_deployed_branchs_settings() -> None:
    state = see(STATE, updated(7, "a")).state
    decision = see(state, *passed(1, "a"), now=100.0)
    assert opened(decision) == [("env/shop/preview-7", 1, "http://127.0.0.1:9001")]
    fact = next(emit.fact for emit in decision.emit if isinstance(emit.fact, f.PreviewOpened))
    (place,) = fact.specification.environments
    assert (place.name, place.port, place.replicas, place.env) == ("preview-7", 9001, 2, {"STAGE": "preview"})
    assert (place.strategy.kind, place.strategy.steps) == ("instant", ())
    assert (place.analysis.errors, place.analysis.latency) == (None, None)
    assert fact.until == 3700.0
    assert decision.look_at is not None
    assert fact.specification.after("production") is None


def test_without_the_setting_no_release_is_cut() -> None:
    decision = see(AppState("shop"), updated(7, "a"))
    assert requested(decision) == [False]
    assert opened(see(decision.state, *passed(1, "a"))) == []
    assert requested(see(STATE, updated(7, "a"))) == [True]


def test_forks_have_one_only_where_that_is_said() -> None:
    decision = see(STATE, updated(7, "a", from_fork=True))
    assert requested(decision) == [False]
    assert opened(see(decision.state, *passed(1, "a"))) == []
    trusting = replace(STATE, previews=Previews(replace(SPEC, forks=True)))
    decision = see(trusting, updated(7, "a", from_fork=True))
    assert requested(decision) == [True]
    state = see(decision.state, *passed(1, "a")).state
    assert closed(see(replace(state, previews=replace(state.previews, spec=SPEC)))) != []


def test_a_newer_head_keeps_the_port_whoever_listens_elsewhere() -> None:
    state = see(having(), f.PreviewStarted("preview-7", 1, DIGEST["a"], True)).state
    state = see(state, updated(7, "b")).state
    decision = see(state, *passed(2, "b"), free=frozenset({9000, 9002}), now=50.0)
    assert opened(decision) == [("env/shop/preview-7", 2, "http://127.0.0.1:9001")]
    assert [preview.until for preview in decision.state.previews.open] == [3650.0]


def test_one_that_never_listened_leaves_a_port_that_is_taken() -> None:
    state = see(having(), f.PreviewStarted("preview-7", 1, DIGEST["a"], False), updated(7, "b")).state
    decision = see(state, *passed(2, "b"), free=frozenset({9000, 9002}))
    assert opened(decision) == [("env/shop/preview-7", 2, "http://127.0.0.1:9002")]


def test_what_is_not_the_newest_head_any_more_gets_none() -> None:
    state = see(STATE, updated(7, "a")).state
    state = see(state, updated(7, "b")).state
    assert opened(see(state, *passed(1, "a"))) == []
    assert opened(see(state, *passed(2, "b"))) != []


def test_whoever_was_closed_meanwhile_gets_none() -> None:
    state = see(STATE, updated(7, "a")).state
    state = see(state, f.PullRequestClosed(pull(7))).state
    assert opened(see(state, *passed(1, "a"))) == []


def test_its_port_is_free_when_all_of_it_is_gone() -> None:
    decision = see(having(), closed=("pull/7",))
    assert closed(decision) == [("env/shop/preview-7", "pull request 7 is not open any more")]
    assert closed(see(decision.state)) == []
    state = see(decision.state, updated(10, "b")).state
    other = see(state, *passed(2, "b"))
    assert opened(other) == [("env/shop/preview-10", 2, "http://127.0.0.1:9002")]
    gone = see(other.state, f.PreviewGone("preview-7", 1), updated(13, "c"))
    assert opened(see(gone.state, *passed(3, "c"))) == [("env/shop/preview-13", 3, "http://127.0.0.1:9001")]


def test_one_that_comes_back_waits_until_what_was_there_is_gone() -> None:
    state = see(having(), closed=("pull/7",)).state
    state = see(state, updated(7, "b")).state
    waiting = see(state, *passed(2, "b"))
    assert opened(waiting) == []
    assert opened(see(waiting.state, f.PreviewGone("preview-7", 1))) == [
        ("env/shop/preview-7", 2, "http://127.0.0.1:9001")
    ]


def test_its_time_is_over_once() -> None:
    state = having(now=100.0)
    assert closed(see(state, now=3699.0)) == []
    over = see(state, now=3700.0)
    assert closed(over) == [("env/shop/preview-7", "its time is over: there was no newer head that passed")]
    assert closed(see(over.state, now=3701.0)) == []
    assert opened(see(see(over.state, f.PreviewGone("preview-7", 1)).state)) == []


def test_the_next_look_is_when_one_goes_away() -> None:
    state = replace(having(), source=f.AppRegistered(poll_url="https://x/shop.git", poll_interval_s=7200.0))
    assert see(state, now=100.0).look_at == 3600.0
    assert see(see(state, now=3600.0).state, now=3601.0).look_at == 3601.0 + 7200.0


def test_a_person_closes_one() -> None:
    decision = see(having(), f.PreviewCloseRequested("preview-7", "ann"))
    assert closed(decision) == [("env/shop/preview-7", "ann asked for it")]
    assert closed(see(decision.state, f.PreviewCloseRequested("preview-7", "ann"))) == []
    assert closed(see(STATE, f.PreviewCloseRequested("preview-9", "ann"))) == []


def test_who_finds_no_port_is_told_once_and_gets_the_first_that_is_free() -> None:
    state = see(STATE, updated(7, "a")).state
    full = see(state, *passed(1, "a"), free=frozenset())
    (refused,) = [emit for emit in full.emit if isinstance(emit.fact, f.PreviewRefused)]
    assert refused.object == "run/shop/1"
    assert refused.reason == "no port of 9000-9002 is free for a preview: taken by others"
    again = see(full.state, free=frozenset())
    assert [emit for emit in again.emit if isinstance(emit.fact, f.PreviewRefused)] == []
    assert previews.ports_to_ask(again.state.previews, ()) == ("127.0.0.1", range(9000, 9003))
    assert opened(see(again.state, free=frozenset({9000}))) == [("env/shop/preview-7", 1, "http://127.0.0.1:9000")]
    assert see(again.state, closed=("pull/7",)).state.previews.waiting == ()


def test_nobody_looks_for_ports_that_nobody_wants() -> None:
    assert previews.ports_to_ask(having().previews, ()) is None
    offer = f.Recorded("app/shop", passed(1, "a")[0])
    assert previews.ports_to_ask(Previews(), (offer,)) is None
    assert previews.ports_to_ask(STATE.previews, (offer,)) is not None


def test_the_address_outside_is_as_it_was_said() -> None:
    for url, wanted in {
        "https://{name}.shop.example": "https://preview-7.shop.example",
        "": "http://[::1]:9001",
    }.items():
        state = replace(STATE, previews=Previews(replace(SPEC, host="::1", url=url)))
        state = see(state, updated(7, "a")).state
        assert opened(see(state, *passed(1, "a"))) == [("env/shop/preview-7", 1, wanted)]


def test_the_forge_is_told_when_it_serves_and_when_it_is_gone() -> None:
    state = replace(having(), source=f.AppRegistered(poll_url="https://x/shop.git", forge=FORGE))
    served = see(state, f.PreviewStarted("preview-7", 1, DIGEST["a"], True))
    assert [todo.key for todo in served.todo if isinstance(todo.action, ReportRun)] == ["report:1:started"]
    gone = see(served.state, f.PreviewGone("preview-7", 1))
    assert [todo.key for todo in gone.todo if isinstance(todo.action, ReportRun)] == ["report:1:gone"]
