"""Times as people type them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import click


class _When(click.ParamType[float]):
    """A moment: ``2026-12-27``, ``2026-12-27T08:00`` in local time, or with its offset; seconds since the epoch."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return datetime.fromisoformat(value).timestamp()
        except (ValueError, OverflowError):
            self.fail(f"{value} is no time: write 2026-12-27 or 2026-12-27T08:00", param, ctx)


class _Span(click.ParamType[float]):
    """A duration: ``30m``, ``4h``, ``2d``; seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        from pydantic_core import PydanticCustomError

        from trimtab.config.quantities import parse_duration

        try:
            return parse_duration(value)
        except PydanticCustomError:
            self.fail(f"{value} is no duration: write 30m, 4h or 2d", param, ctx)


WHEN, SPAN = _When(), _Span()
