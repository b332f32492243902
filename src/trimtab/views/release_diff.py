"""What one release changes against another, as people read it: prompts, model, files, settings, one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from trimtab.core.model.identity import Digest
from trimtab.core.model.release import FileVersion, Part, PromptVersion
from trimtab.views.model import ReleaseView


@dataclass(frozen=True, slots=True)
class DiffLine:
    """`op`: ``-`` only before, ``+`` only now, a space in both, ``~`` stands for lines that are left out."""

    op: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class TextDiff:
    """How a text changed. `hidden`: why there are no lines, if that is not because nobody asked for them."""

    added: int = 0
    removed: int = 0
    lines: tuple[DiffLine, ...] = ()
    hidden: str = ""


@dataclass(frozen=True, slots=True)
class FileChange:
    """`change`: added | removed | changed. `note`: what changed besides its content."""

    path: str
    change: str
    text: TextDiff = field(default_factory=TextDiff)
    note: str = ""


@dataclass(frozen=True, slots=True)
class PartChange:
    """The files of one part, but for prompts, documents and what else is told by itself."""

    name: str
    files: tuple[FileChange, ...]


@dataclass(frozen=True, slots=True)
class DocumentChange:
    """One document of an index, however many files its results are. `index`: the folder that a step has built document
    by document; `change`: added | removed | changed."""

    index: str
    document: str
    change: str


@dataclass(frozen=True, slots=True)
class PromptChange:
    """`change`: added | removed | changed. `moved_from`: the file that it was in before, if that was another one."""

    name: str
    change: str
    file: str
    text: TextDiff
    variables_added: tuple[str, ...] = ()
    variables_removed: tuple[str, ...] = ()
    moved_from: str = ""
    old: Digest = ""
    new: Digest = ""


@dataclass(frozen=True, slots=True)
class SettingChange:
    """A value as JSON; None: it is not there."""

    path: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class DependencyChange:
    """A package that `file` names, with its version or range; None: it is not there."""

    file: str
    name: str
    old: str | None
    new: str | None


@dataclass(frozen=True, slots=True)
class ReleaseDiffView:
    """What `release` changes against `base`."""

    app: str
    release: Digest
    base: Digest
    prompts: tuple[PromptChange, ...] = ()
    model: tuple[SettingChange, ...] = ()
    config: tuple[SettingChange, ...] = ()
    flags: tuple[SettingChange, ...] = ()
    dependencies: tuple[DependencyChange, ...] = ()
    documents: tuple[DocumentChange, ...] = ()
    parts: tuple[PartChange, ...] = ()
    settings: tuple[SettingChange, ...] = ()
    """Of trimtab.yaml, but for what is told above."""

    @property
    def is_empty(self) -> bool:
        told = (self.prompts, self.model, self.config, self.flags, self.dependencies, self.documents, self.parts)
        return not any((*told, self.settings))


@dataclass(frozen=True, slots=True)
class ReleaseDetailView:
    """One release with all that it is made of."""

    release: ReleaseView
    parts: Mapping[str, Part]
    prompts: Mapping[str, PromptVersion] = field(default_factory=dict)
    model: Mapping[str, str] = field(default_factory=dict)
    """Its fields and parameters, each as JSON."""
    model_files: Mapping[str, FileVersion] = field(default_factory=dict)
    config: str = ""
    """Which file has it, or ``trimtab.yaml``."""
    flags: str = ""
    size_bytes: int = 0
