"""Two releases to what the one changes against the other."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from trimtab.core.model.contents import named_files
from trimtab.core.model.identity import Digest, short
from trimtab.core.model.release import Manifest
from trimtab.core.model.tree import TreeEntry
from trimtab.core.say import size
from trimtab.views.dependencies import dependencies, names_dependencies
from trimtab.views.flat import Flat, flat
from trimtab.views.indexed import Indexed, indexed_by
from trimtab.views.release_diff import (
    DependencyChange,
    DocumentChange,
    FileChange,
    PartChange,
    PromptChange,
    ReleaseDiffView,
    SettingChange,
    TextDiff,
)
from trimtab.views.text_diff import Comparer

MOST_BYTES = 1024 * 1024
"""Of one file: what is larger is not shown."""
MOST_BYTES_IN_ALL = 20 * 1024 * 1024
TOO_LARGE, BINARY = "too large to show", "binary"
Trees = Mapping[str, tuple[TreeEntry, ...]]


@dataclass(frozen=True, slots=True)
class Side:
    """One of two releases: its manifest, and the files of each part."""

    manifest: Manifest
    trees: Trees

    def file(self, path: str) -> TreeEntry | None:
        return next((entry for tree in self.trees.values() for entry in tree if entry.path == path), None)


@dataclass(frozen=True, slots=True)
class Changed:
    """A file that is not in both as it is. None: it is not there."""

    part: str
    path: str
    old: TreeEntry | None
    new: TreeEntry | None


def changed_files(old: Trees, new: Trees) -> tuple[Changed, ...]:
    """All that is not the same, part by part, by path."""
    found: list[Changed] = []
    for part in sorted({*old, *new}):
        before = {entry.path: entry for entry in old.get(part, ())}
        now = {entry.path: entry for entry in new.get(part, ())}
        other = (path for path in sorted({*before, *now}) if before.get(path) != now.get(path))
        found += [Changed(part, path, before.get(path), now.get(path)) for path in other]
    return tuple(found)


def to_read(old: Side, new: Side) -> tuple[frozenset[Digest], frozenset[Digest]]:
    """The files of each side whose texts `diff` needs, as far as they are not too large; prompts and settings first."""
    first = {*_settings_files(old), *_settings_files(new)}
    changed = sorted(
        changed_files(old.trees, new.trees),
        key=lambda file: (
            file.path not in first,
            not names_dependencies(file.path),
            _size(file.old, file.new),
            file.path,
        ),
    )
    wanted: tuple[set[Digest], set[Digest]] = (set(), set())
    left = MOST_BYTES_IN_ALL
    for entries in (*_prompts(old, new), *((file.old, file.new) for file in changed)):
        if _size(*entries) > left or any(entry is not None and entry.size_bytes > MOST_BYTES for entry in entries):
            continue
        left -= _size(*entries)
        for digests, entry in zip(wanted, entries, strict=True):
            if entry is not None:
                digests.add(entry.digest)
    return frozenset(wanted[0]), frozenset(wanted[1])


def diff(old: Side, new: Side, contents: Mapping[Digest, bytes], *, full: bool = False) -> ReleaseDiffView:
    """What `new` changes against `old`. `contents`: the bytes of `to_read`; `full`: with the texts of all files."""
    return _Diff(old, new, contents, Comparer()).view(full)


def flag_values(text: str) -> Flat:
    """The flags of a file of flagd's format, each by its name; none when it is no such file."""
    found = _parsed("flags.json", text)
    flags = found.get("flags") if isinstance(found, dict) else None
    return flat(flags) if isinstance(flags, dict) else {}


def _prompts(old: Side, new: Side) -> Iterator[tuple[TreeEntry | None, TreeEntry | None]]:
    """The files of prompts that are not the same on both sides, whether or not the files are."""
    before, now = old.manifest.prompts, new.manifest.prompts
    for name in sorted({*before, *now}):
        was, is_now = before.get(name), now.get(name)
        if was != is_now:
            yield old.file(was.file) if was else None, new.file(is_now.file) if is_now else None


def _settings_files(side: Side) -> Iterator[str]:
    release = side.manifest.specification.release
    yield from (path for path in (release.flags, release.config_file) if path)


def _size(*entries: TreeEntry | None) -> int:
    return sum(entry.size_bytes for entry in entries if entry is not None)


