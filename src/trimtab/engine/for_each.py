"""Steps that work document by document: they are started with what is not known, and what is known is added."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trimtab.codec import decode_state, encode_state
from trimtab.core.errors import TrimtabError, failure
from trimtab.core.model.actions import KeepStep, StartStep
from trimtab.core.model.documents import (
    LISTING,
    LISTING_ENV,
    Plan,
    Results,
    Selection,
    by_document,
    composed,
    listing,
    plan,
    refused_by_name,
    why_no_text,
)
from trimtab.core.model.identity import Digest
from trimtab.core.model.pipeline import DocumentWork, ForEachSpec, InputFile, StepResult, StepSpec
from trimtab.core.model.tree import TreeEntry
from trimtab.core.say import count, size
from trimtab.engine.checkouts import Checkouts, made, token
from trimtab.ports.step_cache import StepCache
from trimtab.ports.workspaces import Workspaces

_NAMED = 3
"""How many documents a problem names."""
WITH_WHOLE_PATH: tuple[str, ...] = (
    "/bin/sh",
    "-c",
    f'{LISTING_ENV}="$PWD/${LISTING_ENV}"; export {LISTING_ENV}; exec "$@"',
    "sh",
)
"""Before the step's command: wherever it goes, it finds the list of its documents."""


@dataclass(frozen=True, slots=True)
class Documents:
    """What steps do with documents, from their plan to the tree of all results."""

    checkouts: Checkouts
    workspaces: Workspaces
    cache: StepCache

    async def selection(self, app: str, commit: str, step: StepSpec) -> Selection:
        return await self.checkouts.selection(app, commit, step.inputs, _spec(step))

    async def plan(self, app: str, commit: str, step: StepSpec, key: Digest, scopes: Sequence[str] = ()) -> Plan:
        """What is to be built, and what is known. `key`: the step's, without its documents; empty: nothing is known.
        Raises `TrimtabError` (`for-each-nothing`)."""
        selection = await self.selection(app, commit, step)
        if not selection.documents:
            patterns = ", ".join(_spec(step).documents)
            hint = "correct its patterns, or commit the documents"
            raise failure("for-each-nothing", f"no file of the commit is meant by {patterns}", hint, _where(step))
        known: Results = await self.cache.documents(key, scopes) if key else {}
        return await asyncio.to_thread(plan, selection, known)

    async def whole(self, step: StepSpec, known: Plan) -> StepResult | None:
        """The outcome of a step that has nothing to build; None: it has."""
        if known.build:
            return None
        outputs = await self.cache.compose(composed(step.outputs[0], known.taken))
        return StepResult(outputs, "", 0.0, documents=known.count)

    # --- start ---

    async def begin(self, action: StartStep, process: str, key: Digest, todo: Plan) -> tuple[Path, Path]:
        """Write down what the process is to build: the layers of its workspace below and above all others. What an
        earlier life has written down stays, which may have known less, or more."""
        step, note = action.step, self._note(action.app, action.run, process)
        if not note.exists():
            taken = await self.cache.compose(composed(step.outputs[0], todo.taken)) if todo.taken else None
            await asyncio.to_thread(_write, note, encode_state(DocumentWork(key, taken, todo.count)).encode())
            return await self._layers(action, process, todo.build)
        selection = await self.selection(action.app, action.commit, step)
        known = await self._taken(step, selection, await self.work(action.app, action.run, process))
        build = tuple(document for document in selection.documents if document.path not in known)
        return await self._layers(action, process, build)

    async def work(self, app: str, run: int, process: str) -> DocumentWork:
        """What the process was started with."""
        return decode_state(DocumentWork, await asyncio.to_thread(self._note(app, run, process).read_text))

    async def _layers(self, action: StartStep, process: str, build: Sequence[InputFile]) -> tuple[Path, Path]:
        selection, named = await self.selection(action.app, action.commit, action.step), token(process)
        _refuse(action.step, list(refused_by_name(build)))
        paths = [file.path for file in (*selection.others, *build)]
        picked = await self.checkouts.pick(action.app, action.run, action.commit, paths, f"documents-{named}")
        spec = _spec(action.step)
        _refuse(action.step, await asyncio.to_thread(_flaws, picked, [file.path for file in build], spec))

        async def write(half: Path) -> None:
            await asyncio.to_thread(_write, half / LISTING, listing(build))

        return picked, await made(picked.with_name(f"listing-{named}"), write)

    def _note(self, app: str, run: int, process: str) -> Path:
        return self.checkouts.of_run(app, run) / f"work-{token(process)}.json"

    # --- keep ---

    async def keep(self, action: KeepStep, collected: Path) -> Digest:
        """The tree of all results: those of the documents that were built, and those that were known. Raises
        `TrimtabError` (`for-each-empty`, `for-each-elsewhere`, `output-refused`)."""
        assert action.documents is not None
        step, work = action.step, action.documents
        selection = await self.selection(action.app, action.commit, step)
        taken = await self._taken(step, selection, work)
        wanted = [document.path for document in selection.documents if document.path not in taken]
        made_now = await self._built(action, collected)
        built, astray = by_document(made_now, step.outputs[0], wanted)
        _refuse_results(step, made_now, astray, [path for path in wanted if path not in built])
        results = {**taken, **built}
        in_order = {document.path: results[document.path] for document in selection.documents}
        outputs = await self.cache.compose(composed(step.outputs[0], in_order))
        if action.scope is not None and work.key:
            by_key = dict(zip(selection.keys, in_order.values(), strict=True))
            await self.cache.keep_documents(work.key, action.scope, by_key)
        return outputs

    async def _taken(
        self, step: StepSpec, selection: Selection, work: DocumentWork
    ) -> dict[str, tuple[TreeEntry, ...]]:
        if work.taken is None:
            return {}
        paths = [document.path for document in selection.documents]
        found, _ = by_document(await self.cache.tree(work.taken), step.outputs[0], paths)
        return found

    async def _built(self, action: KeepStep, collected: Path) -> tuple[TreeEntry, ...]:
        await asyncio.to_thread(shutil.rmtree, collected, ignore_errors=True)
        try:
            await self.workspaces.collect(action.process, action.step.outputs, collected)
        except TrimtabError as error:
            if error.problem.code != "output-missing":
                raise
            return ()
        try:
            return await self.cache.tree(await self.cache.put(collected))
        finally:
            await asyncio.to_thread(shutil.rmtree, collected, ignore_errors=True)


