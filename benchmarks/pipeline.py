"""What Trimtab adds to the steps of a pipeline: 200 no-op steps, as a chain and side by side.

The engine with its real parts: Git, SQLite, supervised processes, the sandbox, the cache on disk. What is measured is
the time from the request of a run until it has finished, through 200, beside the same steps in:

- ``make -j2``, the floor: no record, no log, no sandbox, no cache, no crash safety;
- Buildbot (full runs): a master and a local worker in a virtual environment of their own, one builder with as many
  shell steps, one after the other.

And what an index costs that is built document by document, when 10 of 10,000 documents have changed (`_index`).

``python -m benchmarks.pipeline [--quick] [--json]``
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import mkdtemp

from benchmarks import _buildbot, _index
from benchmarks._report import Value, finish
from trimtab.adapters.artifacts import FileArtifacts
from trimtab.adapters.artifacts.step_cache import FileStepCache
from trimtab.adapters.clock import SystemClock
from trimtab.adapters.git import GitSource
from trimtab.adapters.parts import LimitedPartFiles
from trimtab.adapters.processes.supervised import SupervisedProcesses
from trimtab.adapters.reports import LimitedReports
from trimtab.adapters.sandbox import SandboxedWorkspaces
from trimtab.adapters.store_sql.opening import open_store
from trimtab.config import load
from trimtab.core.model.facts import Goal, PullRequest, Recorded, RunFinished, RunRequested
from trimtab.core.model.identity import run_object
from trimtab.engine.checkouts import Checkouts
from trimtab.engine.loop import Engine
from trimtab.engine.observe import Applications, Runs, Turns
from trimtab.engine.pipeline import Pipeline
from trimtab.engine.step_reports import StepReports
from trimtab.engine.steps import EarlierRuns, Steps
from trimtab.testing.memory_secrets import MemorySecrets
from trimtab.testing.memory_traffic import MemoryTraffic

STEPS = 200
APP = "bench"
SIDE_BY_SIDE = 2
FINISH_WITHIN_S = 120.0


@dataclass(frozen=True)
class Shape:
    """How the steps depend on each other."""

    name: str
    needs: Callable[[int], str]


CHAIN = Shape("chain", lambda number: f"needs: s{number - 1}, " if number else "")
FAN_OUT = Shape("fan_out", lambda _: "")


def configuration(shape: Shape, *, sandbox: bool, salt: str) -> str:
    """A pipeline whose steps nobody has seen yet, unless the salt is the same."""
    place = "" if sandbox else "sandbox: none, "
    steps = "".join(
        f"  s{number}: {{run: 'true', {shape.needs(number)}{place}cache: true, env: {{SALT: {salt}-{number}}}}}\n"
        for number in range(STEPS)
    )
    return f"app: {APP}\nservice: {{command: serve}}\nparallel: {SIDE_BY_SIDE}\npipeline:\n{steps}"


class Installation:
    """The engine with what runs need, on a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = SystemClock()
        self.store = open_store(folder / "trimtab.db")
        self.source = GitSource(folder / "git")
        self.processes = SupervisedProcesses(folder / "processes")
        workspaces = SandboxedWorkspaces(folder / "workspaces", hidden=(folder,))
        steps = Steps(
            checkouts=Checkouts(self.source, folder / "runs"),
            processes=self.processes,
            workspaces=workspaces,
            cache=FileStepCache(folder / "cache", os.environ["PATH"]),
            secrets=MemorySecrets(),
            reports=StepReports(workspaces, LimitedReports()),
            env={"PATH": os.environ["PATH"]},
            earlier=EarlierRuns(self.store),
        )
        pipeline = Pipeline(
            self.source, FileArtifacts(folder / "artifacts"), workspaces, steps, load, LimitedPartFiles()
        )
        self.engine = Engine(
            store=self.store,
            clock=self.clock,
            traffic=MemoryTraffic(self.clock),
            kinds={"app": Applications(self.source), "run": Runs(self.processes), "turn": Turns()},
            handlers=pipeline.handlers(),
            owner="benchmark",
        )
        self.processes.on_change(lambda name: self.engine.wake("run/" + "/".join(name.split("/")[1:3])))
        self.runs = 0

    async def commit(self, text: str) -> None:
        """A commit with this trimtab.yaml on the branch."""
        await self.source.create(APP)
        work = self.folder / "work"
        if not work.exists():
            _git(self.folder, "clone", "--quiet", str(self.source.path(APP)), str(work))
        (work / "trimtab.yaml").write_text(text)
        _git(work, "add", "-A")
        _git(work, "commit", "--quiet", "--message", f"Pipeline {self.runs}")
        _git(work, "push", "--quiet", "origin", "HEAD:main")

    async def bring(self, files: Mapping[str, str]) -> None:
        """A commit in which these files are others: without a working tree, since there are thousands."""
        await self.source.create(APP)
        before = await self.source.head(APP, "main")
        stream = ["commit refs/heads/main\ncommitter Ada <ada@example.org> 0 +0000\ndata 0\n"]
        stream += [f"from {before.commit}\n"] if before is not None else []
        for path, content in files.items():
            stream.append(f"M 100644 inline {path}\ndata {len(content.encode())}\n{content}\n")
        command = ("git", "-C", str(self.source.path(APP)), "fast-import", "--quiet")
        subprocess.run(command, input="".join(stream).encode(), check=True)

    async def run(self, until: Goal | None = None) -> float:
        """Seconds from the request of a run until it has finished. It deploys nothing: it is a pull request's, or ends
        with its steps or when its release is cut."""
        change = await self.source.head(APP, "main")
        assert change is not None
        self.runs += 1
        place = run_object(APP, self.runs)
        began_s = time.perf_counter()
        of = PullRequest(1, "main") if until is None else None
        # By a schedule, as it were: then nothing follows from it for anything else.
        asked = RunRequested(self.runs, change, of, until=until or "deploy", schedule="bench" if until else "")
        self.store.append([Recorded(place, asked)], self.clock.now())
        self.engine.wake()
        while time.perf_counter() < began_s + FINISH_WITHIN_S:
            row = self.store.get(place)
            if row is not None and row.ended:
                took_s = time.perf_counter() - began_s
                (done,) = self.store.facts(object_prefix=place, kinds=("RunFinished",), limit=1)
                assert isinstance(done.fact, RunFinished)
                assert done.fact.outcome == "passed", done.reason
                while self.store.pending(place):  # its workspaces are being removed
                    await asyncio.sleep(0.005)
                return took_s
            await asyncio.sleep(0.005)
        raise AssertionError(f"the run did not finish within {FINISH_WITHIN_S:g} s")

    async def close(self) -> None:
        await self.processes.close()
        self.store.close()


