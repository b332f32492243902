"""What a process reads that serves several releases: of each request's release, which a header names."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from jinja2.sandbox import SandboxedEnvironment
from starlette.datastructures import Headers

from tests.cli.scenario import SPECIFICATION
from trimtab import sdk
from trimtab.adapters.processes.instance_set import plan
from trimtab.core.model.identity import EnvironmentId
from trimtab.core.model.specification import PromptSpec, ReleaseSpec, Specification
from trimtab.sdk import SdkError

OWN, OTHER = "a" * 64, "b" * 64
RELEASE = ReleaseSpec(
    prompts={
        "answer": PromptSpec("prompts/answer.txt", ("mood", "question")),
        "tone": PromptSpec("prompts/tone.txt", ("mood",)),
    },
    config_file="config.toml",
    flags="flags.json",
    hot=("prompts", "config", "flags"),
)


def cut(releases: Path, name: str, word: str) -> Path:
    folder = releases / name
    (folder / "prompts").mkdir(parents=True)
    (folder / "prompts" / "answer.txt").write_text(f"{word}: {{{{ question }}}} {{% include 'tone' %}}")
    (folder / "prompts" / "tone.txt").write_text(f"Be {{{{ mood }}}}, says {word}.")
    (folder / "config.toml").write_text(f'word = "{word}"')
    (folder / "flags.json").write_text(f'{{"flags": {{"{word}": {{}}}}}}')
    return folder


@pytest.fixture
def releases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The environment of an instance of `OWN` that serves `OTHER`, too."""
    folder = tmp_path / "releases"
    root = cut(folder, OWN, "own")
    cut(folder, OTHER, "other")
    specification = replace(SPECIFICATION, release=RELEASE)
    place = EnvironmentId("shop", "production")
    made = plan(place, f"sha256:{OWN}", specification, root, tmp_path / "state", {})
    for variable in ("RELEASE", "RELEASES", "PROMPTS", "MODEL", "CONFIG", "FLAGS"):
        monkeypatch.delenv(f"TRIMTAB_{variable}", raising=False)
    for name, value in made.env.items():
        if name.startswith("TRIMTAB_"):
            monkeypatch.setenv(name, value)
    sdk._files.cache_clear()
    return folder


def asking(release: str) -> dict[str, str]:
    return {"x-trimtab-release": release}


def said(headers: Any) -> tuple[str, str, str, list[str], str]:
    """All that is read for a request."""
    text = sdk.prompt("answer", headers).render(question="Why?", mood="kind")
    word = sdk.config(headers)["word"]
    return sdk.release(headers), text, word, list(sdk.flags(headers)["flags"]), sdk.folder(headers).name


def expected(name: str, word: str) -> tuple[str, str, str, list[str], str]:
    return f"sha256:{name}", f"{word}: Why? Be kind, says {word}.", word, [word], name


@pytest.mark.parametrize(
    "headers",
    [
        asking(f"sha256:{OTHER}"),
        asking(OTHER),
        {"X-Trimtab-Release": OTHER},
        {"HTTP_X_TRIMTAB_RELEASE": OTHER},
        Headers({"X-TRIMTAB-RELEASE": OTHER}),
        {"x-trimtab-release": OTHER.encode()},
    ],
)
def test_a_request_is_answered_by_its_release(releases: Path, headers: Any) -> None:
    for _ in range(2):
        assert said(headers) == expected(OTHER, "other")
        assert said(asking(OWN)) == said({}) == said(None) == expected(OWN, "own")


@pytest.mark.parametrize(
    "value",
    [
        "",
        "c" * 64,
        "A" * 64,
        OTHER[:-1],
        f"{OTHER}/",
        f"{OTHER}\n",
        f"../releases/{OTHER}",
        f"sha256:../releases/{OTHER}",
        ".",
        "..",
        "/etc",
        "sha512:" + OTHER,
    ],
)
def test_whatever_names_no_release_that_is_here_is_answered_by_its_own(releases: Path, value: str) -> None:
    assert said(asking(value)) == expected(OWN, "own")


