"""What the API needs of the world. It appends facts and reads; it never decides and never acts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from trimtab.core.errors import Problem
from trimtab.core.model.facts import Recorded
from trimtab.ports.artifacts import Artifacts
from trimtab.ports.clock import Clock
from trimtab.ports.git_http import GitHttp
from trimtab.ports.measurements import Measurements
from trimtab.ports.processes import Processes
from trimtab.ports.runtime import Runtime
from trimtab.ports.source import Source
from trimtab.ports.store import Store
from trimtab.views.board import Board


@dataclass(frozen=True, slots=True)
class Services:
    """Ports and settings of one API. `wake` tells the engine that a fact was appended; it may be lost."""

    store: Store
    clock: Clock
    source: Source
    artifacts: Artifacts
    runtime: Runtime
    processes: Processes
    measurements: Measurements
    git_http: GitHttp
    token: str
    url: str
    version: str
    wake: Callable[[], None]
    troubles: Callable[[], tuple[Problem, ...]] = lambda: ()
    """What is wrong with the installation as a whole, now."""
    _board: Board = field(default_factory=Board)

    def board(self) -> Board:
        """The board with every fact recorded so far."""
        while facts := self.store.facts(after=self._board.seq, limit=5000):
            self._board.apply(facts)
        return self._board

    def append(self, *facts: Recorded) -> None:
        self.store.append(facts, self.clock.now())
        self.wake()


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


Wired = Annotated[Services, Depends(_services)]
"""What an endpoint declares to get the services of the API it belongs to."""
