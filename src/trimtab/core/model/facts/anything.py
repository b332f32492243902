"""What may happen to any object."""

from __future__ import annotations

from dataclasses import dataclass

from trimtab.core.errors import Problem
from trimtab.core.model.facts.base import Fact


@dataclass(frozen=True, slots=True)
class ActionDone(Fact):
    """An action without a fact of its own was carried out."""

    action: str
    kind: str


@dataclass(frozen=True, slots=True)
class ActionFailed(Fact):
    """An action could not be carried out; the object's decision says what follows."""

    action: str
    kind: str
    problem: Problem


@dataclass(frozen=True, slots=True)
class ProblemFound(Fact):
    """Something is wrong with the object; it stays wrong until the same code is cleared."""

    problem: Problem


@dataclass(frozen=True, slots=True)
class ProblemCleared(Fact):
    code: str
