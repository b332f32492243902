"""Examples stand by themselves: what they test of themselves passes, and their histories can be told."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.world import AUTHOR

BOT = Path(__file__).parents[2] / "examples" / "support-bot"


@pytest.fixture
def bot(tmp_path: Path) -> Path:
    repository = tmp_path / "bot"
    subprocess.run([sys.executable, str(BOT / "set_up.py"), str(repository)], check=True, capture_output=True)
    return repository


def test_the_support_bot_passes_its_own_tests(bot: Path) -> None:
    words = [sys.executable, "-m", "unittest", "discover", "--start-directory", "tests", "--top-level-directory", "."]
    done = subprocess.run(words, cwd=bot, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Ran 0 tests" not in done.stderr


def test_its_history_can_be_told(bot: Path) -> None:
    def git(*words: str) -> str:
        done = subprocess.run(["git", *AUTHOR, *words], cwd=bot, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    git("add", "--all")
    git("commit", "--quiet", "--message", "Begin")
    for patch in sorted((BOT / "history").glob("*.patch")):
        git("am", "--quiet", str(patch))
        if patch.name.startswith("0004"):  # it is stopped, and taken back
            git("revert", "--no-edit", "HEAD")
    assert len(git("log", "--format=%s").splitlines()) == 7


def test_its_questions_are_about_documents_that_are_there(bot: Path) -> None:
    said = (bot / "checks" / "golden.json").read_text()
    named = [word.strip('",') for word in said.split() if word.startswith('"documents/')]
    assert len(named) >= 15
    assert [name for name in named if not (bot / name).is_file()] == []
