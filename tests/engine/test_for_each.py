"""Steps that work document by document: only what is not known is built, and the whole is what a first build gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.engine.test_steps import Bench
from tests.engine.world import World
from trimtab.core.model.actions import KeepStep, StartStep
from trimtab.core.model.documents import LISTING
from trimtab.core.model.facts import ChangeArrived, Fact, PullRequestUpdated, StepKept, StepStarted, StepTaken
from trimtab.core.model.facts.change import PullRequest
from trimtab.core.model.identity import Digest
from trimtab.core.model.pipeline import DocumentCount, DocumentWork, ForEachSpec, StepSpec
from trimtab.core.model.tree import MadeFile
from trimtab.engine.housekeeping import Housekeeper
from trimtab.engine.loop import Order
from trimtab.engine.steps import step_process
from trimtab.ports.processes import ProcessSpec, ProcessStatus
from trimtab.testing.memory_processes import Ending
from trimtab.testing.memory_source import File
from trimtab.views.model import RunView, StepView

CONFIGURATION = """
app: shop
service: {command: serve}
release: {parts: {index: [index]}}
environments: {production: {strategy: instant}}
pipeline:
  embed: {run: embed, for_each: "docs/**/*.md", inputs: [embed.py], outputs: index/}
"""


def build(workspace: Path, *, leave_out: str = "", also: str = "") -> list[str]:
    """What a builder does: the documents that it was given."""
    given = (workspace / LISTING).read_text().split("\n")[:-1]
    for path in given:
        if path != leave_out:
            vector = workspace / "index" / path / "vector"
            vector.parent.mkdir(parents=True)
            vector.write_bytes((workspace / path).read_bytes()[::-1])
    if also:
        (workspace / also).parent.mkdir(parents=True, exist_ok=True)
        (workspace / also).write_text("more")
    return given


class Shop:
    """An application with documents. `built`: what its builder was given, run by run."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder)
        self.world.processes._behaviour = self._behave
        self.built: dict[str, list[str]] = {}
        self.runs = 0
        self.exit_codes: list[int] = []
        self.leave_out = self.also = ""

    def _behave(self, spec: ProcessSpec) -> Ending:
        name = spec.name
        self.built[name.removeprefix("step/shop/")] = build(Path(spec.cwd), leave_out=self.leave_out, also=self.also)
        return Ending(0.3, self.exit_codes.pop(0) if self.exit_codes else 0)

    async def __aenter__(self) -> Shop:
        self.world.register()
        self.world.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.world.stop()

    async def push(self, configuration: str = CONFIGURATION, /, **documents: str | None) -> RunView:
        """A commit with these documents changed (None: removed); its run when it has ended."""
        files = {f"docs/{name}.md": None if text is None else File(text.encode()) for name, text in documents.items()}
        return await self._go({"trimtab.yaml": File(configuration.encode()), "embed.py": File(b"1"), **files})

    async def _go(self, files: dict[str, File | None]) -> RunView:
        self.runs += 1
        change = self.world.source.commit("shop", files, subject=f"Change {self.runs}", at=self.world.clock.now())
        self.world.append(ChangeArrived(change, "push"))
        return await self.ended(self.runs)

    async def ended(self, number: int) -> RunView:
        def look() -> bool:
            run = self.world.board.run("shop", number)
            return run is not None and run.duration_s is not None

        await self.world.until(look)
        run = self.world.board.run("shop", number)
        assert run is not None
        return run


def embed(run: RunView) -> StepView:
    (step,) = (step for step in run.steps if step.name == "embed")
    return step


async def from_nothing(folder: Path, **documents: str | None) -> str | None:
    """The release of an installation that never saw another commit."""
    async with Shop(folder) as shop:
        return (await shop.push(**documents)).release


