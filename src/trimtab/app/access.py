"""What Git shows to read a private repository."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from trimtab.core.model.facts import AppRegistered
from trimtab.core.model.identity import app_object
from trimtab.ports.forge import Forges, ForgeSecrets
from trimtab.ports.store import Store


@dataclass(frozen=True, slots=True)
class GitAccess:
    """The headers with which Git may read what is at an address for an application: the token of its forge if the
    address is the forge's own, and nothing anywhere else."""

    store: Store
    forges: Forges
    secrets: ForgeSecrets

    def __call__(self, app: str, url: str) -> Mapping[str, str]:
        newest = self.store.facts(object_id=app_object(app), kinds=("AppRegistered",), newest_first=True, limit=1)
        source = next((recorded.fact for recorded in newest if isinstance(recorded.fact, AppRegistered)), None)
        asked = urlsplit(url)
        if source is None or source.forge is None or asked.scheme not in ("http", "https") or asked.username:
            return {}
        if _server(asked) != _server(urlsplit(self.forges.clone_url(source.forge))):
            return {}
        token = self.secrets.token(app)
        return {"Authorization": self.forges.git_authorization(source.forge, token)} if token else {}


def _server(url: SplitResult) -> tuple[str, str | None, int | None]:
    return url.scheme, url.hostname, url.port
