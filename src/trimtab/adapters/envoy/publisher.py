"""Hands documents to Envoy and reads back that it holds them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from trimtab.adapters.envoy.access_log import Document
from trimtab.adapters.envoy.admin import Admin
from trimtab.adapters.envoy.bootstrap import CLUSTERS_FILE, LISTENERS_FILE
from trimtab.adapters.envoy.files import Files, Published, published
from trimtab.adapters.envoy.names import cluster_name, endpoints_file, environment_name, routes_file
from trimtab.core.errors import TrimtabError, failure
from trimtab.core.model.identity import ArmId, EnvironmentId
from trimtab.ports.clock import Clock

HOLD_TIMEOUT_S = 5.0
"""How long Envoy may take to hold what it was given; enough for it to be restarted meanwhile."""

_FIRST_POLL_S = 0.002
_SLOWEST_POLL_S = 0.05
_WARMING = "cluster_manager.warming_clusters"


@dataclass(frozen=True, slots=True)
class Update:
    """A file, and the prefix of the statistics in which Envoy says what it holds of it."""

    file: Published
    stats_prefix: str

    @property
    def version_stat(self) -> str:
        return f"{self.stats_prefix}.version_text"

    @property
    def rejected_stat(self) -> str:
        return f"{self.stats_prefix}.update_rejected"


def listeners_update(listeners: Iterable[Document]) -> Update:
    return Update(published(LISTENERS_FILE, _by_name(listeners)), "listener_manager.lds")


def clusters_update(clusters: Iterable[Document]) -> Update:
    return Update(published(CLUSTERS_FILE, _by_name(clusters)), "cluster_manager.cds")


def routes_update(environment: EnvironmentId, document: Document) -> Update:
    name = environment_name(environment)
    return Update(published(routes_file(environment), [document]), f"http.{name}.rds.{name}")


def endpoints_update(environment: EnvironmentId, arm: ArmId, document: Document) -> Update:
    file = published(endpoints_file(environment, arm), [document])
    return Update(file, f"cluster.{cluster_name(environment, arm)}")


def _by_name(resources: Iterable[Document]) -> list[Document]:
    return sorted(resources, key=lambda resource: str(resource["name"]))


class Publisher:
    """Writes what Envoy does not hold yet, and waits until it does."""

    def __init__(self, files: Files, admin: Admin, clock: Clock, last_refusal: Callable[[], str]) -> None:
        """`last_refusal` gives the reason that Envoy logged last: it says it nowhere else."""
        self._files = files
        self._admin = admin
        self._clock = clock
        self._last_refusal = last_refusal

    async def publish(self, updates: Sequence[Update]) -> None:
        """Returns when Envoy holds all of it. Raises `TrimtabError` (`gateway-refused`, `gateway-down`)."""
        before = await self._stats(updates)
        for update in updates:
            unchanged = self._files.read(update.file.path) == update.file.content
            if not unchanged or before.get(update.version_stat) != update.file.version:
                self._files.replace(update.file.path, update.file.content)

        async def holds_all() -> bool:
            stats = await self._stats(updates)
            for update in updates:
                if int(stats.get(update.rejected_stat, 0)) > int(before.get(update.rejected_stat, 0)):
                    raise self._refused(update)
            held = all(stats.get(update.version_stat) == update.file.version for update in updates)
            return held and stats.get(_WARMING) == "0"

        await self.until(holds_all)

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        """Poll until the condition holds. Raises `TrimtabError` (`gateway-refused`, or `gateway-down` when Envoy does
        not answer) after HOLD_TIMEOUT_S."""
        deadline = self._clock.now() + HOLD_TIMEOUT_S
        pause_s = _FIRST_POLL_S
        while not await condition():
            if self._clock.now() > deadline:
                await self._admin.is_live()
                raise failure(
                    "gateway-refused",
                    f"the gateway (Envoy) did not take its new configuration within {HOLD_TIMEOUT_S:g} s",
                    self._last_refusal(),
                )
            await self._clock.sleep(pause_s)
            pause_s = min(pause_s * 1.5, _SLOWEST_POLL_S)

    async def _stats(self, updates: Sequence[Update]) -> Mapping[str, str]:
        """What Envoy says of the updates; nothing while it is down, for it may be on its way back."""
        names = [_WARMING, *(stat for update in updates for stat in (update.version_stat, update.rejected_stat))]
        try:
            return await self._admin.stats(names)
        except TrimtabError:
            return {}

    def _refused(self, update: Update) -> TrimtabError:
        return failure(
            "gateway-refused",
            f"the gateway (Envoy) refused the new {update.file.path}",
            self._last_refusal(),
        )
