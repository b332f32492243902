"""Text to the Kubernetes objects in it, each with the places of all that it says.

Every YAML document is read by itself: `trimtab.config.syntax` bounds its size, depth and aliases.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from trimtab.config.flaws import Flaw, Unreadable
from trimtab.config.nodes import ListNode, MappingNode, Path, Place, ScalarNode
from trimtab.config.syntax import MAX_BYTES, read
from trimtab.core.errors import Problem, TrimtabError, failure

MAX_DOCUMENTS = 500

# A line that begins so ends a document wherever it stands: no scalar may hold one (YAML 1.2, 9.1.2).
_BOUNDARY = re.compile(r"(?:---|\.\.\.)(?=\s|$)")
_NOTHING = re.compile(r"(?:\s|#[^\n]*(?:\n|$)|^%[^\n]*(?:\n|$))*", re.MULTILINE)
_HELM = re.compile(
    r"""\{\{-?\s*(?:\.(?:Values|Release|Chart|Capabilities|Files|Template)\b|(?:include|toYaml|tpl)\s|["`]\{\{)"""
)
_MAYBE_HELM = re.compile(r"\{\{-?\s*(?:\.|\$|/\*|(?:if|else|end|range|with|define|template|block)\b)")
_LINE_IN_MESSAGE = re.compile(r"(?<=\bline )[0-9]+")
_LISTS = re.compile(r"(?:|Rollout|AnalysisTemplate|ClusterAnalysisTemplate)List")
_RENDER = "render it first: `helm template CHART | trimtab import argo-rollouts -`"


@dataclass(frozen=True, slots=True)
class Source:
    """A file's name, as people should see it, and what it holds (bytes: UTF-8)."""

    name: str
    text: str | bytes


@dataclass(frozen=True, slots=True)
class Document:
    """One Kubernetes object. `number` counts all objects of the input, `before` the lines of the file that come before
    the text that the nodes were made of; `way` leads from that text's root to the object, for one in a `List`."""

    number: int
    file: str
    before: int
    root: MappingNode
    way: Path = ()

    @property
    def kind(self) -> str:
        return self._text("kind")

    @property
    def api(self) -> str:
        return self._text("apiVersion")

    @property
    def name(self) -> str:
        metadata = self.root.values.get("metadata")
        found = metadata.values.get("name") if isinstance(metadata, MappingNode) else None
        return found.written if isinstance(found, ScalarNode) else ""

    @property
    def title(self) -> str:
        """``Rollout/shop``."""
        return f"{self.kind or 'no kind'}/{self.name}" if self.name else self.kind or "no kind"

    def where(self, place: Place) -> str:
        """``file:line:column``."""
        return f"{self.file}:{place.line + self.before}:{place.column}"

    def _text(self, key: str) -> str:
        found = self.root.values.get(key)
        return found.written if isinstance(found, ScalarNode) else ""


def documents(sources: Sequence[Source]) -> list[Document]:
    """All objects of all files, in their order. Raises `TrimtabError`, with the place, for what cannot be read."""
    found: list[Document] = []
    for source in sources:
        for before, chunk in _chunks(_decoded(source)):
            root = _read(source.name, before, chunk)
            found += _objects(Document(len(found), source.name, before, root))
            if len(found) > MAX_DOCUMENTS:
                hint = "give only the Rollout, its AnalysisTemplates and what its workloadRef names"
                raise failure("import-too-large", f"these are more than {MAX_DOCUMENTS} objects", hint, source.name)
    return found


def _decoded(source: Source) -> str:
    if len(source.text) > MAX_BYTES:
        hint = "give only the Rollout, its AnalysisTemplates and what its workloadRef names"
        raise failure("import-too-large", "the file is larger than 1 MiB", hint, f"{source.name}:1:1")
    if isinstance(source.text, bytes):
        try:
            text = source.text.decode()
        except UnicodeDecodeError as error:
            line = source.text[: error.start].count(b"\n") + 1
            message = f"the byte 0x{source.text[error.start]:02X} is not UTF-8"
            raise failure("import-syntax", message, "save the file as UTF-8", f"{source.name}:{line}:1") from None
    else:
        text = source.text
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    _refuse_templates(source.name, text, _HELM)
    return text


def _refuse_templates(name: str, text: str, what: re.Pattern[str]) -> None:
    """A template of Helm is no YAML yet, even where it happens to look like it."""
    for number, line in enumerate(text.split("\n"), 1):
        found = what.search(line)
        if found and not line.lstrip().startswith("#"):
            where = f"{name}:{number}:{found.start() + 1}"
            raise failure("import-template", "this is a template of Helm, not yet a Rollout", _RENDER, where)


def _chunks(text: str) -> Iterator[tuple[int, str]]:
    """The documents of a stream that hold anything, each with the number of lines before it."""
    lines = text.split("\n")
    begins = [0]
    for number, line in enumerate(lines):
        if _BOUNDARY.match(line):
            begins.append(number)
            lines[number] = "   " + line[3:]
    for begin, end in zip(begins, [*begins[1:], len(lines)], strict=True):
        chunk = "\n".join(lines[begin:end])
        empty = _NOTHING.match(chunk)
        if empty is not None and empty.end() == len(chunk):
            continue
        yield begin, re.sub(r"(?m)^%.*", "", chunk)


def _read(name: str, before: int, chunk: str) -> MappingNode:
    try:
        root, flaws = read(chunk)
    except Unreadable as error:
        root, flaws = None, (error.flaw,)
    if root is not None and not flaws:
        return root
    _refuse_templates(name, "\n" * before + chunk, _MAYBE_HELM)
    raise TrimtabError(*(_problem(name, before, flaw) for flaw in sorted(flaws, key=lambda flaw: flaw.place)))


def _problem(name: str, before: int, flaw: Flaw) -> Problem:
    where = f"{name}:{flaw.place.line + before}:{flaw.place.column}"
    if flaw.code in ("config-not-a-mapping", "config-empty"):
        hint = "it begins with `apiVersion:` and `kind:`"
        return Problem("import-no-object", "this is no Kubernetes object", hint, where)
    message = _LINE_IN_MESSAGE.sub(lambda found: str(int(found[0]) + before), flaw.message)
    return Problem("import-" + flaw.code.removeprefix("config-"), message, flaw.hint, where)


def _objects(document: Document) -> Iterator[Document]:
    """The document, and what it lists."""
    yield document
    items = document.root.values.get("items")
    if not _LISTS.fullmatch(document.kind) or not isinstance(items, ListNode):
        return
    number = document.number
    for index, item in enumerate(items.items):
        if isinstance(item, MappingNode):
            number += 1
            yield replace(document, number=number, root=item, way=("items", index))


def is_list(document: Document) -> bool:
    """Whether it only lists others."""
    return bool(_LISTS.fullmatch(document.kind)) and isinstance(document.root.values.get("items"), ListNode)
