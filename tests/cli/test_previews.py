"""`trimtab previews`, and what other commands say of previews."""

from __future__ import annotations

import pytest

from tests.cli.previewed import SERVING, URL, with_previews
from tests.cli.scenario import digest
from tests.cli.terminal import Terminal
from tests.client.server import Api
from trimtab.core.errors import Problem
from trimtab.core.model import facts as f
from trimtab.core.model.identity import short
from trimtab.views.board import Board


@pytest.fixture
def previewed(api: Api) -> Api:
    api.scene = with_previews()
    api.tell()
    return api


def test_they_are_listed_for_people_and_programs(previewed: Api, run: Terminal) -> None:
    said = run("previews").out
    assert [line.split()[1] for line in said.splitlines()[1:]] == ["preview-7", "preview-8", "preview-shorter"]
    listed = run.json("previews", "list", "--app", "shop")
    assert listed[0]["preview"]["url"] == URL
    assert listed[0]["preview"]["pull_request"]["number"] == 7
    assert run("previews", "--app", "nobody").code == 1


def test_without_any_it_says_how_to_get_one(api: Api, run: Terminal) -> None:
    assert "if trimtab.yaml has `previews`" in run("previews").out


def test_one_is_closed_by_hand(previewed: Api, run: Terminal) -> None:
    said = run("previews", "close", "preview-7")
    assert (said.code, said.err.strip()) == (0, f"app/shop: preview-7 ({URL}) is being removed")
    assert (previewed.last().object, previewed.last().fact) == (
        "app/shop",
        f.PreviewCloseRequested("preview-7", "ann"),
    )
    missing = run("previews", "close", "production")
    assert missing.code == 1
    assert "no preview production" in missing.err


@pytest.mark.parametrize(
    "words", [("pin",), ("freeze",), ("rollback",), ("thaw",), ("unpin",), ("quarantine", "lift", "abcd")]
)
def test_what_is_for_environments_that_last_is_refused(previewed: Api, run: Terminal, words: tuple[str, ...]) -> None:
    before = previewed.last()
    said = run(*words, "--env", "preview-7")
    assert said.code == 1
    assert "shop/preview-7 is a preview: it runs the newest head that passed" in said.err
    assert "push to pull request 7" in said.err
    assert previewed.last() == before


def test_production_stays_the_environment_that_is_meant(previewed: Api, run: Terminal) -> None:
    previewed.scene.add("rollout/shop/production/4", f.ResumeRequested("ann"))
    assert run.json("pause")["object"] == "rollout/shop/production/4"


def test_a_run_says_where_its_preview_is_or_why_there_is_none(previewed: Api, run: Terminal) -> None:
    assert f"preview ● serving {URL}" in run("runs", "6").out
    assert "preview ✘ failed" in run("runs", "7").out
    assert "no preview yet: no port of 9000-9019 is free" in run("runs", "9").out
    assert "preview" not in run("runs", "5").out


def test_of_what_is_gone_nothing_is_shown_and_history_still_tells(previewed: Api, run: Terminal) -> None:
    gone = f.PreviewGone(SERVING.name, 6)
    previewed.scene.add(SERVING.object_id, gone, "its instances are stopped, its port is free")
    previewed.scene.add("app/shop", gone)
    previewed.scene.add(SERVING.object_id, f.ProblemFound(Problem("gateway", "late")), "late")
    previewed.tell()
    assert "preview-7" not in run("status").out + run("previews").out + run("runs", "6").out
    assert run("logs", "--env", "preview-7").code == 1
    assert f"preview of {short(digest('run 6'))} at {URL}" in (said := run("history", "--limit", "100").out)
    assert said.count("preview-7 gone") == 1


def test_a_snapshot_of_the_board_knows_them() -> None:
    board = Board()
    board.apply(with_previews().facts)
    again = Board.of(board.seq, board.parts())
    assert again.apps() == board.apps()
    assert again.runs("shop") == board.runs("shop")