@dataclass(slots=True)
class _Diff:
    old: Side
    new: Side
    contents: Mapping[Digest, bytes]
    comparer: Comparer

    def view(self, full: bool) -> ReleaseDiffView:
        changed = changed_files(self.old.trees, self.new.trees)
        before, now = self.old.manifest, self.new.manifest
        prompts = tuple(self._prompts())
        # A prompt is told by its name; whatever else changed of its file is told of the file.
        apart = {path for prompt in prompts for path in (prompt.file, prompt.moved_from)}
        indexed = indexed_by((*before.specification.steps, *now.specification.steps))
        files = [file for file in changed if (file.path not in apart or _note(file)) and not indexed(file.path)]
        return ReleaseDiffView(
            app=now.app,
            release=now.digest,
            base=before.digest,
            prompts=prompts,
            model=tuple(_settings(_model(before), _model(now))),
            config=self._config(),
            flags=self._values("flags", lambda _, text: flag_values(text)),
            dependencies=tuple(self._dependencies(changed)),
            documents=_documents(changed, indexed),
            parts=tuple(self._parts(files, full)),
            settings=tuple(_settings(_specification(before), _specification(now))),
        )

    def _prompts(self) -> Iterator[PromptChange]:
        before, now = self.old.manifest.prompts, self.new.manifest.prompts
        for name in sorted({*before, *now}):
            was, is_now = before.get(name), now.get(name)
            if was == is_now:
                continue
            known = is_now or was
            assert known is not None
            entries = (self.old.file(was.file) if was else None, self.new.file(is_now.file) if is_now else None)
            variables = [set(prompt.variables) if prompt else set() for prompt in (was, is_now)]
            yield PromptChange(
                name,
                _change(was, is_now),
                known.file,
                self._text(*entries),
                tuple(sorted(variables[1] - variables[0])),
                tuple(sorted(variables[0] - variables[1])),
                was.file if was and is_now and was.file != is_now.file else "",
                was.version if was else "",
                is_now.version if is_now else "",
            )

    def _text(self, old: TreeEntry | None, new: TreeEntry | None, *, lines: bool = True) -> TextDiff:
        if old is not None and new is not None and old.digest == new.digest:
            return TextDiff()
        texts = []
        for entry in (old, new):
            if entry is not None and entry.digest not in self.contents:
                return TextDiff(hidden=f"{TOO_LARGE} ({size(entry.size_bytes)})")
            text = _decoded(self.contents[entry.digest]) if entry is not None else ""
            if text is None:
                return TextDiff(hidden=BINARY)
            texts.append(text)
        found = self.comparer.compare(*texts)
        return found if lines else replace(found, lines=())

    def _parts(self, changed: Sequence[Changed], full: bool) -> Iterator[PartChange]:
        for part in sorted({file.part for file in changed}):
            files = [
                FileChange(
                    file.path, _change(file.old, file.new), self._text(file.old, file.new, lines=full), _note(file)
                )
                for file in changed
                if file.part == part
            ]
            yield PartChange(part, tuple(files))

    def _dependencies(self, changed: Sequence[Changed]) -> Iterator[DependencyChange]:
        for file in changed:
            if not names_dependencies(file.path):
                continue
            before, now = (self._packages(file.path, entry) for entry in (file.old, file.new))
            if before is None or now is None:
                continue
            for name in sorted({*before, *now}):
                if before.get(name) != now.get(name):
                    yield DependencyChange(file.path, name, before.get(name), now.get(name))

    def _packages(self, path: str, entry: TreeEntry | None) -> Mapping[str, str] | None:
        """None: it cannot be read."""
        if entry is None:
            return {}
        text = _decoded(self.contents.get(entry.digest, b"\0"))
        return None if text is None else dependencies(path, text)

    def _config(self) -> tuple[SettingChange, ...]:
        """Plain data in trimtab.yaml, or those of a file whose format is known."""
        inline = [flat(side.manifest.specification.release.config or {}) for side in (self.old, self.new)]
        return (*_settings(*inline), *self._values("config_file", lambda path, text: flat(_parsed(path, text) or {})))

    def _values(self, setting: str, read: Callable[[str, str], Flat]) -> tuple[SettingChange, ...]:
        """What a file that the release names says on either side."""
        found: list[Flat] = []
        files: list[TreeEntry | None] = []
        for side in (self.old, self.new):
            path = getattr(side.manifest.specification.release, setting)
            entry = side.file(path) if path else None
            text = _decoded(self.contents[entry.digest]) if entry and entry.digest in self.contents else None
            files.append(entry)
            found.append(read(path, text) if text is not None else {})
        is_half_read = all(files) and not all(found)
        return () if is_half_read else tuple(_settings(*found))


def _documents(changed: Sequence[Changed], indexed: Callable[[str], Indexed | None]) -> tuple[DocumentChange, ...]:
    """A document whose results are all new is added, one of which none is left is removed."""
    found: dict[Indexed, set[str]] = {}
    for file in changed:
        if (document := indexed(file.path)) is not None:
            found.setdefault(document, set()).add(_change(file.old, file.new))
    return tuple(
        DocumentChange(*document, changes.pop() if len(changes) == 1 else "changed")
        for document, changes in sorted(found.items())
    )


def _change(old: object, new: object) -> str:
    return "added" if old is None else "removed" if new is None else "changed"


def _note(file: Changed) -> str:
    if file.old is None or file.new is None or file.old.mode == file.new.mode:
        return ""
    words = {"644": "a plain file", "755": "executable", "link": "a link"}
    return f"now {words[file.new.mode]}, before {words[file.old.mode]}"


def _decoded(content: bytes) -> str | None:
    try:
        return None if b"\0" in content else content.decode()
    except UnicodeDecodeError:
        return None


def _parsed(path: str, text: str) -> Any:
    """None: it is of another format, or broken."""
    try:
        if path.endswith(".toml"):
            return tomllib.loads(text)
        return json.loads(text) if path.endswith(".json") else None
    except (ValueError, RecursionError):
        return None


def _model(manifest: Manifest) -> Flat:
    files = {
        f"file {path}": json.dumps(f"{size(file.size_bytes)}, {short(file.digest)}")
        for path, file in manifest.model_files.items()
    }
    return {**flat(manifest.specification.release.model or {}), **files}


def _specification(manifest: Manifest) -> Flat:
    """Without what is told by itself, and without the paths that only put that into a part."""
    release = manifest.specification.release
    alone = {file for files in named_files(release).values() for file in files}
    parts = {name: tuple(path for path in paths if path not in alone) for name, paths in release.parts.items()}
    parts = {name: paths for name, paths in parts.items() if paths}
    examples = {
        f"release.prompts.{name}.example": json.dumps(dict(prompt.example), sort_keys=True, ensure_ascii=False)
        for name, prompt in release.prompts.items()
        if prompt.example
    }
    release = replace(release, parts=parts, model=None, config=None, prompts={})
    return {**flat(asdict(replace(manifest.specification, release=release))), **examples}


def _settings(old: Flat, new: Flat) -> Iterator[SettingChange]:
    for path in sorted({*old, *new}):
        if old.get(path) != new.get(path):
            yield SettingChange(path, old.get(path), new.get(path))
