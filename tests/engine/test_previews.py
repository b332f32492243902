"""Previews through the whole engine: opened, replaced, removed, and nothing left, whenever the controller dies."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.world import PRODUCTION, World
from trimtab.codec import decode_state
from trimtab.core.decide.environment import EnvironmentState
from trimtab.core.errors import Problem
from trimtab.core.model import facts as f
from trimtab.core.model.identity import Digest, EnvironmentId, app_object
from trimtab.core.model.specification import Specification
from trimtab.engine.housekeeping import Housekeeper
from trimtab.testing.memory_source import File
from trimtab.views.model import EnvironmentView, PreviewView

CONFIGURATION = """
app: shop
pipeline: {{test: pytest}}
service: {{command: serve}}
environments: {{production: {{strategy: instant}}}}
{previews}
"""
PREVIEWS = "previews: {ports: 9000-9001, keep: 1h, env: {STAGE: preview}, replicas: 2}"
VERSE = EnvironmentId("shop", "preview-verse")
OTHER = EnvironmentId("shop", "preview-other")


class Previewing(World):
    """A world without a forge, whose branches below `pr/` are pull requests."""

    previews = PREVIEWS

    async def begin(self, crash_at: int | None = None, *, after: bool = False) -> None:
        """The first release is in production."""
        await self.source.create("shop")
        self.register()
        self.start(crash_at, after=after)
        self.push("first", self.configuration)
        await self.until(lambda: self.ended(1))

    @property
    def configuration(self) -> str:
        return CONFIGURATION.format(previews=self.previews)

    def propose(self, name: str, version: str, configuration: str | None = None) -> f.Change:
        """Open `pr/NAME`, or give it a new head; nobody is told."""
        files = {
            "trimtab.yaml": File((configuration or self.configuration).encode()),
            "version.txt": File(version.encode()),
        }
        return self.source.commit("shop", files, branch=f"pr/{name}", subject=version, at=self.clock.now())

    def withdraw(self, name: str) -> None:
        self.source.close_branch("shop", f"pr/{name}")

    def place(self, environment: EnvironmentId = VERSE) -> EnvironmentView | None:
        return self.board.environment(environment)

    def preview(self, environment: EnvironmentId = VERSE) -> PreviewView | None:
        place = self.place(environment)
        return place.preview if place is not None else None

    def serves(self, run: int, environment: EnvironmentId = VERSE) -> bool:
        """Whether the preview has the release of this run, and nothing of another."""
        preview = self.preview(environment)
        if preview is None or (preview.run, preview.status) != (run, "serving"):
            return False
        return self.instances(environment) == {self.routed(environment)}

    def routed(self, environment: EnvironmentId) -> Digest | None:
        route = self.traffic._routes.get(environment)
        return route.stable.arm if route else None

    def instances(self, environment: EnvironmentId) -> set[str | None]:
        return {instance.release for place, instance in self.runtime.everywhere() if place == environment}

    def nothing_left(self, environment: EnvironmentId = VERSE) -> bool:
        here = self.place(environment) or self.instances(environment) or self.routed(environment)
        return not here and not self.board.rollouts(environment)

    def row(self, environment: EnvironmentId = VERSE) -> EnvironmentState:
        found = self.store.get(environment.object_id)
        assert found is not None
        assert found.state is not None
        return decode_state(EnvironmentState, found.state)

    def kept(self) -> frozenset[Digest]:
        """What garbage collection spares."""
        return Housekeeper(self.store, self.artifacts, self.processes, self.source, self.step_cache, self.clock).keep()

    def untouched(self) -> bool:
        """Whether production and the state repository know of the first release only."""
        production = self.place(PRODUCTION)
        assert production is not None
        return self.commits() == ["Promote"] and self.instances(PRODUCTION) == {production.live}


@pytest.fixture
def world(tmp_path: Path) -> Previewing:
    return Previewing(tmp_path)


async def test_the_instances_of_a_preview_know_the_variables_of_prompts(world: Previewing) -> None:
    """Which nothing but the manifest of the release says."""
    await world.begin()
    seen: list[Specification] = []
    ensure = world.runtime.ensure

    async def remember(*args: object, **more: object) -> None:
        seen.extend(each for each in args if isinstance(each, Specification))
        await ensure(*args, **more)  # type: ignore[arg-type]

    world.runtime.ensure = remember  # type: ignore[method-assign]
    world.propose("verse", "{{ q }}", f"{world.configuration}\nrelease: {{prompts: {{answer: version.txt}}}}\n")
    await world.until(lambda: world.serves(2))
    assert {specification.release.prompts["answer"].variables for specification in seen} == {("q",)}
    assert {place.env["STAGE"] for specification in seen for place in specification.environments} == {"preview"}
    await world.stop()


async def test_a_pull_request_has_a_preview_until_it_is_closed(world: Previewing) -> None:
    await world.begin()
    world.propose("verse", "better")
    await world.until(lambda: world.serves(2))
    preview, run = world.preview(), world.board.run("shop", 2)
    assert preview is not None
    assert run is not None
    assert preview.url == "http://127.0.0.1:9000"
    assert (run.status, run.preview) == ("passed", preview)
    assert run.reason.endswith("for a preview; pr/verse is deployed once it is merged")
    assert len(world.board.releases("shop")) == 1  # a preview's is none to be returned to
    assert run.release in world.kept()
    route = world.traffic._routes[VERSE]
    assert len(route.stable.endpoints) == 2
    app = world.board.app("shop")
    assert app is not None
    assert [place.name for place in app.environments] == ["production"]
    assert [place.name for place in app.previews] == ["preview-verse"]

    world.propose("verse", "best")
    await world.until(lambda: world.serves(3))
    assert world.preview() is not None
    assert world.preview().url == preview.url  # type: ignore[union-attr]
    assert world.board.run("shop", 2).preview is None  # type: ignore[union-attr]

    world.withdraw("verse")
    await world.until(world.nothing_left)
    assert world.row().live is None
    assert world.kept() == {world.place(PRODUCTION).live}  # type: ignore[union-attr]
    assert world.untouched()
    await world.stop()


async def test_without_the_setting_there_is_none(world: Previewing) -> None:
    """And a pull request cannot give itself one."""
    world.previews = ""
    await world.begin()
    world.propose("verse", "better", CONFIGURATION.format(previews=PREVIEWS))
    await world.until(lambda: world.board.run("shop", 2) is not None)
    await world.until(lambda: world.board.run("shop", 2).status == "passed")  # type: ignore[union-attr]
    assert world.board.run("shop", 2).release is None  # type: ignore[union-attr]
    assert world.store.get(VERSE.object_id) is None
    await world.stop()


async def test_a_newer_head_of_the_same_content_starts_nothing_anew(world: Previewing) -> None:
    await world.begin()
    world.propose("verse", "better")
    await world.until(lambda: world.serves(2))
    started = len(world.traffic.applied)
    world.propose("verse", "better")
    await world.until(lambda: world.serves(3))
    assert len(world.traffic.applied) == started
    await world.stop()


async def test_it_goes_when_its_time_is_over_and_a_newer_head_brings_it_back(world: Previewing) -> None:
    await world.begin()
    world.propose("verse", "better")
    await world.until(lambda: world.serves(2))
    preview = world.preview()
    assert preview is not None
    await world.until(world.nothing_left, within_s=3700.0)
    assert 0 <= world.clock.now() - preview.until < 60.0
    world.propose("verse", "best")
    await world.until(lambda: world.serves(3))
    world.append(f.PreviewCloseRequested("preview-verse", "ann"))
    await world.until(world.nothing_left)
    assert world.untouched()
    await world.stop()


async def test_who_finds_no_port_waits_for_one(world: Previewing) -> None:
    world.traffic.taken_ports.add(9000)
    await world.begin()
    world.propose("other", "other")
    await world.until(lambda: world.serves(2, OTHER))
    assert world.preview(OTHER).url == "http://127.0.0.1:9001"  # type: ignore[union-attr]
    world.propose("verse", "better")
    await world.until(lambda: (run := world.board.run("shop", 3)) is not None and run.no_preview != "")
    run = world.board.run("shop", 3)
    assert run is not None
    assert run.status == "passed"
    assert "no port of 9000-9001 is free for a preview: taken by preview-other" in run.no_preview
    assert run.release in world.kept()
    world.withdraw("other")
    await world.until(lambda: world.serves(3))
    assert world.preview().url == "http://127.0.0.1:9001"  # type: ignore[union-attr]
    await world.stop()


async def test_what_cannot_be_started_is_said_and_what_was_there_stays(world: Previewing) -> None:
    await world.begin()
    world.propose("verse", "better")
    await world.until(lambda: world.serves(2))
    before = world.routed(VERSE)
    world.runtime.refusal = Problem("instance-start", "no memory is left")
    world.propose("verse", "best")
    await world.until(lambda: (seen := world.preview()) is not None and seen.status == "failed")
    preview = world.preview()
    assert preview is not None
    assert "no memory is left" in preview.reason
    assert world.routed(VERSE) == before
    world.runtime.refusal = None
    world.propose("verse", "best of all")
    await world.until(lambda: world.serves(4))
    world.withdraw("verse")
    await world.until(world.nothing_left)
    assert world.untouched()
    await world.stop()


async def test_pins_rollbacks_and_edits_in_git_are_not_for_previews(world: Previewing) -> None:
    await world.begin()
    world.propose("verse", "better")
    await world.until(lambda: world.serves(2))
    live = world.place(PRODUCTION).live  # type: ignore[union-attr]
    assert live is not None
    world.append(f.RollbackRequested(live, "ann"), VERSE.object_id)
    world.append(f.PinRequested(live, "ann"), VERSE.object_id)
    await world.state_repository.write(VERSE, live, subject="By hand", body="", trailers={}, key="by-hand")
    for _ in range(20):
        await world.frame()
    assert world.serves(2)
    assert world.commits() == ["Promote", "By"]
    await world.stop()


async def test_the_setting_that_is_taken_away_takes_them_away(world: Previewing) -> None:
    await world.begin()
    world.propose("verse", "better")
    await world.until(lambda: world.serves(2))
    world.previews = ""
    world.push("second", world.configuration)
    await world.until(world.nothing_left)
    await world.stop()


async def test_what_comes_late_is_removed_too(world: Previewing) -> None:
    """An action of the last rollout that was carried out after everything was gone."""
    await world.begin()
    world.propose("verse", "better")
    await world.until(lambda: world.serves(2))
    route, release = world.traffic._routes[VERSE], world.routed(VERSE)
    assert release is not None
    world.withdraw("verse")
    await world.until(world.nothing_left)
    world.traffic._routes[VERSE] = route
    await world.until(world.nothing_left)
    for _ in range(400):  # longer than it is looked at often
        await world.frame()
    manifest = await world.artifacts.manifest(release)
    await world.runtime.ensure(VERSE, release, manifest.specification, Path("/"), 1)
    await world.until(world.nothing_left, within_s=700.0)
    gone = [recorded for recorded in world.facts() if isinstance(recorded.fact, f.PreviewGone)]
    assert {recorded.object for recorded in gone} == {VERSE.object_id, app_object("shop")}
    assert len(gone) == 2
    await world.stop()


async def play(world: Previewing, crash_at: int | None = None, *, after: bool = False) -> int:
    """Opened, replaced on its way, closed, opened again while that is not over; the writes before the first one."""
    await world.begin(crash_at, after=after)
    before = world.crashing.writes if world.crashing else 0
    world.propose("verse", "better")
    await world.until(lambda: world.preview() is not None)
    world.propose("verse", "best")
    await world.until(lambda: world.serves(3))
    world.withdraw("verse")
    await world.until(lambda: (seen := world.preview()) is None or seen.status == "closing")
    world.propose("verse", "once more")
    await world.until(lambda: world.serves(4))
    world.withdraw("verse")
    await world.until(world.nothing_left)
    return before


def examine(world: Previewing) -> None:
    """The same end as without a crash."""
    assert world.untouched()
    steps = [name for name in world.processes.started if name.startswith("step/")]
    assert steps == [f"step/shop/{run}/test/1" for run in (1, 2, 3, 4)]
    opened = [recorded.fact for recorded in world.facts() if isinstance(recorded.fact, f.PreviewOpened)]
    assert [fact.run for fact in opened] == [2, 3, 4]
    assert {fact.url for fact in opened} <= {"http://127.0.0.1:9000", "http://127.0.0.1:9001"}
    offered = [recorded for recorded in world.facts() if isinstance(recorded.fact, f.ReleaseOffered)]
    assert [recorded.object for recorded in offered] == [PRODUCTION.object_id, *[app_object("shop")] * 3]
    assert world.kept() == {world.place(PRODUCTION).live}  # type: ignore[union-attr]


async def test_a_crash_at_every_write_leaves_nothing_of_a_preview_and_all_of_production(tmp_path: Path) -> None:
    whole = Previewing(tmp_path / "whole")
    first = await play(whole) + 1
    examine(whole)
    assert whole.crashing is not None
    writes = whole.crashing.writes
    await whole.stop()
    print(f"{2 * (writes + 1 - first)} deaths")
    for crash_at in range(first, writes + 1):
        for after in (False, True):
            world = Previewing(tmp_path / f"{crash_at}-{after}")
            try:
                await play(world, crash_at, after=after)
                examine(world)
            except AssertionError as error:
                moment = "after" if after else "before"
                raise AssertionError(f"crash {moment} write {crash_at} of {writes}") from error
            finally:
                await world.stop()
