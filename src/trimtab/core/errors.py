"""What can go wrong, said once: what it is, where, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass

from trimtab.core.say import printable


@dataclass(frozen=True, slots=True)
class Problem:
    """Something wrong that a person should know about.

    `code` is a stable kebab-case name, `message` a sentence, `hint` the next step (may be empty),
    `where` the place (``file:line:column``, an object's id, a port; may be empty).
    """

    code: str
    message: str
    hint: str = ""
    where: str = ""

    def __post_init__(self) -> None:
        # Others' words end up here: answers of endpoints, last lines of logs.
        for name in ("message", "hint", "where"):
            object.__setattr__(self, name, printable(getattr(self, name)))

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        hint = f" ({self.hint})" if self.hint else ""
        return f"{place}{self.message}{hint}"


class TrimtabError(Exception):
    """An error that carries one or more Problems, fit to be shown to a user as it is."""

    def __init__(self, *problems: Problem) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems

    @property
    def problem(self) -> Problem:
        """The first problem."""
        return self.problems[0]


class StaleFence(TrimtabError):
    """Someone newer holds the object: whatever was about to be done must not be done."""

    held: int = 0
    """The fence that is known already."""


def stale_fence(what: str, held: int, offered: int) -> StaleFence:
    """The error for an instruction that carries fence `offered` where `held` is already known."""
    said = f"{what}: instruction with fence {offered} came after fence {held}; it was not carried out"
    error = StaleFence(Problem("stale-fence", said))
    error.held = held
    return error


def failure(code: str, message: str, hint: str = "", where: str = "") -> TrimtabError:
    """A TrimtabError with one Problem."""
    return TrimtabError(Problem(code, message, hint, where))