async def test_only_new_documents_are_built_and_the_release_is_that_of_a_first_build(tmp_path: Path) -> None:
    async with Shop(tmp_path / "grown") as shop:
        await shop.push(a="one", b="two", c="three")
        run = await shop.push(b="changed", c=None, d="new")
    assert shop.built == {
        "1/embed/1": ["docs/a.md", "docs/b.md", "docs/c.md"],
        "2/embed/1": ["docs/b.md", "docs/d.md"],
    }
    assert run.release is not None
    assert run.release == await from_nothing(tmp_path / "new", a="one", b="changed", d="new")
    documents = embed(run).documents
    assert documents is not None
    assert (documents.built, documents.taken) == (2, 1)


async def test_a_release_is_the_same_whether_it_is_cut_from_pieces_or_from_layers(tmp_path: Path) -> None:
    """A link, an output that lies over a file of the commit: then what steps have made is laid over the commit's."""
    configuration = CONFIGURATION + "  note: {run: note, needs: embed, outputs: [note.txt], cache: false}\n"
    more: list[dict[str, File | None]] = [{}, {"link": File(b"embed.py", "link")}, {"note.txt": File(b"committed")}]
    releases = []
    for number, files in enumerate(more):
        async with Shop(tmp_path / str(number)) as shop:
            behave = shop._behave

            def note(spec: ProcessSpec, behave: Callable[[ProcessSpec], Ending] = behave) -> Ending:
                if "/note/" not in spec.name:
                    return behave(spec)
                (Path(spec.cwd) / "note.txt").write_text("made")
                return Ending(0.3)

            shop.world.processes._behaviour = note
            all_files = {"trimtab.yaml": File(configuration.replace("[index]", "[index, note.txt]").encode()), **files}
            run = await shop._go({**all_files, "embed.py": File(b"1"), "docs/a.md": File(b"one")})
            assert run.status == "passed", run.reason
            releases.append(run.release)
            opened = [name for name in shop.world.workspaces.opened if name.startswith("release/")]
            assert bool(opened) is bool(files)
    assert len(set(releases)) == 1


async def test_pieces_that_are_damaged_are_looked_for_in_the_layers(tmp_path: Path) -> None:
    async with Shop(tmp_path / "damaged") as shop:
        cache = shop.world.step_cache
        made = cache.made

        async def damaged(outputs: Digest) -> tuple[MadeFile, ...]:
            return tuple(replace(file, at=str(tmp_path / "gone")) for file in await made(outputs))

        cache.made = damaged  # type: ignore[method-assign]
        run = await shop.push(a="one")
        assert [name for name in shop.world.workspaces.opened if name.startswith("release/")]
    assert run.release is not None
    assert run.release == await from_nothing(tmp_path / "new", a="one")


async def test_nothing_runs_where_no_document_is_new(tmp_path: Path) -> None:
    async with Shop(tmp_path / "grown") as shop:
        await shop.push(a="one", b="two")
        run = await shop.push(b=None)
        assert run.status == "passed", run.reason
        assert embed(run).status == "cached"
        assert list(shop.built) == ["1/embed/1"]
        assert run.release == await from_nothing(tmp_path / "new", a="one")
        back = await shop.push(b="two")
        assert embed(back).status == "cached"
        assert embed(back).detail == "as in run 1"
    assert list(shop.built) == ["1/embed/1"]


async def test_what_else_decides_builds_all_again(tmp_path: Path) -> None:
    async with Shop(tmp_path) as shop:
        await shop.push(a="one", b="two")
        run = await shop._go({"embed.py": File(b"2"), "docs/a.md": File(b"1")})
    assert run.status == "passed", run.reason
    assert shop.built["2/embed/1"] == ["docs/a.md", "docs/b.md"]


async def test_a_step_sees_no_document_that_is_known(tmp_path: Path) -> None:
    seen = []
    async with Shop(tmp_path) as shop:
        await shop.push(a="one", b="two")
        behave = shop._behave

        def look(spec: ProcessSpec) -> Ending:
            top = Path(spec.cwd)
            seen.extend(sorted(str(path.relative_to(top)) for path in top.rglob("*") if path.is_file()))
            return behave(spec)

        shop.world.processes._behaviour = look
        await shop.push(b="changed")
    assert seen == [LISTING, "docs/b.md", "embed.py"]


