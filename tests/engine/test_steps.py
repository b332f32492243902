"""What a step is started with, what it is known by, and what strangers do not get."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.test_found_by_simulation import steps
from tests.engine.world import CONFIGURATION, World
from trimtab.core.errors import TrimtabError
from trimtab.core.model.actions import CleanWorkspace, StartStep
from trimtab.core.model.facts import Fact, StepStarted, StepTaken
from trimtab.core.model.pipeline import SandboxSpec, StepResult, StepSpec
from trimtab.engine.loop import Order
from trimtab.engine.steps import Steps, release_workspace
from trimtab.ports.workspaces import Isolation
from trimtab.testing.memory_source import File

BRANCH = ("branch",)


class Bench:
    """One commit, and steps that are started on it."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder)
        self.steps: Steps = steps(self.world, folder / "runs")
        self.commit = self.world.source.commit("shop", {"trimtab.yaml": File(CONFIGURATION.encode())}).commit

    async def start(
        self, step: StepSpec, *, run: int = 1, scopes: tuple[str, ...] = (), trusted: bool = True, app: str = "shop"
    ) -> Fact:
        action = StartStep(app, run, self.commit, step, 1, scopes=scopes, trusted=trusted)
        return await self.steps.start(Order(action, f"run/{app}/{run}", f"step:{step.name}:1", 1))

    def variables(self, name: str) -> dict[str, str]:
        return dict(self.world.processes._processes[name].spec.env)


@pytest.mark.parametrize(
    ("step", "wish"),
    [
        (StepSpec("test", "t", secrets=("TOKEN",)), "secrets (TOKEN)"),
        (StepSpec("test", "t", sandbox=SandboxSpec(on=False)), "to run without a sandbox"),
        (StepSpec("test", "t", sandbox=SandboxSpec(read=("/root/.ssh",))), "to read /root/.ssh"),
    ],
)
async def test_a_stranger_opens_no_door(tmp_path: Path, step: StepSpec, wish: str) -> None:
    bench = Bench(tmp_path)
    with pytest.raises(TrimtabError) as caught:
        await bench.start(step, trusted=False)
    assert caught.value.problem.code == "fork-refused"
    assert wish in caught.value.problem.message
    assert bench.world.processes.started == []
    assert bench.world.workspaces.isolations == {}


async def test_a_stranger_may_use_the_network_from_the_sandbox(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await bench.start(StepSpec("test", "t", sandbox=SandboxSpec(network=True)), trusted=False)
    assert bench.world.processes.started == ["step/shop/1/test/1"]


async def test_only_a_step_that_always_runs_knows_which_run_it_is(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await bench.start(StepSpec("kept", "t"), scopes=BRANCH)
    await bench.start(StepSpec("always", "t", cached=False, env={"TRIMTAB_RUN": "mine"}))
    kept, always = (bench.variables(f"step/shop/1/{name}/1") for name in ("kept", "always"))
    assert kept == {"TRIMTAB_APP": "shop", "TRIMTAB_STEP": "kept"}
    assert always == {"TRIMTAB_APP": "shop", "TRIMTAB_STEP": "always", "TRIMTAB_RUN": "mine"} | {
        "TRIMTAB_COMMIT": bench.commit
    }


async def test_what_a_step_sees_of_its_name_is_part_of_what_it_is_known_by(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    first = await bench.start(StepSpec("one", "echo $TRIMTAB_STEP > out"), scopes=BRANCH)
    assert isinstance(first, StepStarted)
    await bench.world.step_cache.keep(first.key, "branch", StepResult(None, first.process, 1.0))
    assert isinstance(await bench.start(StepSpec("one", "echo $TRIMTAB_STEP > out"), scopes=BRANCH, run=2), StepTaken)
    assert isinstance(await bench.start(StepSpec("two", "echo $TRIMTAB_STEP > out"), scopes=BRANCH), StepStarted)


async def test_a_run_that_could_not_cut_its_release_leaves_no_workspace(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    await bench.world.workspaces.open(release_workspace("shop", 1), [], Isolation(sandbox=False))
    await bench.steps.clean(Order(CleanWorkspace("shop", 1), "run/shop/1", "clean", 1))
    assert bench.world.workspaces.isolations == {}


async def test_links_that_were_begun_before_a_crash_are_made_anew(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    made = await bench.steps.checkouts.make("shop", 1, bench.commit, ("trimtab.yaml",))
    half = made.with_name(f"{made.name}.new")
    made.rename(half)
    (half / "left").write_text("by a controller that died")
    made = await bench.steps.checkouts.make("shop", 1, bench.commit, ("trimtab.yaml",))
    assert [path.name for path in made.iterdir()] == ["trimtab.yaml"]
