"""Server-sent events, as far as our API uses them: one `data` line each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from trimtab.client.transport import decoder
from trimtab.views.model import HistoryEntry


def decode_events(lines: Iterable[str]) -> Iterator[HistoryEntry]:
    """The history entries of a stream. Only the blank line ends an event: what is cut off before it never happened."""
    data = ""
    for line in lines:
        if line.startswith("data:"):
            data = line.removeprefix("data:")
        elif not line and data:
            yield decoder(HistoryEntry).validate_json(data)
            data = ""
