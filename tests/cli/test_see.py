"""Commands that show: what they print, as text and as JSON, of a real API."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from tests.cli.scenario import APP, SPECIFICATION, board
from tests.cli.terminal import Terminal
from tests.client.server import PRODUCTION, Api, until
from trimtab.core.model import facts as f
from trimtab.core.model.identity import short
from trimtab.views.model import (
    AppView,
    HistoryEntry,
    ReleaseView,
    RolloutView,
    RunView,
    StatusView,
)

SHAPES: dict[tuple[str, ...], Any] = {
    ("status",): StatusView,
    ("apps",): tuple[AppView, ...],
    ("runs",): tuple[RunView, ...],
    ("runs", "3"): RunView,
    ("releases",): tuple[ReleaseView, ...],
    ("rollout",): tuple[RolloutView, ...],
    ("rollout", "list"): tuple[RolloutView, ...],
    ("history",): tuple[HistoryEntry, ...],
}


@pytest.mark.parametrize("words", SHAPES)
def test_json_decodes_back_and_has_what_the_text_has(standing: Api, run: Terminal, words: tuple[str, ...]) -> None:
    decoded = TypeAdapter(SHAPES[words]).validate_json(run.fine(*words, "--json"))
    assert decoded
    text = run.fine(*words)
    assert text.strip()
    assert "\x1b" not in text


def test_what_is_shown_is_what_the_board_has(standing: Api, run: Terminal) -> None:
    seen = board(standing.scene.facts)
    assert TypeAdapter(tuple[RunView, ...]).validate_python(run.json("runs", "--limit", "2")) == seen.runs(APP)[:2]
    rollouts = TypeAdapter(tuple[RolloutView, ...]).validate_python(run.json("rollout", "list", "-e", "production"))
    assert rollouts == seen.rollouts(PRODUCTION)
    live = standing.scene.live["production"] or ""
    assert f"● live  {short(live)}" in run.fine("status")


def test_the_width_of_a_pipe(standing: Api, run: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert max(map(len, run.fine("runs").splitlines())) <= 60


def test_status_of_one_application(standing: Api, run: Terminal) -> None:
    assert run.json("status", "--app", APP)["apps"][0]["name"] == APP
    said = run("status", "--app", "nothing")
    assert (said.code, said.out) == (1, "")
    assert said.err.startswith("error: there is no application nothing\n  hint: ")


def test_history_with_reasons_and_with_everything(standing: Api, run: Terminal) -> None:
    assert "gave no alarm" not in run.fine("history")
    assert "gave no alarm" in run.fine("history", "--why")
    kinds = {entry["kind"] for entry in run.json("history", "--limit", "1000")}
    everything = {entry["kind"] for entry in run.json("history", "--limit", "1000", "--all")}
    assert everything - kinds >= {"EvidenceCounted", "RolloutRequested"}
    endings = [entry["object"] for entry in run.json("history", "--limit", "1000") if entry["kind"] == "RunFinished"]
    assert endings == [f"run/shop/{number}" for number in range(1, 6)], "each once, not for the application again"


def test_logs_of_a_run_name_the_steps(standing: Api, run: Terminal) -> None:
    assert run.fine("logs", "3").splitlines() == [
        "lint  | lint line 1",
        "lint  | lint line 2",
        "test  | test line 1",
        "test  | test line 2",
    ]
    assert run.fine("logs", "3", "test", "--tail", "1") == "test line 2\n"
    decoded = [json.loads(line) for line in run.fine("logs", "3", "--json").splitlines()]
    assert decoded[-1] == {"from": "test", "line": "test line 2"}


def test_followed_logs_end_with_the_run(standing: Api, run: Terminal) -> None:
    """Side by side: the order between steps is theirs."""
    assert sorted(run.fine("logs", "3", "--follow").splitlines()) == run.fine("logs", "3").splitlines()


def test_followed_logs_have_steps_that_begin_later(api: Api, run: Terminal) -> None:
    api.scene.change("A new change")
    api.tell()
    threading.Thread(target=_run_through, args=(api,), daemon=True).start()
    assert run.fine("logs", "--follow", "6", "lint") == "checked\n"


def _run_through(api: Api) -> None:
    """The run's first step begins, writes and ends, once someone has looked at the run twice."""
    until(lambda: api.requests.count("/api/v1/apps/shop/runs/6") > 1)
    asyncio.run(api.write("step/shop/6/lint/1", "checked"))
    api.scene.step("lint", 0.1)
    api.scene.add("run/shop/6", f.RunFinished(6, "passed", None, 0.2), "done")
    api.tell()