def test_a_file_that_is_named_like_a_release_is_none(releases: Path) -> None:
    (releases / ("c" * 64)).write_text("")
    assert sdk.release(asking("c" * 64)) == f"sha256:{OWN}"


def test_a_release_that_comes_later_is_found(releases: Path) -> None:
    late = "d" * 64
    assert said(asking(late)) == expected(OWN, "own")
    cut(releases, late, "late")
    assert said(asking(late)) == expected(late, "late")


def test_after_the_first_request_no_file_is_read_and_nothing_compiled(
    releases: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [said(asking(name)) for name in (OWN, OTHER)]
    versions = {sdk.prompt("answer", asking(name)).version for name in (OWN, OTHER)}
    assert len(versions) == 2
    shutil.rmtree(releases)
    monkeypatch.setattr(SandboxedEnvironment, "compile", lambda *_, **__: pytest.fail("compiled again"))
    monkeypatch.setattr(Path, "is_dir", lambda _: pytest.fail("looked again"))
    assert [said(asking(name)) for name in (OWN, OTHER)] == before
    assert {sdk.prompt("answer", asking(name)).version for name in (OWN, OTHER)} == versions


def test_only_so_many_releases_are_kept(releases: Path) -> None:
    for number in range(30):
        name = f"{number:064x}"
        cut(releases, name, f"word{number}")
        assert said(asking(name))[0] == f"sha256:{name}"
    assert sdk._files.cache_info().currsize == sdk._KNOWN_RELEASES


def test_what_a_release_lacks_is_said_with_its_name(releases: Path) -> None:
    (releases / OTHER / "prompts" / "tone.txt").unlink()
    with pytest.raises(SdkError, match=f"{OTHER}/prompts/tone.txt cannot be read"):
        sdk.prompt("answer", asking(OTHER)).render(question="Why?", mood="kind")
    with pytest.raises(SdkError, match="no prompt `reply`; it has `answer`, `tone`"):
        sdk.prompt("reply", asking(OTHER))


def test_the_files_of_models_are_the_release_s_own(releases: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = releases / OWN
    said = {
        "name": "m",
        "file": f"{own}/m.gguf",
        "fallback": [{"file": f"{own}/n.gguf"}, {"name": "o"}, {"file": "/m"}],
    }
    monkeypatch.setenv("TRIMTAB_MODEL", json.dumps(said))
    assert sdk.model() == sdk.model(asking(OWN)) == said
    assert sdk.model(asking(OTHER)) == json.loads(json.dumps(said).replace(OWN, OTHER))


def test_without_hot_parts_a_header_means_nothing(releases: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRIMTAB_RELEASES")
    assert sdk.release(asking(OTHER)) == f"sha256:{OWN}"
    assert sdk.prompt("tone", asking(OTHER)).render(mood="kind") == "Be kind, says own."
    with pytest.raises(SdkError, match=r"no `release.hot`"):
        sdk.folder(asking(OTHER))


def test_who_shares_nothing_reads_the_same_way(tmp_path: Path) -> None:
    """A baseline has the folders, too; who has no hot parts has none, nor where a folder does not have its name."""
    place, release = EnvironmentId("shop", "production"), f"sha256:{OWN}"
    specification = replace(SPECIFICATION, release=RELEASE)
    cold = replace(SPECIFICATION, release=replace(RELEASE, hot=()))

    def found(arm: str, said: Specification, root: Path) -> str | None:
        return plan(place, arm, said, root, tmp_path, {}).env.get("TRIMTAB_RELEASES")

    assert found(f"{release}@baseline", specification, tmp_path / OWN) == str(tmp_path)
    assert found(release, cold, tmp_path / OWN) is None
    assert found(release, specification, tmp_path) is None
