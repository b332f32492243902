"""Buildbot with the same steps: a master and a local worker in a virtual environment of their own.

One builder with as many shell steps as the pipeline has, one after the other: Buildbot's builds have no other order.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import mkdtemp

from benchmarks._report import Value

VERSION = "4.3.0"
BEGIN_WITHIN_S, FINISH_WITHIN_S = 60.0, 300.0
MASTER = """
from buildbot.plugins import schedulers, steps, util, worker

factory = util.BuildFactory(
    [steps.ShellCommand(command=["/bin/sh", "-ec", "date +%s.%N >> MARKS"])]
    + [steps.ShellCommand(command=["/bin/sh", "-ec", "true"], name=f"s{{number}}") for number in range({steps})]
    + [steps.ShellCommand(command=["/bin/sh", "-ec", "date +%s.%N >> MARKS"])]
)
BuildmasterConfig = {{
    "workers": [worker.LocalWorker("here")],
    "protocols": {{"null": {{}}}},
    "schedulers": [schedulers.Triggerable(name="t", builderNames=["b"]), schedulers.Periodic(
        name="p", builderNames=["b"], periodicBuildTimer=100000)],
    "builders": [util.BuilderConfig(name="b", workernames=["here"], factory=factory)],
    "db": {{"db_url": "sqlite:///state.sqlite"}},
    "buildbotNetUsageData": None,
}}
"""


def measure(steps: int) -> dict[str, Value]:
    """Milliseconds for each of the steps, from the end of a step before them to the beginning of one after them."""
    folder = Path(mkdtemp(prefix="trimtab-bench-buildbot-"))
    marks = folder / "marks"
    environment = {**os.environ, "PATH": f"{folder}/venv/bin:{os.environ['PATH']}"}
    try:
        subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
        needed = [f"buildbot=={VERSION}", f"buildbot-worker=={VERSION}", "setuptools<81"]
        subprocess.run([folder / "venv/bin/pip", "install", "--quiet", *needed], check=True)
        master = folder / "master"
        buildbot = str(folder / "venv/bin/buildbot")
        subprocess.run([buildbot, "create-master", str(master)], check=True, env=environment, capture_output=True)
        (master / "master.cfg").write_text(MASTER.format(steps=steps).replace("MARKS", str(marks)))
        with (folder / "output").open("wb") as output:
            process = subprocess.Popen(
                [buildbot, "start", "--nodaemon", str(master)],
                env=environment,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            try:
                began_s = _mark(marks, 1, BEGIN_WITHIN_S, master)
                ended_s = _mark(marks, 2, FINISH_WITHIN_S, master)
            finally:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(30)
        return {"buildbot_step_ms": (ended_s - began_s) / (steps + 1) * 1000}
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _mark(marks: Path, number: int, within_s: float, master: Path) -> float:
    """When the mark was made."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        lines = marks.read_text().splitlines() if marks.exists() else []
        if len(lines) >= number:
            return float(lines[number - 1])
        time.sleep(0.05)
    log = (master / "twistd.log").read_text()[-2000:]
    raise AssertionError(f"Buildbot made no mark {number} within {within_s:g} s: {log}")
