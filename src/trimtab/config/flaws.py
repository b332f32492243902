"""What is wrong with a file, and at which place."""

from __future__ import annotations

from dataclasses import dataclass

from trimtab.config.nodes import Place


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something wrong at a place of the file."""

    place: Place
    code: str
    message: str
    hint: str = ""


class Unreadable(Exception):
    """The text cannot be read any further."""

    def __init__(self, flaw: Flaw) -> None:
        super().__init__(flaw.message)
        self.flaw = flaw
