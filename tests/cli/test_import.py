"""`trimtab import argo-rollouts`: what goes to stdout, to stderr and into files, and what it refuses."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.terminal import Terminal
from tests.imports.golden import FOLDER, configuration_of
from trimtab.cli.pictures.imported import imported_lines, summary
from trimtab.config import load
from trimtab.imports.argo_rollouts import Field

CASE = FOLDER / "blue_green.yaml"
ROLLOUT, *TEMPLATES = CASE.read_text().split("\n---\n")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("rollout.yaml").write_text(ROLLOUT)
    Path("templates.yaml").write_text("\n---\n".join(TEMPLATES))
    return tmp_path


def test_the_configuration_goes_to_stdout_and_the_report_to_stderr(run: Terminal, folder: Path) -> None:
    said = run("import", "argo-rollouts", "rollout.yaml", "templates.yaml")
    assert said.code == 0
    assert said.out == configuration_of(CASE).read_text()
    assert "rollout.yaml:6:3 " in said.err
    assert "-> service.replicas: 2" in said.err
    assert "templates.yaml:1:1 " in said.err
    assert said.err.splitlines()[-1].endswith("without counterpart")


def test_json_is_one_object_on_stdout(run: Terminal, folder: Path) -> None:
    said = run("import", "argo-rollouts", "rollout.yaml", "--json")
    assert said.err == ""
    found = run.json("import", "argo-rollouts", "rollout.yaml")
    load(found["configuration"])
    assert found == run.json("import", "--json", "argo-rollouts", "rollout.yaml")
    replicas = next(field for field in found["fields"] if field["path"] == "spec.replicas")
    assert replicas == {
        "place": "rollout.yaml:6:3",
        "object": "Rollout/rollout-bluegreen",
        "path": "spec.replicas",
        "outcome": "mapped",
        "to": "service.replicas: 2",
        "note": "",
    }
    assert {field["outcome"] for field in found["fields"]} == {"mapped", "changed", "none"}


def test_it_reads_stdin(run: Terminal, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stdin:
        buffer = io.BytesIO(CASE.read_bytes())

    monkeypatch.setattr(sys, "stdin", Stdin)
    said = run("import", "argo-rollouts", "-")
    assert said.out == configuration_of(CASE).read_text()
    assert "stdin:1:1 " in said.err


def test_a_file_is_written_and_only_replaced_with_force(run: Terminal, folder: Path) -> None:
    words = ("import", "argo-rollouts", "rollout.yaml", "-o", "trimtab.yaml")
    said = run(*words)
    assert (said.code, said.out) == (0, "")
    assert "trimtab.yaml written; look at its comments, then: trimtab validate" in said.err
    load(Path("trimtab.yaml").read_text())
    assert run("validate").code == 0

    Path("trimtab.yaml").write_text("mine")
    refused = run(*words)
    assert refused.code == 1
    assert "there is a file already" in refused.err
    assert "--force" in refused.err
    assert Path("trimtab.yaml").read_text() == "mine"

    assert run(*words, "--force").code == 0
    load(Path("trimtab.yaml").read_text())


def test_a_file_and_json_go_together(run: Terminal, folder: Path) -> None:
    found = run.json("import", "argo-rollouts", "rollout.yaml", "--output", "made.yaml")
    assert Path("made.yaml").read_text() == found["configuration"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nowhere.yaml",), "there is no such file"),
        (("templates.yaml",), "there is no Rollout in the input"),
        (("rollout.yaml", "rollout.yaml"), "there are 2 Rollouts in the input"),
        (("rollout.yaml", "-o", "nowhere/trimtab.yaml"), "it cannot be written"),
        ((".",), "it cannot be read"),
    ],
)
def test_what_cannot_be_done_is_said(run: Terminal, folder: Path, words: tuple[str, ...], message: str) -> None:
    said = run("import", "argo-rollouts", *words)
    assert said.code == 1
    assert message in said.err
    assert "hint:" in said.err or "at " in said.err
    assert said.out == ""


def test_nothing_is_written_when_the_input_is_wrong(run: Terminal, folder: Path) -> None:
    Path("wrong.yaml").write_text(ROLLOUT.replace("autoPromotionEnabled: false", "autoPromotionEnabled: maybe"))
    said = run("import", "argo-rollouts", "wrong.yaml", "-o", "trimtab.yaml")
    assert said.code == 1
    assert "must be `true` or `false`" in said.err
    assert "at wrong.yaml:19:7" in said.err
    assert not Path("trimtab.yaml").exists()


def test_a_file_that_is_too_large_is_not_read_to_its_end(run: Terminal, folder: Path) -> None:
    with Path("large.yaml").open("wb") as file:
        file.truncate(1 << 30)
    said = run("import", "argo-rollouts", "large.yaml")
    assert said.code == 1
    assert "larger than 1 MiB" in said.err


def test_wrong_use_is_2_and_without_a_tool_there_is_help(run: Terminal) -> None:
    assert run("import", "argo-rollouts").code == 2
    assert run("import", "argo-rolouts").code == 2
    assert "did you mean 'argo-rollouts'?" in run("import", "argo-rolouts").err
    assert "argo-rollouts" in run.fine("import")


def test_notes_are_wrapped_and_cannot_steer_the_terminal() -> None:
    fields = [
        Field("a.yaml:1:1", "Rollout/a", "spec.x", "changed", "y: \x1b[2J1", "word " * 30),
        Field("a.yaml:2:1", "Rollout/a", "spec.long", "none", "", ""),
        Field("b.yaml:1:1", "Service/b", ".", "mapped", "", ""),
    ]
    lines = list(imported_lines(fields, 60))
    assert lines[0] == "Rollout/a"
    assert lines[1] == "a.yaml:1:1  spec.x     changed         -> y: 1"
    assert all(len(line) <= 60 for line in lines)
    assert lines[-3:] == ["", "Service/b", "b.yaml:1:1  .          mapped"]
    assert summary(fields).strip() == "3 fields: 1 mapped, 1 changed, 1 without counterpart"


def test_help_does_not_load_the_translation() -> None:
    code = (
        "import sys; from trimtab.cli.main import main\nmain(['import', 'argo-rollouts', '--help']); main(['--help'])\n"
    )
    code += "sys.exit(any(name.startswith(('trimtab.imports', 'ruamel', 'pydantic')) for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=30).returncode == 0
