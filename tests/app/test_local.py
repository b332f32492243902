"""Local runs in this process: what is tidied up, and that runs go on from there."""

from __future__ import annotations

from pathlib import Path

import pytest

from trimtab.app.local import Place, Wishes, run_steps, running
from trimtab.app.local.reading import configuration
from trimtab.core.errors import TrimtabError
from trimtab.views.model import RunView

CONFIGURATION = """
app: shop
pipeline: {test: "echo tested"}
service: {command: python app.py}
environments: {production: {port: 9999}}
"""


class Seen:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def changed(self, run: RunView) -> None:
        self.last = run

    def line(self, step: str, text: str) -> None:
        self.lines.append(f"{step}: {text}")


@pytest.fixture
def place(tmp_path: Path) -> Place:
    top = tmp_path / "shop"
    top.mkdir()
    (top / "trimtab.yaml").write_text(CONFIGURATION)
    return Place.of(top, {"XDG_CACHE_HOME": str(tmp_path / "cache")})


def test_what_nobody_needs_is_tidied_up_and_the_cache_stays(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "TIDY_EVERY_RUNS", 1)
    said: list[str] = []
    first, second = Seen(), Seen()
    run_steps(place, Wishes(), first, said.append)
    assert first.lines == ["test: tested"]
    assert list((place.home / "git").iterdir()) == []
    outcome = run_steps(place, Wishes(), second, said.append)
    assert [step.status for step in outcome.run.steps] == ["cached"]
    assert second.lines == []
    assert second.last == outcome.run


def test_each_folder_has_a_place_of_its_own(tmp_path: Path) -> None:
    variables = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    one, other = (Place.of(tmp_path / name / "shop", variables) for name in ("a", "b"))
    assert one.home != other.home
    assert one.home.parent == other.home.parent == tmp_path / "cache" / "trimtab" / "run"
    relative = Place.of(tmp_path, {"XDG_CACHE_HOME": "relative"})
    assert relative.home.is_relative_to(Path.home() / ".cache")


def test_a_prompt_that_cannot_be_rendered_is_told_before_anything_runs(place: Place) -> None:
    """What is not there yet, a step may make."""
    file = place.top / "trimtab.yaml"
    release = "release: {prompts: {a: a.txt, b: made.txt}}"
    file.write_text(f"{file.read_text()}\n{release}\n")
    (place.top / "a.txt").write_text("{{ q }}")
    assert set(configuration(place.top).release.prompts) == {"a", "b"}
    (place.top / "a.txt").write_text("{{ q")
    with pytest.raises(TrimtabError) as caught:
        run_steps(place, Wishes(), Seen(), print)
    assert [(each.code, each.where) for each in caught.value.problems] == [("prompt-syntax", "a.txt:1")]
