"""`trimtab diff` and `trimtab releases RELEASE`, from the artifact store to the terminal."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from tests.cli.scenario import APP, SPECIFICATION
from tests.cli.terminal import Terminal
from tests.client.server import Api
from trimtab.core.model import facts as f
from trimtab.core.model.contents import settings_of, with_named_files
from trimtab.core.model.identity import Digest, short
from trimtab.core.model.specification import PromptSpec, ReleaseSpec
from trimtab.views.release_diff import ReleaseDetailView, ReleaseDiffView


def cut(api: Api, folder: Path, files: dict[str, str], release: ReleaseSpec) -> Digest:
    """A release of these files, cut by the scenario's next run."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    specification = replace(SPECIFICATION, release=replace(release, parts=with_named_files(release)))
    manifest = asyncio.run(api.artifacts.cut(folder, sorted(files), specification))
    scene = api.scene
    change = scene.change(f"Change {folder.name}")
    made = f.ReleaseCut(
        manifest.digest, scene.runs, change.commit, manifest.parts, change.subject, settings=settings_of(manifest)
    )
    scene.add(f"run/{APP}/{scene.runs}", made, wait_s=1.0)
    return manifest.digest


def release(temperature: float) -> ReleaseSpec:
    model = {"name": "gpt-x", "parameters": {"temperature": temperature}}
    return ReleaseSpec(model=model, prompts={"answer": PromptSpec("prompts/a.txt", ("q",))})


@pytest.fixture
def three(api: Api, tmp_path: Path) -> tuple[Digest, Digest, Digest]:
    """The first is live; the second has another prompt, the third another temperature and other code."""
    files = {"app.py": "import json\n", "prompts/a.txt": "Be kind.\n{{ q }}\n"}
    first = cut(api, tmp_path / "1", files, release(0.2))
    files["prompts/a.txt"] = "Be brief.\n{{ q }}\n"
    second = cut(api, tmp_path / "2", files, release(0.2))
    third = cut(api, tmp_path / "3", {**files, "app.py": "import re\n"}, release(0.7))
    api.scene.add(f"env/{APP}/production", f.LiveChanged(first, None))
    api.tell()
    return first, second, third


def test_what_changed_is_shown(three: tuple[Digest, Digest, Digest], run: Terminal) -> None:
    first, second, third = map(short, three)
    shown = run.fine("diff", second)
    assert shown.startswith(f"{second}  against  {first}\n"), "without a base: what is live"
    assert "~ changed  prompt answer  prompts/a.txt  +1 -1" in shown
    assert "- Be kind." in shown
    assert "+ Be brief." in shown
    assert "MODEL" not in shown
    shown = run.fine("diff", third[:6], second[:6])
    assert "parameters.temperature  0.2     →  0.7" in shown
    assert "~ changed  app.py  +1 -1" in shown
    assert "import re" not in shown
    assert "prompt" not in shown
    assert "+ import re" in run.fine("diff", third, second, "--full")
    assert "nothing changed" in run.fine("diff", first)


def test_json_has_all_of_it(three: tuple[Digest, Digest, Digest], run: Terminal) -> None:
    first, second, _ = three
    found = TypeAdapter(ReleaseDiffView).validate_json(run.fine("diff", second, "--json"))
    assert (found.release, found.base) == (second, first)
    assert [prompt.name for prompt in found.prompts] == ["answer"]


def test_a_release_is_shown(three: tuple[Digest, Digest, Digest], run: Terminal) -> None:
    first, second, third = three
    shown = run.fine("releases", short(second))
    for words in ("changes prompts\n", "prompts/a.txt", "parameters.temperature  0.2", short(second)):
        assert words in shown
    assert "● live" in run.fine("releases", first)
    detail = TypeAdapter(ReleaseDetailView).validate_json(run.fine("releases", third, "--json"))
    assert detail.release.changed == ("code", "model")
    assert detail.prompts["answer"].variables == ("q",)
    assert [one["changed"] for one in run.json("releases", "--limit", "2")] == [["code", "model"], ["prompts"]]


def test_what_is_not_there_is_said(three: tuple[Digest, Digest, Digest], run: Terminal) -> None:
    for words in (("diff", "0000"), ("diff", three[0], "0000"), ("releases", "0000")):
        said = run(*words)
        assert said.code == 1
        assert said.err.startswith("error: 0000 is no release of shop")
