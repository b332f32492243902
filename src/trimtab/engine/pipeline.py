"""The actions of runs: a port call or a few, and the fact that comes of it. Each may be carried out more than once."""

from __future__ import annotations

import asyncio
import posixpath
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from trimtab.core.decide.run.conditions import NOT_ASKED_FOR, why_left_out
from trimtab.core.decide.run.trying import is_infrastructure
from trimtab.core.errors import Problem, TrimtabError, failure
from trimtab.core.model.actions import Action, CutRelease, ReadSpecification
from trimtab.core.model.contents import named_files, settings_of, with_variables
from trimtab.core.model.facts import Fact, ReleaseCut, SpecificationRead, SpecificationRefused
from trimtab.core.model.identity import Digest
from trimtab.core.model.pipeline import LINK, InputFile, in_order, with_needs
from trimtab.core.model.release import Manifest
from trimtab.core.model.specification import ReleaseSpec, Specification
from trimtab.core.model.template import TemplateAt, template_digest
from trimtab.core.model.tree import LARGE_BYTES, MadeFile, are_apart, in_parts
from trimtab.core.say import count
from trimtab.engine.attesting import Attesting
from trimtab.engine.loop import Handler, Order
from trimtab.engine.steps import Steps, release_workspace
from trimtab.ports.artifacts import Artifacts
from trimtab.ports.parts import PartFiles
from trimtab.ports.source import Source
from trimtab.ports.workspaces import Isolation, Workspaces