async def test_a_retry_builds_what_is_not_known(tmp_path: Path) -> None:
    configuration = CONFIGURATION.replace("outputs: index/", "outputs: index/, retry: 1")
    async with Shop(tmp_path) as shop:
        await shop.push(configuration, a="one", b="two")
        shop.exit_codes = [1]
        run = await shop.push(configuration, b="changed")
    assert run.status == "passed", run.reason
    assert shop.built["2/embed/1"] == shop.built["2/embed/2"] == ["docs/b.md"]


@pytest.mark.parametrize(
    ("trouble", "code", "said"),
    [
        ({"leave_out": "docs/b.md"}, "for-each-empty", "`docs/b.md`"),
        ({"also": "index/all.json"}, "for-each-elsewhere", "`index/all.json`"),
        ({"also": "index/docs/a.md/v"}, "for-each-elsewhere", "`index/docs/a.md/v`"),
    ],
)
async def test_a_builder_that_does_something_else_fails(
    tmp_path: Path, trouble: dict[str, str], code: str, said: str
) -> None:
    async with Shop(tmp_path) as shop:
        await shop.push(a="one")
        for name, value in trouble.items():
            setattr(shop, name, value)
        run = await shop.push(b="two", c="three")
        assert run.status == "failed"
        assert said in embed(run).detail, embed(run).detail
        shop.leave_out = shop.also = ""
        # What it had built before it failed is thrown away: it may be as wrong as the rest.
        assert (await shop.push(b="two", c="three", d="four")).status == "passed"
    assert shop.built["3/embed/1"] == ["docs/b.md", "docs/c.md", "docs/d.md"]
    assert code  # see tests/repo/test_codes.py for what is said of it


@pytest.mark.parametrize(
    ("configuration", "content", "said"),
    [
        (CONFIGURATION, "a\0b", "it is binary"),
        (CONFIGURATION.replace('"docs/**/*.md"', "{documents: docs/, limit: 2KiB}"), "x" * 3000, "2.9 KiB, more than"),
        (CONFIGURATION.replace("docs/**/*.md", "texts/"), "x", "no file of the commit is meant by texts/"),
    ],
)
async def test_what_is_no_document_is_refused_before_the_step_starts(
    tmp_path: Path, configuration: str, content: str, said: str
) -> None:
    async with Shop(tmp_path) as shop:
        run = await shop.push(configuration, a=content)
    assert run.status == "failed"
    assert said in embed(run).detail
    assert shop.built == {}


async def test_a_stranger_s_results_are_known_to_nobody_else(tmp_path: Path) -> None:
    async with Shop(tmp_path) as shop:
        await shop.push(a="one")
        source, world = shop.world.source, shop.world
        for number, from_fork in ((7, True), (8, False)):
            branch = f"pull/{number}"
            files = {"trimtab.yaml": File(CONFIGURATION.encode()), "embed.py": File(b"1"), "docs/a.md": File(b"one")}
            change = source.commit("shop", {**files, "docs/b.md": File(b"two")}, branch=branch, subject=branch)
            world.append(PullRequestUpdated(PullRequest(number, "main", from_fork=from_fork), change))
            shop.runs += 1
            run = await shop.ended(shop.runs)
            assert run.status == "passed", run.reason
            assert shop.built[f"{shop.runs}/embed/1"] == ["docs/b.md"]
        assert embed(await shop.push(b="two")).status == "passed"
    assert shop.built["4/embed/1"] == ["docs/b.md"]


