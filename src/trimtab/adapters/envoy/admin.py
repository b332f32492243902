"""Envoy's administration interface: what it really holds."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from trimtab.adapters.envoy.unix_http import UnixHttp
from trimtab.core.errors import failure

_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Host:
    """An instance as Envoy sees it: where it listens, and how many of its requests are under way."""

    address: Mapping[str, Any]
    is_draining: bool
    active_requests: int


def _host(status: Mapping[str, Any]) -> Host:
    is_draining = status.get("health_status", {}).get("eds_health_status") == "DRAINING"
    gauges = {stat["name"]: int(stat.get("value", 0)) for stat in status.get("stats", [])}
    return Host(status["address"], is_draining, gauges.get("rq_active", 0))


def _why(error: OSError) -> str:
    """An OSError has words for it, a timeout has none."""
    return f"it said nothing for {_TIMEOUT_S:g} s" if isinstance(error, TimeoutError) else str(error)


class Admin:
    """Questions to a running Envoy. Each raises `TrimtabError` (`gateway-down`) when Envoy does not answer."""

    def __init__(self, socket_path: str) -> None:
        self._http = UnixHttp(socket_path, _TIMEOUT_S)

    def close(self) -> None:
        self._http.close()

    async def is_live(self) -> bool:
        """Whether Envoy has finished its start."""
        return await self._text("GET", "/ready") == "LIVE\n"

    async def stats(self, names: Collection[str]) -> Mapping[str, str]:
        """The statistics of these names, those that exist, as text."""
        pattern = "^(" + "|".join(re.escape(name) for name in names) + ")$"
        text = await self._text("GET", "/stats", filter=pattern)
        pairs = (line.partition(": ") for line in text.splitlines())
        return {name: value.strip('"') for name, _, value in pairs}

    async def listening(self, name: str) -> Mapping[str, Any] | None:
        """The address on which the listener of this name accepts connections."""
        listeners = await self._json("/listeners", format="json")
        for status in listeners.get("listener_statuses", []):
            if status["name"] == name:
                address: Mapping[str, Any] = status["local_address"]
                return address
        return None

    async def route_configuration(self, name: str) -> Mapping[str, Any] | None:
        """The route configuration in force; None when there is none of this name."""
        query = {"resource": "dynamic_route_configs", "name_regex": f"^{re.escape(name)}$"}
        configurations = (await self._json("/config_dump", **query)).get("configs", [])
        return configurations[0]["route_config"] if configurations else None

    async def hosts(self, environment_name: str) -> Mapping[str, list[Host]]:
        """The hosts of each of the environment's clusters."""
        pattern = rf"^{re.escape(environment_name)}\.[0-9a-f]+(@.*)?$"
        statuses = (await self._json("/clusters", format="json", filter=pattern)).get("cluster_statuses", [])
        return {s["name"]: [_host(host) for host in s.get("host_statuses", [])] for s in statuses}

    async def runtime(self) -> Mapping[str, str]:
        """All runtime keys with the values in force."""
        entries = (await self._json("/runtime", format="json"))["entries"]
        return {key: entry["final_value"] for key, entry in entries.items()}

    async def reopen_logs(self) -> None:
        await self._text("POST", "/reopen_logs")

    async def stop_accepting(self) -> None:
        """Close the listeners; requests in flight go on, their connections end with them."""
        await self._text("POST", "/healthcheck/fail")
        await self._text("POST", "/drain_listeners")

    async def _json(self, path: str, **query: str) -> dict[str, Any]:
        body = await self._request("GET", path, query)
        # A query that nothing matches (there is no route yet) is answered with a sentence instead of JSON.
        answer: dict[str, Any] = json.loads(body) if body.startswith(b"{") else {}
        return answer

    async def _text(self, method: str, path: str, **query: str) -> str:
        return (await self._request(method, path, query)).decode()

    async def _request(self, method: str, path: str, query: Mapping[str, str]) -> bytes:
        try:
            return await self._http.request(method, path, query)
        except OSError as error:
            raise failure(
                "gateway-down",
                f"the gateway (Envoy) does not answer: {_why(error)}",
                "if it died it is started again by itself; else `trimtab doctor gateway` tells why",
            ) from error
