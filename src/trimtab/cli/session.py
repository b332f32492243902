"""One command's connection to its server, made when it is first needed."""

from __future__ import annotations

import getpass
import os
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from trimtab.client.client import TrimtabClient
    from trimtab.views.model import AppView


class Session:
    """What the options say, with the rest found when asked for."""

    def __init__(
        self, url: str | None, token: str | None, home: str | None, app: str | None, environment: str | None
    ) -> None:
        self._url, self._token, self._home = url, token, home
        self._app, self._environment = app, environment
        self._folder = Path.cwd()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        if "client" in vars(self):
            self.client.close()

    @cached_property
    def client(self) -> TrimtabClient:
        from trimtab.cli.find import find_server
        from trimtab.client.client import TrimtabClient

        server = find_server(self._url, self._token, self._home, os.environ, self._folder)
        actor = os.environ.get("TRIMTAB_ACTOR") or _user()
        return TrimtabClient(server.url, server.token, actor, waiting=lambda: _say_waiting(server.url))

    @property
    def wanted_app(self) -> str | None:
        """What `--app` says: commands over all applications show only this one then."""
        return self._app

    @property
    def wanted_environment(self) -> str | None:
        """What `--env` says."""
        return self._environment

    @cached_property
    def app(self) -> str:
        """The application that is talked about."""
        from trimtab.cli.find import choose_app, configured_app

        known = self._app or configured_app(self._folder)
        return known or choose_app([app.name for app in self.client.status().apps])

    @cached_property
    def environment(self) -> str:
        """The environment that is talked about."""
        from trimtab.cli.find import choose_environment

        view: AppView = self.client.app(self.app)
        return choose_environment(self._environment, view)


def _say_waiting(url: str) -> None:
    from trimtab.cli.output import say

    say(f"waiting for {url}, which does not answer (`trimtab doctor` tells why)")


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user id without a name, as in many containers
        return f"uid {os.getuid()}"
