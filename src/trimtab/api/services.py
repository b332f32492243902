"""What the API needs of the world. It appends facts and reads; it never decides and never acts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from trimtab.api.live_board import LiveBoard
from trimtab.core.errors import Problem
from trimtab.core.model.facts import AppRegistered, Recorded
from trimtab.core.model.identity import Digest, ObjectId, app_object
from trimtab.ports.artifacts import Artifacts
from trimtab.ports.clock import Clock
from trimtab.ports.forge import Forges, ForgeSecrets
from trimtab.ports.git_http import GitHttp
from trimtab.ports.measurements import Measurements
from trimtab.ports.processes import Processes
from trimtab.ports.runtime import Runtime
from trimtab.ports.secrets import SecretStore
from trimtab.ports.source import Source
from trimtab.ports.store import Store
from trimtab.views.board import Board
from trimtab.views.model import ControllerView
from trimtab.views.verification import VerificationView


@dataclass(frozen=True, slots=True)
class Services:
    """Ports and settings of one API. `wake` tells the engine which object a fact was appended for; it may be
    lost."""

    store: Store
    clock: Clock
    source: Source
    artifacts: Artifacts
    runtime: Runtime
    processes: Processes
    measurements: Measurements
    git_http: GitHttp
    forges: Forges
    forge_secrets: ForgeSecrets
    secret_store: SecretStore
    token: str
    url: str
    public_url: str
    """Where forges reach the API."""
    version: str
    wake: Callable[[ObjectId], None]
    verify: Callable[[str, Digest], Awaitable[VerificationView]]
    """Verifies a release of an application to the last byte."""
    troubles: Callable[[], tuple[Problem, ...]] = lambda: ()
    """What is wrong with the installation as a whole, now."""
    controllers: Callable[[], tuple[ControllerView, ...]] = lambda: ()
    """Who runs the installation."""
    _board: LiveBoard = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_board", LiveBoard(self.store))

    def board(self) -> Board:
        """The board with every fact recorded so far."""
        return self._board.now()

    async def keep_board(self) -> None:
        """Open the board before somebody asks, and keep snapshots of it, until cancelled."""
        await self._board.keep(self.clock)

    def append(self, *facts: Recorded) -> bool:
        """Whether one of them was new."""
        appended = self.store.append(facts, self.clock.now())
        for recorded in appended:
            self.wake(recorded.object)
        return bool(appended)

    def registered(self, app: str) -> AppRegistered | None:
        """Where the application's changes come from; None: there is no such application."""
        place = app_object(app)
        newest = self.store.facts(object_id=place, kinds=("AppRegistered",), newest_first=True, limit=1)
        return next((recorded.fact for recorded in newest if isinstance(recorded.fact, AppRegistered)), None)


def _services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


Wired = Annotated[Services, Depends(_services)]
"""What an endpoint declares to get the services of the API it belongs to."""
