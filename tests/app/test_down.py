"""`trimtab down` and a controller that does not stop: stand-ins hold the folder's lock as a controller does."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from trimtab.app import stopping
from trimtab.app.folder import holder, is_held
from trimtab.procfs import is_paused

HOLDS = """
import signal, sys, time
from pathlib import Path
from trimtab.app.folder import only_one
if sys.argv[2] == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with only_one(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""

Start = Callable[[str], subprocess.Popen[bytes]]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a process that holds `tmp_path`; ``deaf``: it does not hear SIGTERM."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(kind: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([sys.executable, "-c", HOLDS, str(tmp_path), kind], stdout=subprocess.PIPE)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def test_the_kernel_says_who_holds_the_folder(tmp_path: Path, start: Start) -> None:
    assert not is_held(tmp_path)
    controller = start("polite")
    assert is_held(tmp_path)
    (tmp_path / "api.json").write_text('{"pid": 1}')
    assert holder(tmp_path) == controller.pid, "not whoever an old file names"


def test_a_controller_that_stops_needs_no_words(tmp_path: Path, start: Start) -> None:
    controller = start("polite")
    said: list[str] = []
    assert stopping.down(tmp_path, said.append) == 0
    assert (controller.wait(), said) == (-signal.SIGTERM, [])


def test_a_paused_controller_is_woken(tmp_path: Path, start: Start) -> None:
    controller = start("polite")
    controller.send_signal(signal.SIGSTOP)
    while not is_paused(controller.pid):
        time.sleep(0.01)
    said: list[str] = []
    stopping.down(tmp_path, said.append)
    assert controller.wait() == -signal.SIGTERM
    assert said == [f"the controller (process {controller.pid}) is paused; it is woken so that it can stop"]


def test_a_controller_that_does_not_answer_is_killed(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("SPEAK_AFTER_S", 0.1), ("WORRY_AFTER_S", 0.2), ("KILL_AFTER_S", 0.4)):
        monkeypatch.setattr(stopping, name, seconds)
    controller = start("deaf")
    said: list[str] = []
    stopping.down(tmp_path, said.append)
    assert controller.wait() == -signal.SIGKILL
    assert [sentence.split(" ")[0] for sentence in said] == ["waiting", "it", "the"]
    assert not is_held(tmp_path)
