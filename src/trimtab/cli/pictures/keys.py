"""Pictures of the keys that sign releases."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from trimtab.cli.pictures.table import table
from trimtab.cli.pictures.words import DIM
from trimtab.core.model.envelope import KnownKey

_MEANING = {
    "signs": "signs releases, and is trusted",
    "trusted": "its signatures count",
    "damaged": "its file was changed: its signatures do not count",
    "revoked": "its signatures do not count any more",
}


def keys_table(keys: Sequence[KnownKey]) -> RenderableType:
    if not keys:
        return Text("no key yet: the first release makes one", style=DIM)
    rows = [(key.keyid, Text(key.role), Text(_MEANING[key.role])) for key in keys]
    return table(("KEY", "IS", "MEANING"), rows, gives_way="MEANING")
