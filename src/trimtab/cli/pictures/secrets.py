"""Pictures of secrets: all but what they are."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from trimtab.cli.pictures.table import table
from trimtab.cli.pictures.words import DIM, ago
from trimtab.cli.plain import clean
from trimtab.views.model import SecretView


def secrets_table(secrets: Sequence[SecretView], now: float) -> RenderableType:
    if not secrets:
        return Text("no secret is kept: `trimtab secrets set NAME`", style=DIM)
    rows = [
        (clean(secret.name), ago(secret.set_at, now) if secret.set_at is not None else "", clean(secret.place))
        for secret in secrets
    ]
    return table(("NAME", "SET", "WHERE"), rows, gives_way="WHERE")
