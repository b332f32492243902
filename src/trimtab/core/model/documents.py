"""Steps that work document by document: what is known of which document, and how results become one tree.

The results of document ``docs/a.md`` are the files below ``OUTPUT/docs/a.md/``. No file of a commit lies below another
one, so no two documents have the same folder, and the tree of all of them does not depend on when each was built.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from trimtab.core.model.identity import Digest
from trimtab.core.model.paths import matching
from trimtab.core.model.pipeline import LINK, DocumentCount, ForEachSpec, InputFile
from trimtab.core.model.release import canonical_json, digest_of
from trimtab.core.model.step_key import inputs_digest
from trimtab.core.model.tree import TreeEntry

LISTING = ".trimtab/documents"
"""The file of a step's workspace that has the paths of its documents, a line each, in UTF-8."""
LISTING_ENV = "TRIMTAB_DOCUMENTS"

Files = tuple[TreeEntry, ...]
"""The results of a document; their paths are those below its folder."""
Results = Mapping[Digest, Files]
"""By the documents' keys."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The files of a commit that a step sees which works document by document, sorted by path."""

    documents: tuple[InputFile, ...]
    keys: tuple[Digest, ...]
    """Of the documents, in their order."""
    others: tuple[InputFile, ...]
    attributes: tuple[InputFile, ...]
    """What says how Git writes the files of the commit."""

    @property
    def inputs(self) -> Digest:
        """What all is known by that decides the results but the documents."""
        return inputs_digest((*self.others, *self.attributes), ())


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be built, and what is known."""

    build: tuple[InputFile, ...]
    taken: Mapping[str, Files]
    """By the documents' paths."""

    @property
    def count(self) -> DocumentCount:
        return DocumentCount(len(self.build), len(self.taken))


def select(files: Sequence[InputFile], inputs: Sequence[str], for_each: ForEachSpec) -> Selection:
    """`inputs`: the step's, none meaning all files; what is a document is no input besides."""
    paths = [file.path for file in files]
    chosen = set(matching(paths, for_each.documents))
    seen = set(matching(paths, inputs)) if inputs else set(paths)
    documents = tuple(file for file in files if file.path in chosen)
    others = tuple(file for file in files if file.path in seen and file.path not in chosen)
    attributes = tuple(file for file in files if file.path.rpartition("/")[2] == ".gitattributes")
    return Selection(documents, tuple(map(document_key, documents)), others, attributes)


def document_key(document: InputFile) -> Digest:
    """What the results of a document are known by, beside the step's key."""
    # Not as JSON, which takes three times as long; and a name that is not UTF-8 is refused later, and in words.
    text = f"{document.content} {document.mode} {document.path}"
    return digest_of(text.encode("utf-8", "surrogateescape"))


def whole_key(key: Digest, documents: Sequence[Digest]) -> Digest:
    """What the outcome of the step is known by. `key`: see `step_key`, without documents."""
    return digest_of(canonical_json([key, *documents]))


def plan(selection: Selection, known: Results) -> Plan:
    """What is left to be done when so much is known."""
    build, taken = [], {}
    for document, key in zip(selection.documents, selection.keys, strict=True):
        if key in known:
            taken[document.path] = known[key]
        else:
            build.append(document)
    return Plan(tuple(build), taken)


def refused_by_name(documents: Iterable[InputFile]) -> Iterator[tuple[str, str]]:
    """The documents that no step can be given, with why."""
    for document in documents:
        if document.mode == LINK:
            yield document.path, "it is a symbolic link, and what it points to is no part of it"
        elif len(document.path.splitlines()) != 1:
            yield repr(document.path), "its name has a line break"
        elif any("\ud800" <= character <= "\udfff" for character in document.path):
            yield ascii(document.path), "its name is not UTF-8"


def why_no_text(content: bytes) -> str:
    """Why the bytes are no text; empty: they are."""
    if b"\0" in content:
        return "it is binary"
    try:
        content.decode()
    except UnicodeDecodeError as error:
        return f"it is not UTF-8 (byte {error.start + 1:,})"
    return ""


def listing(documents: Iterable[InputFile]) -> bytes:
    """The bytes of `LISTING`."""
    return "".join(f"{document.path}\n" for document in documents).encode()


def composed(output: str, results: Mapping[str, Files]) -> tuple[TreeEntry, ...]:
    """One tree of the results of all documents, which are given by their paths."""
    return tuple(
        TreeEntry(f"{output}/{document}/{file.path}", file.mode, file.digest, file.size_bytes)
        for document, files in results.items()
        for file in files
    )


def by_document(
    entries: Iterable[TreeEntry], output: str, documents: Collection[str]
) -> tuple[dict[str, Files], tuple[str, ...]]:
    """The reverse of `composed`: the results by the documents' paths, and the paths that belong to none of them."""
    below, known = f"{output}/", frozenset(documents)
    found: dict[str, list[TreeEntry]] = {}
    astray = []
    for entry in entries:
        owner = _owner(entry.path.removeprefix(below), known) if entry.path.startswith(below) else None
        if owner is None:
            astray.append(entry.path)
        else:
            inner = entry.path[len(below) + len(owner) + 1 :]
            found.setdefault(owner, []).append(TreeEntry(inner, entry.mode, entry.digest, entry.size_bytes))
    return {document: tuple(files) for document, files in found.items()}, tuple(astray)


def _owner(path: str, documents: frozenset[str]) -> str | None:
    """The document whose folder the path lies in."""
    while "/" in path:
        path = path.rpartition("/")[0]
        if path in documents:
            return path
    return None
