"""Making an in-memory port fail or hang, as its real counterpart might."""

from __future__ import annotations

import asyncio


class Faults:
    """What shall go wrong. A port's every method passes `here` with its own name before it does anything."""

    def __init__(self) -> None:
        self._errors: dict[str, list[Exception]] = {}
        self._open: dict[str, asyncio.Event] = {}

    def fail(self, method: str, error: Exception, times: int = 1) -> None:
        """The next calls of `method` raise `error`."""
        self._errors.setdefault(method, []).extend([error] * times)

    def hang(self, method: str) -> None:
        """Calls of `method` do not return until `resume`."""
        self._open.setdefault(method, asyncio.Event()).clear()

    def resume(self, method: str) -> None:
        """Let the calls of `method` go on."""
        if (event := self._open.pop(method, None)) is not None:
            event.set()

    async def here(self, method: str) -> None:
        """Where a method may be stopped."""
        if (event := self._open.get(method)) is not None:
            await event.wait()
        if waiting := self._errors.get(method):
            raise waiting.pop(0)