@asynccontextmanager
async def installed() -> AsyncIterator[Installation]:
    """One that runs."""
    folder = Path(mkdtemp(prefix="trimtab-bench-"))
    installation = Installation(folder)
    engine = asyncio.create_task(installation.engine.run())
    try:
        yield installation
    finally:
        engine.cancel()
        await asyncio.gather(engine, return_exceptions=True)
        await installation.close()
        shutil.rmtree(folder, ignore_errors=True)


async def measure_index(*, releases: bool) -> dict[str, Value]:
    async with installed() as installation:
        return await _index.measure(APP, installation.bring, installation.run, releases=releases)


async def measure(rounds: int) -> dict[str, Value]:
    async with installed() as installation:
        results: dict[str, Value] = {}
        for sandbox, suffix in ((False, ""), (True, "_sandbox")):
            worst_ms = 0.0
            for shape in (CHAIN, FAN_OUT):
                took_s, cached_s = [], []
                for number in range(rounds):
                    salt = f"{shape.name}{suffix}-{number}"
                    await installation.commit(configuration(shape, sandbox=sandbox, salt=salt))
                    took_s.append(await installation.run())
                    cached_s.append(await installation.run())
                step_ms = median(took_s) / STEPS * 1000
                worst_ms = max(worst_ms, step_ms)
                results[f"{shape.name}_step{suffix}_ms"] = step_ms
                results[f"{shape.name}_cached{suffix}_ms"] = median(cached_s) * 1000
            results[f"step_overhead{suffix}_ms"] = worst_ms
        cached = [float(value) for name, value in results.items() if "_cached" in name]
        results["cached_200_steps_ms"] = max(cached)
        return results


def make_floor(rounds: int) -> dict[str, Value]:
    """The same steps as a Makefile's rules, each a shell that runs ``true``."""
    folder = Path(mkdtemp(prefix="trimtab-bench-make-"))
    try:
        results: dict[str, Value] = {}
        for shape in (CHAIN, FAN_OUT):
            names = [f"s{number}" for number in range(STEPS)]
            rules = [
                f"{name}: {names[number - 1] if shape is CHAIN and number else ''}\n\t@/bin/sh -ec 'true;:'\n"
                for number, name in enumerate(names)
            ]
            (folder / "Makefile").write_text(f"all: {' '.join(names)}\n.PHONY: all {' '.join(names)}\n{''.join(rules)}")
            took_s = []
            for _ in range(rounds):
                began_s = time.perf_counter()
                subprocess.run(["make", f"-j{SIDE_BY_SIDE}", "-s", "all"], cwd=folder, check=True)
                took_s.append(time.perf_counter() - began_s)
            results[f"make_{shape.name}_step_ms"] = median(took_s) / STEPS * 1000
        return results
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _git(folder: Path, *args: str) -> None:
    identity = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
    subprocess.run(["git", *identity, *args], cwd=folder, check=True, capture_output=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, without Buildbot: under 50 s")
    parser.add_argument("--json", action="store_true", help="the figures as JSON on the last line")
    arguments = parser.parse_args()
    rounds = 1 if arguments.quick else 5
    results = (
        asyncio.run(measure(rounds)) | make_floor(rounds) | asyncio.run(measure_index(releases=not arguments.quick))
    )
    for shape in (CHAIN, FAN_OUT):
        ours, floor = results[f"{shape.name}_step_ms"], results[f"make_{shape.name}_step_ms"]
        results[f"{shape.name}_over_make"] = float(ours) / float(floor)
    if not arguments.quick:
        results |= _buildbot.measure(STEPS)
        results["buildbot_over_trimtab_chain"] = float(results["buildbot_step_ms"]) / float(results["chain_step_ms"])
    finish(results, arguments.json)


if __name__ == "__main__":
    main()
