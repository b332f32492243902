"""The demos' applications: what is planted is a configuration, every chapter can be told, and it is what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from trimtab.config import load
from trimtab.demo.language_model import NAME
from trimtab.demo.show import Show, git
from trimtab.demo.story import Assistant
from trimtab.demo.support_bot import SupportBot


@pytest.mark.parametrize("make", [Assistant, SupportBot])
def test_every_chapter_can_be_told(make: type[Show], tmp_path: Path) -> None:
    show, repository = make(), tmp_path / "repository"
    show.plant(repository, 9001, 9002)
    told = [show.commit(repository, number) for number in range(len(show.chapters))]
    assert len(set(told)) == len(show.chapters) >= 5
    assert git(repository, "status", "--porcelain") == ""
    for commit, chapter in zip(told, show.chapters, strict=True):
        specification = load(git(repository, "show", f"{commit}:trimtab.yaml"), "trimtab.yaml")
        assert specification.app == show.app
        assert specification.environments[-1].port == 9002
        assert git(repository, "log", "-1", "--format=%s", commit).strip() == chapter.subject


def test_what_was_stopped_is_taken_back_before_the_next_change(tmp_path: Path) -> None:
    show = SupportBot()
    show.plant(tmp_path / "repository", 9001, 9002)
    stopped = [number for number, chapter in enumerate(show.chapters) if chapter.expected == "failed"]
    prompts = []
    for number in range(len(show.chapters)):
        show.commit(tmp_path / "repository", number)
        prompts.append((tmp_path / "repository" / "prompts" / "answer.txt").read_text())
    assert prompts[stopped[0]] != prompts[stopped[0] - 1] == prompts[stopped[0] + 1]


def test_the_support_bot_asks_the_model_that_was_started(tmp_path: Path) -> None:
    show = SupportBot()
    show.plant(tmp_path / "repository", 9001, 9002)
    for number in range(2):
        show.commit(tmp_path / "repository", number)
    model = load((tmp_path / "repository" / "trimtab.yaml").read_text(), "trimtab.yaml").release.model
    assert model is not None
    assert NAME in str(model)
    assert "openai" in str(model)
