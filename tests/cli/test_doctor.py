"""`doctor`, `backup` and `restore` as commands: exit codes, JSON, files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.shell_completion import BashComplete
from pydantic import TypeAdapter

from tests.app.homes import furnished
from tests.cli.terminal import Terminal
from trimtab.cli.main import root
from trimtab.views.backups import BackupView
from trimtab.views.findings import CHECKS, Finding


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return furnished(tmp_path_factory.mktemp("doctor") / "home").folder


def test_doctor_says_with_its_exit_code_whether_something_is_wrong(run: Terminal, home: Path) -> None:
    assert "✔ ok       programs" in run.fine("doctor", "programs", "--home", str(home))
    said = run("doctor", "--home", str(home))
    assert (said.code, said.err) == (1, "")
    assert "✘ error    instances" in said.out
    assert said.out.rstrip().splitlines()[-1].startswith(f"{len(CHECKS)} checks: 1 error, ")


def test_doctor_as_json(run: Terminal, home: Path) -> None:
    said = run("doctor", "--json", "--home", str(home))
    assert {each.check for each in TypeAdapter(tuple[Finding, ...]).validate_json(said.out)} == set(CHECKS)


def test_doctor_finds_the_nearest_folder(run: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no .trimtab folder was found" in run("doctor").err
    Path(".trimtab").mkdir()
    assert "programs" in run.fine("doctor", "programs")
    assert "there is no such folder" in run("doctor", "--home", "nowhere").err
    said = run("doctor", "everything")
    assert said.code == 2
    assert "'everything' is not one of" in said.err


def test_completion_knows_the_checks() -> None:
    items = BashComplete(root, {}, "trimtab", "_TRIMTAB_COMPLETE").get_completions(["doctor"], "da")
    assert [item.value for item in items] == ["database"]


def test_backup_and_restore(run: Terminal, home: Path, tmp_path: Path) -> None:
    file, again = tmp_path / "backup.tar.gz", tmp_path / "again"
    made = TypeAdapter(BackupView).validate_python(run.json("backup", str(file), "--home", str(home)))
    assert (made.file, made.releases) == (str(file), 1)
    said = run("backup", str(file), "--home", str(home))
    assert (said.code, "--force" in said.err) == (1, True)
    assert "✔ written" in run.fine("backup", str(file), "--home", str(home), "--force")
    assert "✔ restored" in run.fine("restore", str(file), "--home", str(again))
    said = run("restore", str(file), "--home", str(again))
    assert said.code == 1
    assert "there is something already: " in said.err
    assert json.loads((home / "backup.json").read_text())["file"] == str(file)
    assert "The last backup is" in run.fine("doctor", "backup", "--home", str(home))


def test_restore_goes_where_up_would(run: Terminal, home: Path, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    run.fine("backup", str(file), "--home", str(home))
    Path(".trimtab").mkdir()
    run.fine("restore", str(file))
    assert (Path(".trimtab") / "trimtab.db").exists()
