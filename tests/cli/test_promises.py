"""What holds for every command: help, an example, `--json`, the reference page, what is imported, how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from tests.cli.terminal import Terminal
from tests.client.server import Api
from trimtab.cli import reference
from trimtab.cli.catalogue import GROUPS, SECTIONS, summary_of

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
COMMANDS = dict(reference.documented())
HEAVY = ("httpx", "pydantic", "rich", "ruamel", "trimtab.client", "trimtab.config", "trimtab.views", "trimtab.engine")
FORBIDDEN = (
    "fastapi",
    "starlette",
    "uvicorn",
    "sqlite3",
    "grpc",
    "google",
    "psutil",
    "trimtab.adapters",
    "trimtab.engine",
    "trimtab.api",
    "trimtab.app",
)


def test_the_reference_page_is_current() -> None:
    again = "write it anew: python -m trimtab.cli.reference > docs/reference/cli.md"
    assert PAGE.read_text() == reference.page(), again


def test_every_command_of_the_catalogue_is_documented() -> None:
    names = {name for commands in SECTIONS.values() for name in commands}
    names |= {f"{group} {member}" for group, members in GROUPS.items() for member in members}
    assert names == COMMANDS.keys()
    assert all(f"### trimtab {name}\n" in PAGE.read_text() for name in names)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_an_example_and_json(run: Terminal, name: str) -> None:
    command = COMMANDS[name]
    text = run.fine(*name.split(), "--help")
    assert summary_of(name) in text
    assert f"Example:\n    trimtab {name.split()[0]}" in text or name == "completion"
    assert any(isinstance(each, click.Option) and "--json" in each.opts for each in command.params)
    assert all(each.help for each in command.params if isinstance(each, click.Option))
    assert max(map(len, text.splitlines())) <= 100


def modules_after(*words: str) -> set[str]:
    """What is imported by a command, in an interpreter of its own."""
    code = (
        "import sys; from trimtab.cli.main import main\n"
        f"code = main({list(words)!r})\n"
        "print('\\n'.join(sys.modules), file=sys.stderr); sys.exit(code)"
    )
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert answer.returncode == 0, answer.stderr
    return set(answer.stderr.splitlines())


def loaded(modules: set[str], names: tuple[str, ...]) -> list[str]:
    return sorted(name for name in modules for each in names if name == each or name.startswith(f"{each}."))


def test_help_imports_nothing_heavy() -> None:
    modules = modules_after("--help")
    assert loaded(modules, FORBIDDEN + HEAVY) == []
    commands = {f"trimtab.cli.{entry.place.partition(':')[0]}" for each in SECTIONS.values() for entry in each.values()}
    assert loaded(modules, tuple(commands)) == []


def test_commands_import_no_web_stack_database_or_adapter(standing: Api) -> None:
    for words in (("status",), ("up", "--help")):
        assert loaded(modules_after(*words), FORBIDDEN) == []


def test_without_a_command_there_is_help(run: Terminal) -> None:
    assert run.fine() == run.fine("--help")
    assert all(f"\n{title}:\n" in run.fine() for title in SECTIONS)


def test_no_colour_and_pipes_have_no_escape_codes(standing: Api) -> None:
    words = [sys.executable, "-m", "trimtab.cli.main", "status"]
    piped = subprocess.run(words, capture_output=True, text=True, timeout=30)
    assert piped.returncode == 0
    assert "\x1b" not in piped.stdout
    code = "import sys; sys.stdout.isatty = lambda: True\nfrom trimtab.cli.main import main; sys.exit(main(['status']))"
    for variable, coloured in (("NO_COLOR", False), ("TRIMTAB_NOTHING", True)):
        environment = {**os.environ, variable: "1", "TERM": "xterm-256color"}
        words = [sys.executable, "-c", code]
        drawn = subprocess.run(words, capture_output=True, text=True, timeout=30, env=environment)
        assert ("\x1b" in drawn.stdout) is coloured, variable


def test_a_reader_that_goes_away_is_no_error(standing: Api) -> None:
    words = f"{sys.executable} -m trimtab.cli.main history --all --limit 1000 | head -1"
    answer = subprocess.run(words, shell=True, capture_output=True, text=True, timeout=30)
    assert answer.stdout
    assert answer.stderr == ""


def test_a_terminal_without_the_glyphs_shows_question_marks(standing: Api) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "latin-1"}
    words = [sys.executable, "-m", "trimtab.cli.main", "status"]
    answer = subprocess.run(words, capture_output=True, text=True, timeout=30, env=environment)
    assert answer.returncode == 0, answer.stderr
    assert "? passed" in answer.stdout


def test_problems_cannot_steer_the_terminal(run: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_HOME", "/nowhere/\x1b[2J")
    said = run("status")
    assert said.code == 1
    assert "\x1b" not in said.err


def test_json_goes_to_stdout_and_talk_to_stderr(api: Api, run: Terminal) -> None:
    said = run("pause", "--json")
    assert json.loads(said.out)
    assert said.err == ""
