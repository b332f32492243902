"""Which document of an index a file is a result of."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable

from trimtab.core.model.paths import matching
from trimtab.core.model.pipeline import StepSpec

Indexed = tuple[str, str]
"""The index, which is the folder that a step builds document by document, and the document."""


def indexed_by(steps: Iterable[StepSpec]) -> Callable[[str], Indexed | None]:
    """By the path of a file; None: it is in no index, or it cannot be told which document it is of."""
    indexes = [
        (posixpath.normpath(step.outputs[0]), step.for_each.documents)
        for step in steps
        if step.for_each is not None and step.outputs
    ]

    def find(path: str) -> Indexed | None:
        for index, documents in indexes:
            if path.startswith(f"{index}/"):
                document = _document(path[len(index) + 1 :], documents)
                return (f"{index}/", document) if document else None
        return None

    return find


def _document(path: str, documents: tuple[str, ...]) -> str:
    """A document's results are below its own path: of those above the file, the first that is a document's and has an
    ending, since a pattern may mean whole folders."""
    pieces = path.split("/")[:-1]
    above = ["/".join(pieces[: end + 1]) for end in range(len(pieces))]
    return next((each for each in matching(above, documents) if "." in posixpath.basename(each)), "")