CONFIGURATION = "trimtab.yaml"
_TEMPLATES_S = 120.0
"""For all templates of one file."""
Files = Callable[[TemplateAt], bytes | None]
"""How the templates of steps are read."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The actions of runs. `compile` turns the text of trimtab.yaml into a Specification or raises its problems; where
    steps use templates, it asks for their files."""

    source: Source
    artifacts: Artifacts
    workspaces: Workspaces
    steps: Steps
    compile: Callable[[str, str, Files], Specification]
    part_files: PartFiles
    attesting: Attesting | None = None
    """None: nothing is attested, and nothing that is cut can be deployed where that is asked for."""

    def handlers(self) -> Mapping[type[Action], Handler]:
        return {
            **self.steps.handlers(),
            ReadSpecification: Handler(self.read_specification),
            CutRelease: Handler(self.cut_release),
        }

    async def read_specification(self, order: Order) -> Fact:
        action: ReadSpecification = order.action
        place = f"{CONFIGURATION} in {action.commit[:8]}"
        content = await self.source.read(action.app, action.commit, CONFIGURATION)
        if content is None:
            hint = "write one with `trimtab init`, commit it and push again"
            return SpecificationRefused((Problem("config-missing", "there is no trimtab.yaml", hint, place),))
        try:
            # In a thread: a file that is made to be slow holds nobody else up.
            templates: dict[str, Digest] = {}
            files = self._files(action, asyncio.get_running_loop(), templates)
            specification = await asyncio.to_thread(self.compile, content.decode(), CONFIGURATION, files)
        except UnicodeDecodeError:
            return SpecificationRefused((Problem("config-encoding", "the file is not UTF-8", where=place),))
        except TrimtabError as error:
            if is_infrastructure(error.problem):
                raise
            return SpecificationRefused(error.problems)
        if specification.app != action.app:
            message = f"`app` is {specification.app}, but the repository is {action.app}"
            hint = f"set `app: {action.app}`, or push to {specification.app}.git"
            return SpecificationRefused((Problem("config-app", message, hint, place),))
        return SpecificationRead(specification, await self._left_out(specification, action), templates)

    def _files(self, action: ReadSpecification, loop: asyncio.AbstractEventLoop, templates: dict[str, Digest]) -> Files:
        """For the thread that compiles: files of the commit, and of other repositories. Their digests are put into
        `templates`."""
        source, until = self.source, time.monotonic() + _TEMPLATES_S

        def read(at: TemplateAt) -> bytes | None:
            work = source.template(action.app, at) if at.repository else source.read(action.app, action.commit, at.path)
            reading = asyncio.run_coroutine_threadsafe(work, loop)
            try:
                content = reading.result(max(0.0, until - time.monotonic()))
            except TimeoutError:
                reading.cancel()
                message = f"the templates of its steps could not all be read within {_TEMPLATES_S:g} s"
                hint = "see whether their repositories are quick, and run it again"
                raise failure("template-unreachable", message, hint, str(at)) from None
            if content is not None:
                templates[str(at)] = template_digest(content)
            return content

        return read

    async def _left_out(self, specification: Specification, action: ReadSpecification) -> Mapping[str, str]:
        """The steps that the change does not concern, with why."""
        changed = None
        if action.base is not None and any(step.when.changed for step in specification.steps):
            changed = await self.source.changed(action.app, action.base, action.commit)
        wanted = with_needs(in_order(specification.steps), action.only)
        reasons = {
            step.name: why_left_out(
                step.when, action.branch, action.is_pull_request, changed, action.base, action.schedule
            )
            if step.name in wanted
            else NOT_ASKED_FOR
            for step in specification.steps
        }
        return {name: reason for name, reason in reasons.items() if reason}

    async def cut_release(self, order: Order) -> Fact:
        """From the commit's files and what all steps have made of them. Before anybody hears of it, it is attested."""
        action: CutRelease = order.action
        files = await self.steps.checkouts.files(action.app, action.change.commit)
        tracked = [file.path for file in files]
        # When the pipeline runs and who looks at pull requests makes no other release.
        plain = replace(action.specification, previews=None, schedules=())
        made = await self._made_apart(action, files)
        if made is None:
            manifest = await self._cut_from_layers(action, tracked, plain)
        else:
            manifest = await self._cut_from_pieces(action, tracked, plain, made)
        if self.attesting is not None:
            await self.attesting.attest(action, manifest)
        return ReleaseCut(
            manifest.digest,
            action.run,
            action.change.commit,
            manifest.parts,
            action.change.subject,
            action.for_preview,
            settings=settings_of(manifest),
        )

    async def _made_apart(self, action: CutRelease, files: Sequence[InputFile]) -> tuple[MadeFile, ...] | None:
        """What steps have made, if it need not be laid over anything to be seen as a whole. Only asked where copying
        that takes long: steps that work document by document make many files, and a model is a large one."""
        made = [file for tree in action.layers for file in await self.steps.cache.made(tree)]
        many = any(step.for_each is not None for step in action.specification.steps)
        if not many and all(file.entry.size_bytes < LARGE_BYTES for file in made):
            return None
        links = any(file.entry.mode == "link" for file in made) or any(file.mode == LINK for file in files)
        # What is read of what the release names is read in a folder. A model is not: it has to be there.
        named = named_files(replace(action.specification.release, model=None))
        looked_at = {posixpath.normpath(path) for paths in named.values() for path in paths}
        paths = [*(file.path for file in files), *(file.entry.path for file in made)]
        apart = not links and looked_at.isdisjoint(file.entry.path for file in made) and are_apart(paths)
        return tuple(made) if apart else None

    async def _cut_from_pieces(
        self, action: CutRelease, tracked: Sequence[str], plain: Specification, made: Sequence[MadeFile]
    ) -> Manifest:
        needed = in_parts(tracked, plain.release.parts)
        place = (action.app, action.run, action.change.commit)
        source = await self.steps.checkouts.at_least(*place, needed, "in-parts")
        try:
            return await self._cut(source, tracked, plain, made)
        except TrimtabError as error:
            if error.problem.code != "outputs-missing":
                raise
            # It cannot say to whom the piece belongs. The cache can, and forgets it.
            return await self._cut_from_layers(action, tracked, plain)

    async def _cut_from_layers(self, action: CutRelease, tracked: Sequence[str], plain: Specification) -> Manifest:
        name = release_workspace(action.app, action.run)
        source = await self.steps.checkouts.make(action.app, action.run, action.change.commit)
        made = [await self.steps.cache.folder(tree) for tree in action.layers]
        opened = await self.workspaces.open(name, [source, *made], Isolation(sandbox=False))
        manifest = await self._cut(Path(opened.cwd), tracked, plain)
        await self.workspaces.close(name)
        return manifest

    async def _cut(
        self, folder: Path, tracked: Sequence[str], plain: Specification, made: Sequence[MadeFile] = ()
    ) -> Manifest:
        """`made`: files that are elsewhere, the model's perhaps; whether that is there, the artifact store sees."""
        model = plain.release.model
        checked = await self._checked(folder, replace(plain.release, model=None) if made else plain.release)
        release = replace(plain, release=replace(checked, model=model))
        return await self.artifacts.cut(folder, tracked, release, made)

    async def _checked(self, folder: Path, release: ReleaseSpec) -> ReleaseSpec:
        """The release with the variables of all its prompts. Raises what is wrong with its files."""
        checked = await self.part_files.check(folder, release)
        if checked.problems:
            first, more = checked.problems[0], len(checked.problems) - 1
            others = f" (and {count(more, 'more problem')}, see `trimtab validate`)" if more else ""
            raise TrimtabError(replace(first, message=first.message + others), *checked.problems[1:])
        return with_variables(release, checked.variables)
