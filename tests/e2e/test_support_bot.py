"""A retrieval-augmented assistant through the changes of its history, under questions of users: real embeddings, a real
index, real checks. Its model is extraction first, then a small language model, as `make demo LLM=local` plays it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.support_bot import HISTORY, ask, commit, packages, said, set_up, users
from tests.e2e.world import World
from trimtab.demo.language_model import NAME
from trimtab.demo.support_bot import SupportBot

__all__ = ["packages"]

ON_WINDOWS = "Does it run on Windows?"


@pytest.mark.timeout(300)
def test_the_history_of_the_support_bot(world: World, packages: Path) -> None:
    cites, longer, more, unnumbered, wrong_folder = HISTORY
    set_up(world, packages)
    world.git("init", "--quiet", "--initial-branch=main")
    world.up()
    first = world.ended(commit(world), within_s=180)
    assert first.status == "promoted", first.reason
    answer = ask(world, "Why does promotion need evidence?")
    assert answer["sources"] == ["documents/how-it-decides.md"]
    assert answer["model"] == "extraction"
    assert "documents/faq/systems.md" not in ask(world, ON_WINDOWS)["sources"]

    with users(world, number=4, pause_s=0.02) as asked:
        releases = [first.release]
        for patch in (cites, longer, more):
            rollout = world.ended(commit(world, patch), within_s=120)
            assert (rollout.status, rollout.verdict) == ("promoted", "PASS"), rollout.reason
            releases.append(rollout.release)
        assert ask(world, ON_WINDOWS)["sources"] == ["documents/faq/systems.md"]
        assert "2 of 16 documents" in said(world, "runs", "4")

        for number, patch, gate, why in (
            (5, unnumbered, "answers", "18 of 18 answers are not of the form"),
            (6, wrong_folder, "retrieval", "recall@3 is 0.11"),
        ):
            run = world.finished(commit(world, patch))
            assert (run.status, run.release) == ("failed", None)
            assert {step.name for step in run.steps if step.status == "failed"} == {gate}
            assert why in said(world, "logs", str(number), gate)
            world.git("revert", "--no-edit", "HEAD")
        world.live(releases[-1])
    assert set(asked.statuses) == {"200"}
    assert set(asked.models) == {"extraction"}

    for before, after, words in (
        (0, 1, ("~ changed  prompt answer", "~ changed  prompt system", "+ [{{ loop.index }}] {{ passage.heading }}")),
        (1, 2, ("parameters.sentences", "parameters.max_tokens")),
        (2, 3, ("documents of index/  2 changes", "+ added    documents/faq/systems.md")),
    ):
        changed = said(world, "diff", releases[after], releases[before])
        assert all(each in changed for each in words), changed


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_the_demo_with_a_language_model() -> None:
    words = [sys.executable, "-m", "trimtab.demo", "--plain", "--llm", "local"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=1100)
    assert done.returncode == 0, done.stdout + done.stderr
    told = " ".join(done.stdout.split())
    assert f"by {NAME}" in told
    for chapter in SupportBot().chapters:
        assert f"{chapter.subject}:" in told
    assert f"name extraction → {NAME}" in told
    assert "parameters.max_tokens 48 → 64" in told
