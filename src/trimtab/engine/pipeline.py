"""The actions of runs: a port call or a few, and the fact that comes of it. Each may be carried out more than once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from trimtab.core.decide.run.conditions import why_left_out
from trimtab.core.errors import Problem, TrimtabError
from trimtab.core.model.actions import Action, CutRelease, ReadSpecification
from trimtab.core.model.facts import Fact, ReleaseCut, SpecificationRead, SpecificationRefused
from trimtab.core.model.specification import Specification
from trimtab.engine.loop import Handler, Order
from trimtab.engine.steps import Steps
from trimtab.ports.artifacts import Artifacts
from trimtab.ports.source import Source
from trimtab.ports.workspaces import Isolation, Workspaces

CONFIGURATION = "trimtab.yaml"


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The actions of runs. `compile` turns the text of trimtab.yaml into a Specification or raises its problems."""

    source: Source
    artifacts: Artifacts
    workspaces: Workspaces
    steps: Steps
    compile: Callable[[str, str], Specification]

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
            specification = await asyncio.to_thread(self.compile, content.decode(), CONFIGURATION)
        except UnicodeDecodeError:
            return SpecificationRefused((Problem("config-encoding", "the file is not UTF-8", where=place),))
        except TrimtabError as error:
            return SpecificationRefused(error.problems)
        if specification.app != action.app:
            message = f"`app` is {specification.app}, but the repository is {action.app}"
            hint = f"set `app: {action.app}`, or push to {specification.app}.git"
            return SpecificationRefused((Problem("config-app", message, hint, place),))
        return SpecificationRead(specification, await self._left_out(specification, action))

    async def _left_out(self, specification: Specification, action: ReadSpecification) -> Mapping[str, str]:
        """The steps that the change does not concern, with why."""
        changed = None
        if action.base is not None and any(step.when.changed for step in specification.steps):
            changed = await self.source.changed(action.app, action.base, action.commit)
        reasons = {
            step.name: why_left_out(step.when, action.branch, action.is_pull_request, changed, action.base)
            for step in specification.steps
        }
        return {name: reason for name, reason in reasons.items() if reason}

    async def cut_release(self, order: Order) -> Fact:
        """From the commit's files and what all steps have made of them."""
        action: CutRelease = order.action
        commit, name = action.change.commit, f"release/{action.app}/{action.run}"
        source = await self.steps.checkout(action.app, action.run, commit)
        made = [await self.steps.cache.folder(tree) for tree in action.layers]
        opened = await self.workspaces.open(name, [source, *made], Isolation(sandbox=False))
        tracked = [file.path for file in await self.source.files(action.app, commit)]
        # Who looks at pull requests, and how, makes no other release.
        manifest = await self.artifacts.cut(Path(opened.cwd), tracked, replace(action.specification, previews=None))
        await self.workspaces.close(name)
        subject = action.change.subject
        return ReleaseCut(manifest.digest, action.run, commit, manifest.parts, subject, action.for_preview)
