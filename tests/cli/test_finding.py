"""How a command finds its server, its application and its environment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.scenario import APP, board, play
from tests.cli.terminal import Terminal
from tests.client.server import TOKEN, Api
from trimtab.cli.find import Server, choose_app, choose_environment, configured_app, find_server
from trimtab.core.errors import TrimtabError
from trimtab.views.model import AppView


def home(folder: Path, url: str = "http://here", token: str = "secret") -> Path:
    """A Trimtab folder with a server."""
    place = folder / ".trimtab"
    place.mkdir(parents=True)
    (place / "api.json").write_text(json.dumps({"url": url, "token": token}))
    return place


def test_options_come_before_variables_and_those_before_the_folder(tmp_path: Path) -> None:
    home(tmp_path)
    variables = {"TRIMTAB_URL": "http://there", "TRIMTAB_TOKEN": "t"}
    assert find_server("http://said", "s", None, variables, tmp_path) == Server("http://said", "s")
    assert find_server(None, None, None, variables, tmp_path) == Server("http://there", "t")
    assert find_server(None, None, None, {}, tmp_path) == Server("http://here", "secret")


def test_a_folder_is_found_upwards(tmp_path: Path) -> None:
    home(tmp_path / "repository")
    deep = tmp_path / "repository" / "src" / "deep"
    deep.mkdir(parents=True)
    assert find_server(None, None, None, {}, deep).token == "secret"


def test_home_may_be_named(tmp_path: Path) -> None:
    named = home(tmp_path / "named", token="named")
    other = home(tmp_path / "other", token="other")
    assert find_server(None, None, None, {"TRIMTAB_HOME": str(named)}, tmp_path).token == "named"
    variables = {"TRIMTAB_HOME": str(named), "TRIMTAB_URL": "http://there"}
    assert find_server(None, None, str(other), variables, tmp_path) == Server("http://here", "other")


def test_the_token_of_the_folder_is_shown_to_its_own_server_only(tmp_path: Path) -> None:
    home(tmp_path)
    assert find_server("http://here/", None, None, {}, tmp_path).token == "secret"
    assert find_server("http://stranger", None, None, {}, tmp_path).token == ""


def test_a_server_that_cannot_be_found_is_said_so(tmp_path: Path, run: Terminal) -> None:
    with pytest.raises(TrimtabError) as nowhere:
        find_server(None, None, None, {}, tmp_path)
    assert nowhere.value.problem.code == "not-running"
    (tmp_path / ".trimtab").mkdir()
    (tmp_path / ".trimtab" / "api.json").write_text("{")
    with pytest.raises(TrimtabError, match=r"api\.json cannot be read"):
        find_server(None, None, None, {}, tmp_path)
    said = run("status", "--home", str(tmp_path / "nothing"))
    assert said.code == 1
    assert said.err.startswith("error: Trimtab is not running\n  at ")
    assert "trimtab up" in said.err


def test_a_home_may_be_named_before_the_command(
    api: Api, run: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TRIMTAB_URL")
    monkeypatch.delenv("TRIMTAB_TOKEN")
    place = str(home(tmp_path / "there", api.url, TOKEN))
    assert run.fine("--home", place, "status") == run.fine("status", "--home", place)
    assert run.fine("rollout", "--home", place, "-e", "staging", "list") == run.fine(
        "rollout", "list", "--home", place, "--env", "staging"
    )
    assert json.loads(run.fine("rollout", "--json", "list", "--home", place))


@pytest.mark.parametrize("line", ["app: books", "app: 'books'", 'app:   "books"  # our shop'])
def test_the_application_is_read_from_the_configuration_even_a_wrong_one(tmp_path: Path, line: str) -> None:
    (tmp_path / "trimtab.yaml").write_text(f"# hello\nnonsense: [\n{line}\n")
    (tmp_path / "src").mkdir()
    assert configured_app(tmp_path / "src") == "books"


def test_a_configuration_without_an_application(tmp_path: Path) -> None:
    (tmp_path / "trimtab.yaml").write_text("service:\n  app: inner\n")
    assert configured_app(tmp_path) is None
    assert configured_app(Path("/")) is None


def test_the_configured_application_is_talked_about(api: Api, run: Terminal) -> None:
    Path("trimtab.yaml").write_text("app: books\n")
    assert "there is no application books" in run("runs").err
    assert run.fine("runs", "--app", APP)


def test_the_only_application_or_an_error_that_lists_them() -> None:
    assert choose_app(["shop"]) == "shop"
    with pytest.raises(TrimtabError, match=r"books, shop \(say which one with --app\)"):
        choose_app(["books", "shop"])
    with pytest.raises(TrimtabError, match="no application yet"):
        choose_app([])


def test_the_environment_with_a_rollout_else_the_last() -> None:
    scene = play()
    app = board(scene.facts).app(APP)
    assert app is not None
    assert choose_environment(None, app) == "production"
    assert choose_environment("staging", app) == "staging"
    scene.begin("staging", scene.live["production"] or "")
    both = board(scene.facts).app(APP)
    assert both is not None
    assert choose_environment(None, both) == "production"
    turned = AppView(APP, environments=both.environments[::-1])
    assert choose_environment(None, turned) == "staging"
    with pytest.raises(TrimtabError, match="it has: staging, production"):
        choose_environment("nowhere", both)
    with pytest.raises(TrimtabError, match="no environment yet"):
        choose_environment(None, AppView(APP))


def test_the_only_rollout_under_way_decides_the_environment() -> None:
    scene = play()
    app = board(scene.facts).app(APP)
    assert app is not None
    production_first = AppView(APP, environments=app.environments[::-1])
    assert choose_environment(None, production_first) == "production"
