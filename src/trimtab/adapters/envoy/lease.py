"""The dead man's switch: the candidates' shares, pushed to Envoy as one runtime layer that dies unless renewed.

Two clocks guard a share. Envoy drops the layer LEASE_TTL_S after the last push, so it survives neither this process
nor its connection. And since one layer carries every environment, each share also ends here LEASE_TTL_S after *its*
last renewal: nobody's renewals keep another's share alive.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio

from trimtab.adapters.envoy import wire
from trimtab.adapters.envoy.bootstrap import LEASE_LAYER
from trimtab.core.model.identity import EnvironmentId
from trimtab.core.model.traffic import Share
from trimtab.ports.traffic import LEASE_TTL_S


@dataclass(frozen=True, slots=True)
class Granted:
    """What was granted, under which lease, and until when on the event loop's clock (seconds)."""

    lease: str
    share: Share
    until_s: float


_PATIENT_WITH_PINGS = (
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_ping_interval_without_data_ms", 500),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 500),
    ("grpc.http2.max_ping_strikes", 0),
)
"""Envoy asks every second whether we are still there."""

_STREAMS_END_WITHIN_S = 0.5

LayerOf = Callable[[Mapping[EnvironmentId, Granted]], Mapping[str, int]]
"""The runtime keys that put the shares in force."""


class LeaseServer:
    """Envoy's discovery server for the one runtime layer that holds all shares.

    `layer_of` is asked at every push, so that a share takes hold when the route that names its lease comes later.
    Time is the event loop's: a wall clock that is set back must not prolong a share.
    """

    def __init__(self, layer_of: LayerOf) -> None:
        self._layer_of = layer_of
        self._granted: dict[EnvironmentId, Granted] = {}
        self._streams: set[asyncio.Event] = set()
        self._pushes = 0
        self._is_closing = False
        self._expiry: asyncio.TimerHandle | None = None
        self._server: grpc.aio.Server | None = None

    async def start(self, socket_path: str) -> None:
        """Listen on a unix socket; a socket that a dead controller left there is replaced."""
        self._is_closing = False
        self._server = grpc.aio.server(options=_PATIENT_WITH_PINGS)
        self._server.add_generic_rpc_handlers((_Handler(self._stream),))
        self._server.add_insecure_port(f"unix:{socket_path}")
        await self._server.start()

    async def close(self) -> None:
        """Stop renewing. Shares in force end by their own time in Envoy."""
        if self._expiry is not None:
            self._expiry.cancel()
        self._granted, self._is_closing = {}, True
        for stream in self._streams:
            stream.set()
        if self._server is not None:
            await self._server.stop(grace=_STREAMS_END_WITHIN_S)
            self._server = None

    def grant(self, environment: EnvironmentId, lease: str, share: Share) -> None:
        """Grant or renew a share and push it; an empty one takes it away."""
        if share.total_pct > 0 or share.mirror_pct > 0:
            until_s = asyncio.get_running_loop().time() + LEASE_TTL_S
            self._granted[environment] = Granted(lease, share, until_s)
        else:
            self._granted.pop(environment, None)
        self.push()

    def push(self) -> None:
        """Tell every connected Envoy at once, and come back when the next share ends."""
        self._drop_expired()
        self._pushes += 1
        for stream in self._streams:
            stream.set()

    def _drop_expired(self) -> None:
        loop = asyncio.get_running_loop()
        now_s = loop.time()
        self._granted = {name: granted for name, granted in self._granted.items() if granted.until_s > now_s}
        if self._expiry is not None:
            self._expiry.cancel()
            self._expiry = None
        if self._granted:
            self._expiry = loop.call_at(min(granted.until_s for granted in self._granted.values()), self.push)

    async def _stream(self, requests: AsyncIterator[bytes], _context: object) -> AsyncIterator[bytes]:
        """One Envoy's stream: an answer when it subscribes, and one for every push after that."""
        pushed = asyncio.Event()
        reader = asyncio.create_task(self._subscribe(requests, pushed))
        try:
            while True:
                await pushed.wait()
                pushed.clear()
                if self._is_closing:
                    return
                yield self._response()
        finally:
            reader.cancel()
            self._streams.discard(pushed)

    async def _subscribe(self, requests: AsyncIterator[bytes], pushed: asyncio.Event) -> None:
        """Wait for the subscription; what follows on the stream are acknowledgements."""
        async for request in requests:
            if pushed not in self._streams and wire.requested_type(request) == wire.RUNTIME_TYPE:
                self._streams.add(pushed)
                pushed.set()

    def _response(self) -> bytes:
        layer = self._layer_of(self._granted)
        return wire.runtime_response(LEASE_LAYER, layer, LEASE_TTL_S, version=str(self._pushes))


class _Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Routes the one method there is, without generated code."""

    def __init__(self, stream: Callable[[AsyncIterator[bytes], object], AsyncIterator[bytes]]) -> None:
        self._stream = stream

    def service(self, details: Any) -> Any:
        return grpc.stream_stream_rpc_method_handler(self._stream) if details.method == wire.METHOD else None
