"""``python -m trimtab.demo.keeping COMMAND...``: keeps a program running for as long as standard input is open.

A program that ends is started again. It gets the same standard input, so when whoever holds the other end is gone,
however that came, nothing is left.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from types import FrameType

RESTARTS = 5
PAUSE_S = 1.0


def keep(command: list[str]) -> int:
    """Returns when nobody holds standard input any more, SIGTERM came, or the program ended too often."""
    over = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        over.set()

    signal.signal(signal.SIGTERM, stop)
    threading.Thread(target=_until_closed, args=[over], daemon=True).start()
    for _ in range(RESTARTS):
        child = subprocess.Popen(command)
        while child.poll() is None and not over.wait(0.2):
            pass
        if over.is_set():
            child.terminate()
            child.wait()
            return 0
        print(f"ended with exit code {child.returncode}, starts again", flush=True)
        time.sleep(PAUSE_S)
    return 1


def _until_closed(over: threading.Event) -> None:
    while os.read(0, 4096):
        pass
    over.set()


if __name__ == "__main__":
    sys.exit(keep(sys.argv[1:]))