def _spec(step: StepSpec) -> ForEachSpec:
    assert step.for_each is not None
    return step.for_each


def _where(step: StepSpec) -> str:
    return f"pipeline.{step.name}.for_each"


def _flaws(folder: Path, paths: Sequence[str], spec: ForEachSpec) -> list[tuple[str, str]]:
    """The documents that the step is not to be given, with why."""
    flaws = []
    for path in paths:
        size_bytes = (folder / path).lstat().st_size
        why = ""
        if size_bytes > spec.limit_bytes:
            why = f"it has {size(size_bytes)}, more than its `limit` of {size(spec.limit_bytes)}"
        elif spec.text:
            why = why_no_text((folder / path).read_bytes())
        if why:
            flaws.append((path, why))
    return flaws


def _refuse(step: StepSpec, flaws: Sequence[tuple[str, str]]) -> None:
    if flaws:
        said = "; ".join(f"`{path}`: {why}" for path, why in flaws[:_NAMED])
        hint = "take it out with `!PATTERN` in `documents`; `limit` and `text: false` allow more"
        raise failure("for-each-document", f"{_some(flaws, 'cannot be worked on')}: {said}", hint, _where(step))


def _refuse_results(
    step: StepSpec, made_now: Sequence[TreeEntry], astray: Sequence[str], missing: Sequence[str]
) -> None:
    output = step.outputs[0]
    if astray:
        message = f"it wrote what belongs to none of its documents: {_first(astray)}"
        hint = f"write the results of document PATH below `{output}/PATH/`, and all else in a step that needs this one"
        raise failure("for-each-elsewhere", message, hint, _where(step))
    links = [entry.path for entry in made_now if entry.mode == "link"]
    if links:
        message = f"the results of a document cannot be symbolic links: {_first(links)}"
        raise failure("for-each-elsewhere", message, "copy the file", _where(step))
    if missing:
        message = f"it wrote nothing for {_first(missing)}"
        hint = f"write at least one file below `{output}/PATH/`, an empty one if there is nothing to say"
        raise failure("for-each-empty", message, hint, _where(step))


def _first(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _NAMED:,} more" if len(paths) > _NAMED else ""
    return ", ".join(f"`{path}`" for path in paths[:_NAMED]) + more


def _some(flaws: Sequence[object], what: str) -> str:
    return f"{count(len(flaws), 'document')} {what}"


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.draft")
    draft.write_bytes(content)
    draft.replace(path)
