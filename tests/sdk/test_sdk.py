"""What an application reads of its release, in Trimtab's environment and without it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jinja2.sandbox import SandboxedEnvironment

from tests.cli.scenario import SPECIFICATION
from trimtab import sdk
from trimtab.adapters.processes.instance_set import plan
from trimtab.core.model.contents import version_of
from trimtab.core.model.identity import EnvironmentId
from trimtab.core.model.release import digest_of
from trimtab.core.model.specification import PromptSpec, ReleaseSpec
from trimtab.sdk import SdkError

RELEASE = "sha256:" + "a" * 64
TEMPLATE = "  Question: {{ question }}\n\n{% include 'tone' %}\n"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A release's folder, and the environment that an instance of it has."""
    for variable in ("RELEASE", "RELEASES", "PROMPTS", "MODEL", "CONFIG", "FLAGS"):
        monkeypatch.delenv(f"TRIMTAB_{variable}", raising=False)
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "answer.txt").write_text(TEMPLATE)
    (tmp_path / "prompts" / "tone.txt").write_text("Be {{ mood }}.")
    (tmp_path / "flags.json").write_text('{"flags": {"cite": {"state": "ENABLED"}}}')
    return tmp_path


def started(root: Path, monkeypatch: pytest.MonkeyPatch, **more: Any) -> None:
    """As an instance of a release with `more` in it."""
    prompts = {
        "answer": PromptSpec("prompts/answer.txt", ("mood", "question")),
        "tone": PromptSpec("prompts/tone.txt", ("mood",)),
    }
    model = {"name": "gpt-x", "file": "m.gguf", "fallback": [{"file": "n.gguf"}], "parameters": {"temperature": 0.2}}
    release = ReleaseSpec(model=model, prompts=prompts, flags="flags.json", config={"passages": 4})
    specification = replace(SPECIFICATION, release=replace(release, **more))
    made = plan(EnvironmentId("shop", "production"), RELEASE, specification, root, root / "state", {})
    for name, value in made.env.items():
        if name.startswith("TRIMTAB_"):
            monkeypatch.setenv(name, value)


def test_everything_is_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started(root, monkeypatch)
    monkeypatch.chdir("/")
    assert sdk.release() == RELEASE
    assert sdk.model()["file"] == str(root / "m.gguf")
    assert sdk.model()["fallback"] == [{"file": str(root / "n.gguf")}]
    assert sdk.model()["parameters"] == {"temperature": 0.2}
    assert sdk.config() == {"passages": 4}
    assert sdk.flags() == {"flags": {"cite": {"state": "ENABLED"}}}
    assert set(sdk.prompts()) == {"answer", "tone"}
    answer = sdk.prompt("answer")
    assert (answer.text, answer.variables) == (TEMPLATE, ("mood", "question"))
    assert answer.render(question="<Why>?", mood="kind") == "  Question: <Why>?\n\nBe kind.\n"


def test_a_prompt_has_the_version_that_the_release_says(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started(root, monkeypatch)
    assert sdk.prompt("answer").version == version_of(digest_of(TEMPLATE.encode()), ("question", "mood"))


def test_a_template_is_compiled_once_and_anew_when_its_file_changes(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started(root, monkeypatch)
    compiled: list[object] = []
    compile_ = SandboxedEnvironment.compile

    def counted(self: SandboxedEnvironment, *args: Any, **more: Any) -> Any:
        compiled.append(args)
        return compile_(self, *args, **more)

    monkeypatch.setattr(SandboxedEnvironment, "compile", counted)
    for _ in range(3):
        assert sdk.prompt("tone").render(mood="kind") == "Be kind."
    assert len(compiled) == 1
    (root / "prompts" / "tone.txt").write_text("Always be {{ mood }}.")
    assert sdk.prompt("tone").render(mood="kind") == "Always be kind."


def test_what_is_set_by_hand_must_be_whole(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for text in ('{"a": "a.txt"}', '{"a": {"file": "a.txt"}}', "[]", "{"):
        monkeypatch.setenv("TRIMTAB_PROMPTS", text)
        with pytest.raises(SdkError, match="TRIMTAB_PROMPTS"):
            sdk.prompts()


def test_variables_are_exactly_those_that_there_are(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started(root, monkeypatch)
    with pytest.raises(SdkError, match=r"`answer` needs `mood` and has no `tone`; its variables: `mood`, `question`"):
        sdk.prompt("answer").render(question="Why?", tone="kind")
    with pytest.raises(SdkError, match="no prompt `reply`; it has `answer`, `tone`"):
        sdk.prompt("reply")


def test_what_cannot_be_rendered_is_said(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started(root, monkeypatch)
    (root / "prompts" / "tone.txt").write_text("{{ mood.missing.deep }}")
    with pytest.raises(SdkError, match="`answer` cannot be rendered: UndefinedError"):
        sdk.prompt("answer").render(question="Why?", mood="kind")
    (root / "prompts" / "tone.txt").write_text("{{ mood.__class__.__mro__ }}")
    with pytest.raises(SdkError, match="SecurityError"):
        sdk.prompt("answer").render(question="Why?", mood="kind")


@pytest.mark.parametrize(("name", "text"), [("c.json", '{"passages": 4}'), ("c.toml", "passages = 4")])
def test_configuration_may_be_a_file(root: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    (root / name).write_text(text)
    started(root, monkeypatch, config=None, config_file=name)
    assert sdk.config() == {"passages": 4}
    (root / name).write_text("[")
    with pytest.raises(SdkError, match=name):
        sdk.config()


def test_what_the_release_does_not_have_is_said(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started(root, monkeypatch, model=None, prompts={}, config=None, flags="")
    for read, setting in ((sdk.model, "model"), (sdk.prompts, "prompts"), (sdk.config, "config"), (sdk.flags, "flags")):
        with pytest.raises(SdkError, match=f"the release has no `release.{setting}`"):
            read()


def test_outside_of_trimtab_that_is_said(root: Path) -> None:
    for read in (sdk.release, sdk.model, sdk.prompts, sdk.config, sdk.flags):
        with pytest.raises(SdkError, match="not started by Trimtab"):
            read()


def test_it_needs_nothing_to_be_imported(tmp_path: Path) -> None:
    """The file alone, copied somewhere else, in an interpreter without any package."""
    (tmp_path / "copied.py").write_bytes(Path(sdk.__file__).read_bytes())
    program = "import copied, json, sys; print(json.dumps([copied.model(), 'jinja2' in sys.modules]))"
    environment = {"TRIMTAB_MODEL": '{"name": "m"}', "PYTHONPATH": str(tmp_path)}
    said = subprocess.run([sys.executable, "-S", "-c", program], env=environment, capture_output=True, text=True)
    assert said.stderr == ""
    assert json.loads(said.stdout) == [{"name": "m"}, False]
