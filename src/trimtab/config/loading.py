"""`trimtab.yaml` to a `Specification`, or all its problems at once."""

from __future__ import annotations

from trimtab.config.checks import check
from trimtab.config.compiling import compile_file
from trimtab.config.configuration import ConfigurationFile
from trimtab.config.expanding import expanded
from trimtab.config.flaws import Flaw, Unreadable
from trimtab.config.nodes import Place
from trimtab.config.syntax import read
from trimtab.config.templates import Files, unread
from trimtab.config.validation import validate
from trimtab.core.errors import Problem, TrimtabError
from trimtab.core.model.specification import Specification


def load(text: str | bytes, filename: str = "trimtab.yaml", files: Files = unread) -> Specification:
    """The specification in `text` (bytes: as they stand in the file, UTF-8). `files`: how templates of steps are read;
    a step whose template nobody can read is taken for one that does nothing.

    Raises `TrimtabError` with every problem in the order of the file; `where` is ``file:line:column``, from 1.
    Needs a few milliseconds for a usual file; text that is made to be slow is given up within seconds.
    """
    try:
        root, misread = read(_decoded(text))
    except Unreadable as error:
        raise TrimtabError(_problem(error.flaw, filename)) from None
    root, unexpanded, gates = expanded(root, files)
    file, invalid = validate(root, ConfigurationFile)
    found = {*misread, *unexpanded, *invalid, *check(root)}
    flaws = sorted(found, key=lambda flaw: (flaw.place.file, flaw.place, flaw.message))
    if flaws or file is None:
        raise TrimtabError(*(_problem(flaw, filename) for flaw in flaws))
    return compile_file(file, gates)


def _decoded(text: str | bytes) -> str:
    if isinstance(text, str):
        return text
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        before = text[: error.start]
        column = len(before[before.rfind(b"\n") + 1 :].decode()) + 1
        message = f"the byte 0x{text[error.start]:02X} is not UTF-8"
        place = Place(before.count(b"\n") + 1, column)
        raise Unreadable(Flaw(place, "config-syntax", message, "save the file as UTF-8")) from None


def _problem(flaw: Flaw, filename: str) -> Problem:
    where = f"{flaw.place.file or filename}:{flaw.place.line}:{flaw.place.column}"
    return Problem(flaw.code, flaw.message, flaw.hint, where)
