"""The typed client against the real API."""

from __future__ import annotations

from itertools import islice

import httpx
import pytest

from tests.cli.scenario import APP, board, digest
from tests.client.server import PRODUCTION, TOKEN, Api
from trimtab.client import TrimtabClient
from trimtab.core.errors import TrimtabError, failure
from trimtab.core.model import facts as f
from trimtab.core.model.identity import short
from trimtab.views.history import is_routine


def test_views_arrive_as_the_board_has_them(api: Api, client: TrimtabClient) -> None:
    seen = board(api.scene.facts)
    assert client.status().apps == seen.apps()
    assert client.app(APP) == seen.app(APP)
    assert client.overview(APP, 3) == seen.overview(APP, 3)
    assert client.runs(APP) == seen.runs(APP)
    assert client.runs(APP, limit=2) == seen.runs(APP)[:2]
    assert client.run(APP, 3) == seen.run(APP, 3)
    assert client.releases(APP) == seen.releases(APP)
    assert client.environment(APP, "production") == seen.environment(PRODUCTION)
    assert client.rollouts(APP, "production") == seen.rollouts(PRODUCTION)


def test_status_has_the_instances(api: Api, client: TrimtabClient) -> None:
    instances = client.status().instances["shop/production"]
    assert [each.phase for each in instances] == ["ready", "ready"]
    assert {each.release for each in instances} == {api.scene.live["production"]}


def test_history_is_oldest_first_and_leaves_routine_out(client: TrimtabClient) -> None:
    entries = client.history(APP, limit=10)
    assert len(entries) == 10
    assert [entry.seq for entry in entries] == sorted(entry.seq for entry in entries)
    assert not any(is_routine(entry.kind, entry.object) for entry in entries)
    everything = client.history(limit=1000, routine=True)
    assert everything[-1].seq == client.position() == len(everything)
    assert client.history(after=everything[-3].seq, routine=True) == everything[-2:]


@pytest.mark.parametrize(
    ("command", "fact"),
    [
        ("pause", f.PauseRequested("ann")),
        ("resume", f.ResumeRequested("ann")),
        ("abort", f.AbortRequested("ann")),
        ("promote", f.PromoteRequested("ann")),
    ],
)
def test_steering_becomes_a_fact_of_the_rollout(api: Api, client: TrimtabClient, command: str, fact: f.Fact) -> None:
    accepted = client.steer(APP, "production", command)  # type: ignore[arg-type]
    assert accepted.object == api.last().object == "rollout/shop/production/4"
    assert (api.last().fact, api.last().actor) == (fact, "ann")


def test_an_actor_may_have_any_name(api: Api) -> None:
    with api.client(actor="Jörg Žižka 100 %") as client:
        client.steer(APP, "production", "pause")
    assert api.last().actor == "Jörg Žižka 100 %"


def test_an_application_is_registered(api: Api, client: TrimtabClient) -> None:
    assert client.register("books", branch="release", poll_url="/somewhere").name == "books"
    assert api.last().fact == f.AppRegistered("release", "/somewhere")


def test_a_run_is_cancelled_only_while_it_runs(api: Api, client: TrimtabClient) -> None:
    with pytest.raises(TrimtabError) as refused:
        client.cancel(APP, 3)
    assert refused.value.problem.code == "conflict"
    api.scene.change("Try something")
    api.tell()
    assert client.cancel(APP, 6).object == "run/shop/6"
    assert api.last().fact == f.RunCancelRequested("ann")


def test_what_the_server_says_is_wrong_arrives_as_it_is(client: TrimtabClient) -> None:
    with pytest.raises(TrimtabError) as unknown:
        client.app("nothing")
    problem = unknown.value.problem
    assert (problem.code, problem.message) == ("not-found", "there is no application nothing")
    assert "trimtab status" in problem.hint
    with pytest.raises(TrimtabError) as invalid:
        client.register("Not A Name")
    assert invalid.value.problem.code == "invalid-request"
    with pytest.raises(TrimtabError) as ambiguous:
        client.rollback(APP, "production", "zzzz")
    assert ambiguous.value.problem.code == "release-unknown"


def test_a_name_cannot_lead_to_another_address(client: TrimtabClient) -> None:
    for name in ("../status", "shop?limit=1", "shop/runs"):
        with pytest.raises(TrimtabError) as refused:
            client.app(name)
        assert refused.value.problem.code in ("not-found", "unexpected-answer")


def test_a_wrong_token_is_refused_with_a_hint(api: Api) -> None:
    with api.client(token="wrong") as stranger:
        for ask in (
            stranger.status,
            lambda: next(stranger.events(0)),
            lambda: list(stranger.logs("step/shop/3/lint/1")),
        ):
            with pytest.raises(TrimtabError) as refused:
                ask()
            assert refused.value.problem.code == "unauthenticated"
            assert refused.value.problem.hint


def test_events_begin_after_a_number_and_go_on_with_what_happens(api: Api, client: TrimtabClient) -> None:
    position = client.position()
    events = client.events(position - 2)
    assert [entry.seq for entry in islice(events, 2)] == [position - 1, position]
    client.steer(APP, "production", "resume")
    entry = next(events)
    assert (entry.seq, entry.kind, entry.actor) == (position + 1, "ResumeRequested", "ann")


def test_logs_are_lines(api: Api, client: TrimtabClient) -> None:
    assert list(client.logs("step/shop/3/test/1")) == ["test line 1", "test line 2"]
    assert list(client.logs("step/shop/3/test/1", tail=1)) == ["test line 2"]
    with pytest.raises(TrimtabError) as unknown:
        list(client.logs("step/shop/99/test/1"))
    assert unknown.value.problem.code == "not-found"


def test_a_followed_log_ends_with_its_process(api: Api, client: TrimtabClient) -> None:
    instance = client.status().instances["shop/production"][0]
    lines = client.logs(instance.log, follow=True)
    assert next(lines) == f"hello from {instance.id}"
    with api.processes.log_path(instance.log).open("a") as file:
        file.write("and goodbye\n")
    assert next(lines) == "and goodbye"
    api.processes.finish(instance.log)
    assert list(lines) == []


def test_a_rollback_names_its_release_by_the_first_digits(api: Api, client: TrimtabClient) -> None:
    """The scenario's releases have no bytes, so the artifact store refuses: the name was understood."""
    with pytest.raises(TrimtabError) as refused:
        client.rollback(APP, "production", short(digest("Answer questions about orders"))[:6])
    assert refused.value.problem.code not in ("release-unknown", "not-found")


def test_a_store_that_is_gone_is_not_the_caller_s_fault(api: Api, client: TrimtabClient) -> None:
    def gone(*_: object, **__: object) -> None:
        raise failure("store-unreachable", "the store cannot be reached", "see that the server runs")

    api.store.append = gone  # type: ignore[method-assign, assignment]
    with pytest.raises(TrimtabError, match="the store cannot be reached"):
        client.steer(APP, "production", "pause")
    answer = httpx.post(
        f"{api.url}/api/v1/apps/{APP}/environments/production/rollout/pause",
        headers={"authorization": f"Bearer {TOKEN}"},
    )
    assert answer.status_code == 503
    assert answer.json()["problems"][0]["code"] == "store-unreachable"
