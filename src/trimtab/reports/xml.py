"""XML from people who may mean harm: read as a stream, without entities, and not nested deep.

Expat alone would expand entities (a few lines grow to gigabytes) and ask for files and addresses that they name.
A document type may be named, as coverage reports do; it is not looked at, and it may declare nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol
from xml.parsers import expat

from trimtab.reports.unreadable import Unreadable, shortened

MOST_DEPTH = 100
_CHUNK_BYTES = 256 * 1024


class Handler(Protocol):
    """Is told of each element. Names are without namespaces."""

    def begin(self, name: str, attributes: Mapping[str, str]) -> None: ...

    def text(self, text: str) -> None: ...

    def end(self, name: str) -> None: ...


def parse(path: Path, handler: Handler) -> None:
    """Tell `handler` of all elements of the file. Raises `Unreadable`, OSError."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    depth = 0

    def begin(name: str, attributes: dict[str, str]) -> None:
        nonlocal depth
        depth += 1
        if depth > MOST_DEPTH:
            raise Unreadable(f"line {parser.CurrentLineNumber}: its elements are nested more than {MOST_DEPTH} deep")
        handler.begin(_local(name), attributes)

    def end(name: str) -> None:
        nonlocal depth
        depth -= 1
        handler.end(_local(name))

    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler = handler.text
    parser.EntityDeclHandler = _refuse(parser, "declares an entity")
    parser.UnparsedEntityDeclHandler = _refuse(parser, "declares an entity")
    parser.ExternalEntityRefHandler = _refuse(parser, "refers to another file")
    _feed(parser, path)


def _feed(parser: expat.XMLParserType, path: Path) -> None:
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                parser.Parse(chunk, False)
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        place = f"line {error.lineno}, column {error.offset + 1}"
        raise Unreadable(f"{place}: it is no XML ({expat.errors.messages.get(error.code, 'malformed')})") from None
    except (ValueError, LookupError) as error:
        # An encoding that nobody knows, or that takes more than one byte for a character.
        raise Unreadable(f"its encoding is not supported ({shortened(str(error))})") from None


def _refuse(parser: expat.XMLParserType, what: str) -> Callable[..., Any]:
    def refuse(*_: object) -> None:
        raise Unreadable(f"line {parser.CurrentLineNumber}: it {what}, which no report needs")

    return refuse


def _local(name: str) -> str:
    return name.rpartition(":")[2]