async def test_a_step_ends_with_what_it_began_with_whatever_is_known_meanwhile(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    files = {f"docs/{name}.md": File(name.encode()) for name in "abc"}
    commit = bench.world.source.commit("shop", files).commit
    step = StepSpec("embed", "embed", outputs=("index",), for_each=ForEachSpec(("docs/",)))

    async def start(run: int) -> Fact:
        action = StartStep("shop", run, commit, step, 1, scopes=("branch",))
        return await bench.steps.start(Order(action, f"run/shop/{run}", "step:embed:1", 1))

    async def keep(run: int, work: DocumentWork | None) -> Fact:
        process = step_process("shop", run, "embed", 1)
        action = KeepStep("shop", run, step, 1, process, 1.0, "", "branch", commit=commit, documents=work)
        return await bench.steps.keep(Order(action, f"run/shop/{run}", "keep:embed:1", 1))

    # Two runs begin with nothing known; the second is looked at again when the first has kept all.
    begun = [await start(run) for run in (1, 2)]
    for run in (1, 2):
        build(tmp_path / "workspaces" / step_process("shop", run, "embed", 1).replace("/", "+"))
    assert all(isinstance(fact, StepStarted) and fact.documents is not None for fact in begun)
    first = await keep(1, begun[0].documents)  # type: ignore[attr-defined]
    assert await start(2) == begun[1]
    second = await keep(2, begun[1].documents)  # type: ignore[attr-defined]
    assert isinstance(first, StepKept)
    assert isinstance(second, StepKept)
    assert first.outputs == second.outputs is not None
    taken = await start(3)
    assert isinstance(taken, StepTaken)
    assert taken.result.outputs == first.outputs


async def test_a_life_that_ended_before_the_process_began_has_decided_what_it_builds(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    commit = bench.world.source.commit("shop", {f"docs/{name}.md": File(name.encode()) for name in "ab"}).commit
    step = StepSpec("embed", "embed", outputs=("index",), for_each=ForEachSpec(("docs/",)))
    action = StartStep("shop", 1, commit, step, 1, scopes=("branch",))
    order = Order(action, "run/shop/1", "step:embed:1", 1)
    start, bench.world.processes.start = bench.world.processes.start, _dies  # type: ignore[method-assign]
    with pytest.raises(ConnectionResetError):
        await bench.steps.start(order)
    bench.world.processes.start = start  # type: ignore[method-assign]
    # Meanwhile another run keeps the results of one of the two.
    keys = await bench.steps.keys("shop", commit, step, ())
    one = tmp_path / "one"
    one.mkdir()
    (one / "vector").write_text("of another run")
    results = await bench.world.step_cache.tree(await bench.world.step_cache.put(one))
    selection = await bench.steps.documents.selection("shop", commit, step)
    await bench.world.step_cache.keep_documents(keys.without_documents, "branch", {selection.keys[0]: results})
    fact = await bench.steps.start(order)
    assert isinstance(fact, StepStarted)
    assert fact.documents is not None
    assert fact.documents.count == DocumentCount(2, 0)
    process = step_process("shop", 1, "embed", 1)
    assert build(tmp_path / "workspaces" / process.replace("/", "+")) == ["docs/a.md", "docs/b.md"]


async def _dies(spec: ProcessSpec) -> ProcessStatus:
    raise ConnectionResetError(spec.name)


async def test_what_a_step_adds_to_stays_in_the_cache_while_it_runs(tmp_path: Path) -> None:
    async with Shop(tmp_path) as shop:
        await shop.push(a="one")
        world, wait = shop.world, Ending(3600.0)
        world.processes._behaviour = lambda _: wait
        change = world.source.commit("shop", {"docs/b.md": File(b"two")}, subject="More")
        world.append(ChangeArrived(change, "push"))

        def work() -> list[DocumentWork]:
            facts = [recorded.fact for recorded in world.facts()]
            return [f.documents for f in facts if isinstance(f, StepStarted) and f.documents and f.documents.taken]

        keeper = Housekeeper(world.store, world.artifacts, world.processes, world.source, world.step_cache, world.clock)
        await world.until(lambda: any(each.taken in keeper._worked_on() for each in work()))
