"""`init`, `validate`, `up`, `down`, `version` and `completion`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.shell_completion import BashComplete

from tests.cli.terminal import Terminal
from trimtab import __version__
from trimtab.cli.init import guess_name
from trimtab.cli.main import root
from trimtab.config import load


def test_init_writes_a_configuration_that_is_valid(
    run: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "My_Shop.v2"
    folder.mkdir()
    monkeypatch.chdir(folder)
    said = run("init")
    assert said.code == 0
    assert "git push trimtab main" in said.err
    text = Path("trimtab.yaml").read_text()
    assert load(text).app == "my-shop-v2"
    schema = text.splitlines()[0].partition("$schema=")[2]
    assert json.loads(Path(schema).read_text())["$schema"]
    assert Path(".gitignore").read_text() == ".trimtab/\n"
    assert said.out.split() == [str(folder / name) for name in ("trimtab.yaml", schema, ".gitignore")]
    assert run.fine("validate") == ""


def test_init_leaves_what_is_there_alone(run: Terminal) -> None:
    Path("trimtab.yaml").write_text("app: mine\n")
    said = run("init")
    assert said.code == 1
    assert "--force" in said.err
    assert Path("trimtab.yaml").read_text() == "app: mine\n"
    Path(".gitignore").write_text("*.pyc\n.trimtab/")
    assert run.json("init", "--force", "--app", "books")["app"] == "books"
    assert Path(".gitignore").read_text() == "*.pyc\n.trimtab/"
    assert "app: books" in Path("trimtab.yaml").read_text()


def test_init_adds_a_line_to_a_gitignore_without_an_end(run: Terminal) -> None:
    Path(".gitignore").write_text("*.pyc")
    run.fine("init", "--app", "books")
    assert Path(".gitignore").read_text() == "*.pyc\n.trimtab/\n"


@pytest.mark.parametrize("name", ["Shop", "a b", "-a", "x" * 41])
def test_init_refuses_a_name_that_cannot_be_one(run: Terminal, name: str) -> None:
    assert run("init", f"--app={name}").code == 1
    assert not Path("trimtab.yaml").exists()


@pytest.mark.parametrize(("folder", "name"), [("shop", "shop"), ("My Shop!", "my-shop"), ("日本", "app"), ("", "app")])
def test_a_name_is_guessed(folder: str, name: str) -> None:
    assert guess_name(folder) == name


def test_validate_shows_every_problem_where_it_is(run: Terminal) -> None:
    Path("wrong.yaml").write_text("app: shop\nservice:\n  comand: x\nenvironments:\n  a: {port: 99999}\n")
    said = run("validate", "wrong.yaml")
    assert said.code == 1
    assert said.out.startswith("wrong.yaml:3:3: ")
    assert "  hint: did you mean `command`?" in said.out
    assert "wrong.yaml:5:" in said.out
    decoded = run("validate", "wrong.yaml", "--json")
    assert decoded.code == 1
    problems = json.loads(decoded.out)
    assert {"code", "message", "hint", "where"} == problems[0].keys()
    assert all(f"{each['where']}: {each['message']}" in said.out for each in problems)


def test_validate_reads_templates_beside_the_file(run: Terminal) -> None:
    digest = "sha256:" + "0" * 64
    elsewhere = f"{{repository: 'https://git.example.com/x.git', path: a.yaml, digest: '{digest}'}}"
    pipeline = f"pipeline:\n  a: {{uses: steps/a.yaml}}\n  b: {{uses: {elsewhere}}}\n"
    Path("trimtab.yaml").write_text(f"app: shop\nservice: {{command: x}}\n{pipeline}")
    assert "trimtab.yaml:4:13: there is no file `steps/a.yaml`" in run("validate").out
    Path("steps").mkdir()
    Path("steps/a.yaml").write_text("step: {run: make, timeout: soon}\n")
    assert run("validate").out.startswith("steps/a.yaml:1:28: ")
    Path("steps/a.yaml").write_text("step: {run: make}\n")
    said = run("validate")
    assert said.code == 0
    assert "a.yaml of https://git.example.com/x.git: not looked at from here" in said.err


def test_validate_looks_at_the_files_of_the_release(run: Terminal) -> None:
    release = "{prompts: {a: {file: p/a.txt, variables: [q]}}, flags: f.json}"
    text = f"app: shop\nservice: {{command: run}}\nrelease: {release}\n"
    Path("trimtab.yaml").write_text(text)
    Path("p").mkdir()
    Path("p/a.txt").write_text("one\n{{ r }}\n")
    said = run("validate")
    assert said.code == 1
    assert said.out.startswith(
        "p/a.txt:2: it uses `r`, which is not one of its variables [prompt-variable-undeclared]\n"
    )
    assert "f.json: there is no such file [release-flags]" in said.out
    Path("p/a.txt").write_text("{{ q }}\n")
    Path("trimtab.yaml").write_text(f"{text}pipeline: {{build: {{run: make, outputs: f.json}}}}\n")
    said = run("validate")
    assert said.code == 0
    assert "f.json: not there yet, looked at when a release is cut" in said.err
    assert run.json("validate") == []


def test_validate_of_nothing(run: Terminal) -> None:
    said = run("validate")
    assert (said.code, said.out) == (1, "")
    assert "trimtab init" in said.err
    Path("folder").mkdir()
    assert "cannot be read" in run("validate", "folder").err


def test_version(run: Terminal) -> None:
    assert run.fine("version") == f"{__version__}\n"
    assert run.json("version") == {"version": __version__}
    assert run.fine("--version") == f"trimtab {__version__}\n"


def test_up_serves_the_repository_that_it_is_called_in(
    run: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import trimtab.app
    from trimtab.app import Settings

    asked: list[object] = []

    def serve(*arguments: object) -> int:
        asked.append(arguments)
        return 0

    monkeypatch.setattr(trimtab.app, "serve", serve)
    top = tmp_path / "repository"
    (top / ".git").mkdir(parents=True)
    (top / "src").mkdir()
    monkeypatch.chdir(top / "src")
    run.fine("up")
    (top / "trimtab.yaml").write_text("app: shop\n")
    run.fine("up", "--port", "0")
    elsewhere = tmp_path / "home"
    run.fine("--home", str(elsewhere), "up", "--host", "0.0.0.0")
    run.fine("up", "--join", "--database", "postgresql://db/trimtab")
    assert asked == [
        (Settings(top / ".trimtab", "127.0.0.1", 7070), None),
        (Settings(top / ".trimtab", "127.0.0.1", 0), top),
        (Settings(elsewhere, "0.0.0.0", 7070), top),
        (Settings(top / ".trimtab", database="postgresql://db/trimtab", join=True), top),
    ]


def test_down_stops_what_the_nearest_folder_runs(run: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    import trimtab.app

    asked: list[Path] = []

    def stop(home: Path, _: object) -> int:
        asked.append(home)
        return 3

    monkeypatch.setattr(trimtab.app, "down", stop)
    said = run("down")
    assert said.code == 1, "there is no folder, and none may be made"
    Path(".trimtab").mkdir()
    assert "3 processes stopped" in run("down").err
    assert run.json("down") == {"stopped": 3}
    assert asked == [Path.cwd() / ".trimtab"] * 2


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(run: Terminal, shell: str) -> None:
    script = run.fine("completion", shell)
    assert "_TRIMTAB_COMPLETE" in script
    assert run.json("completion", shell) == {"shell": shell, "script": script.removesuffix("\n")}


@pytest.mark.parametrize(
    ("words", "offers"),
    [
        ("trimtab ro", {"rollout", "rollback"}),
        ("trimtab rollout ", {"list", "watch"}),
        ("trimtab apps ", {"add"}),
        ("trimtab status --ap", {"--app"}),
        ("trimtab completion z", {"zsh"}),
    ],
)
def test_names_are_completed(words: str, offers: set[str]) -> None:
    *typed, begun = words.split(" ")[1:]
    offered = BashComplete(root, {}, "trimtab", "_TRIMTAB_COMPLETE").get_completions(typed, begun)
    assert {item.value for item in offered} == offers


def test_a_shell_is_answered_by_the_program() -> None:
    asked = {"_TRIMTAB_COMPLETE": "bash_complete", "COMP_WORDS": "trimtab roll", "COMP_CWORD": "1"}
    words = [sys.executable, "-m", "trimtab.cli.main"]
    answer = subprocess.run(words, env={**os.environ, **asked}, capture_output=True, text=True, timeout=30)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.split() == ["plain,rollout", "plain,rollback"]


def test_up_may_be_reached_by_another_address(run: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    import trimtab.app
    from trimtab.app import Settings

    asked: list[Settings] = []

    def serve(settings: Settings, _: object) -> int:
        asked.append(settings)
        return 0

    monkeypatch.setattr(trimtab.app, "serve", serve)
    run.fine("up", "--public-url", "https://trimtab.example.com")
    monkeypatch.setenv("TRIMTAB_PUBLIC_URL", "https://ci.example.com")
    run.fine("up")
    assert [each.public_url for each in asked] == ["https://trimtab.example.com", "https://ci.example.com"]
