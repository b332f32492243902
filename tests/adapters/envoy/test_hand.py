"""One hand writes in the gateway's folder; one that was paused in the middle of a write is ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from trimtab.adapters.envoy import hand
from trimtab.adapters.envoy.hand import Hand
from trimtab.core.errors import StaleFence, TrimtabError

WRITES = """
import sys
from pathlib import Path
from trimtab.adapters.envoy.hand import Hand
hand = Hand(Path(sys.argv[1]))
hand.take(1)
with hand.writing():
    print("writing", flush=True)
    sys.stdin.read()
"""


@contextmanager
def a_writer(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process in the middle of a write."""
    words = [sys.executable, "-c", WRITES, str(folder)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "writing\n"
        try:
            yield process
        finally:
            process.kill()


def test_who_took_over_writes_and_who_was_before_does_not(tmp_path: Path) -> None:
    first, second = Hand(tmp_path), Hand(tmp_path)
    assert first.take(1)
    with first.writing():
        pass
    assert second.take(2)
    assert not second.take(2), "it was raised before"
    assert (first.is_held(), second.is_held()) == (False, True)
    with pytest.raises(StaleFence), first.writing():
        raise AssertionError("nothing may be written")
    with pytest.raises(StaleFence) as stale:
        first.take(1)
    assert stale.value.held == 2
    with second.writing():
        pass


def test_whoever_never_took_over_is_not_looked_at(tmp_path: Path) -> None:
    Hand(tmp_path).take(7)
    stranger = Hand(tmp_path)
    with stranger.writing():
        pass
    assert not stranger.is_held()


def test_one_that_was_paused_in_its_write_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hand, "PATIENCE_S", 0.1)
    with a_writer(tmp_path) as writer:
        os.kill(writer.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, writer.pid, os.WSTOPPED | os.WNOWAIT)
        assert Hand(tmp_path).take(2)
        assert writer.wait(timeout=10.0) == -signal.SIGKILL


def test_one_that_is_only_slow_is_waited_for_and_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hand, "PATIENCE_S", 0.1)
    with a_writer(tmp_path) as writer:
        with pytest.raises(TrimtabError, match="another controller has been writing") as caught:
            Hand(tmp_path).take(2)
        assert str(writer.pid) in caught.value.problem.hint
        assert writer.poll() is None