def test_logs_can_be_searched(standing: Api, run: Terminal) -> None:
    assert run.fine("logs", "3", "--grep", "LINE 2$", "-i").splitlines() == [
        "lint  | 2: lint line 2",
        "test  | 2: test line 2",
    ]
    found = json.loads(run.fine("logs", "3", "test", "--grep", "line [1]", "--json"))
    assert found == {"from": "test", "line": "test line 1", "number": 1}
    assert run.fine("logs", "3", "test", "--grep", "nothing") == ""
    said = run("logs", "3", "test", "--grep", "(")
    assert (said.code, "no regular expression" in said.err) == (1, True)


def test_what_a_step_writes_cannot_steer_the_terminal(api: Api, run: Terminal) -> None:
    hostile = "\tred: \x1b[31mx\x1b]0;title\x07\x9b2J \u202egnp\r\x08\x7f end"
    asyncio.run(api.write(f"gate/{APP}/production/4/2", hostile))
    shown = run.fine("logs", f"gate/{APP}/production/4/2")
    assert shown == "\tred: x 2J  gnp  end\n"
    raw = run.fine("logs", f"gate/{APP}/production/4/2", "--json")
    assert raw.isascii()
    assert not any(character < " " for character in raw.rstrip("\n"))
    assert json.loads(raw)["line"] == hostile


def test_logs_without_a_run_are_of_the_newest(api: Api, run: Terminal) -> None:
    api.scene.change("A new change")
    api.tell()
    said = run("logs")
    assert (said.code, said.out) == (0, "")
    assert "run 6 has started no step yet" in said.err


def test_logs_of_a_gate_are_found_by_the_name_that_the_rollout_tells(api: Api, run: Terminal) -> None:
    name = f"gate/{APP}/production/4/2"
    asyncio.run(api.write(name, "HTTP 202, wait"))
    assert run.fine("logs", name) == "HTTP 202, wait\n"
    assert "there is no log" in run("logs", f"gate/{APP}/production/4/9").err


def test_logs_of_instances(standing: Api, run: Terminal) -> None:
    lines = run.fine("logs", "--env", "production").splitlines()
    assert len(lines) == 2
    name = lines[0].partition(" | ")[0].strip()
    assert run.fine("logs", "--env", "production", name) == f"hello from instance/shop/production/{name}\n"


async def _share(api: Api) -> None:
    for release in ("sha256:" + digit * 64 for digit in "78"):
        await api.runtime.ensure(PRODUCTION, release, SPECIFICATION, Path(), 1, program="sha256:" + "9" * 64)
    await api.write(f"instance/{APP}/production/{'7' * 12}/1", "hello from both", end=False)


def test_what_two_releases_share_has_one_log_under_both_names(api: Api, run: Terminal) -> None:
    asyncio.run(_share(api))
    for digit in "78":
        assert run.fine("logs", "--env", "production", f"{digit * 12}/1") == "hello from both\n"
    assert run.fine("logs", "--env", "production").count("hello from both") == 1


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("logs", "3", "nothing"), 1, "its steps: lint, test, evals"),
        (("logs", "--env", "production", "nothing"), 1, "its instances: "),
        (("logs", "--env", "staging"), 1, "shop/staging has no instance"),
        (("logs", "--env", "nowhere"), 1, "it has: staging, production"),
        (("logs", "test"), 2, "RUN is a number"),
        (("logs", "--env", "production", "3", "test"), 2, "name an instance only"),
        (("runs", "99"), 1, "there is no run 99 of shop"),
        (("runs", "x"), 2, "'x' is not a valid"),
        (("stauts",), 2, "did you mean 'status'?"),
        (("status", "--ap", "shop"), 2, "No such option"),
    ],
)
def test_what_cannot_be_shown_is_said(
    standing: Api, run: Terminal, words: tuple[str, ...], code: int, says: str
) -> None:
    said = run(*words)
    assert (said.code, said.out) == (code, "")
    assert says in said.err
    assert "Traceback" not in said.err


def test_an_empty_server(api: Api, run: Terminal) -> None:
    api.store.__init__()  # type: ignore[misc]
    assert "no application yet" in run.fine("status")
    assert run.json("apps") == []
    said = run("runs")
    assert said.code == 1
    assert "trimtab apps add" in said.err
    assert run("rollout", "watch", "--app", "shop").code == 1


def test_an_application_without_runs(api: Api, run: Terminal) -> None:
    assert "shop" in run.fine("apps")
    said = run("apps", "add", "books")
    assert said.code == 0
    assert f"git remote add trimtab {api.url}/git/books.git" in said.err
    assert api.last().fact == f.AppRegistered()
    assert "no run yet" in run.fine("runs", "-a", "books")
    assert "no release yet" in run.fine("releases", "-a", "books")
    assert "has no environment yet" in run("rollout", "-a", "books").err
    assert "has had no run yet" in run("logs", "-a", "books").err
    assert "there are several applications: books, shop" in run("runs").err
