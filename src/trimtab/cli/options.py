"""The options that say which server is meant. They may stand before a command's name or after it."""

from __future__ import annotations

from typing import Any

SERVER_OPTIONS: tuple[tuple[tuple[str, ...], dict[str, Any]], ...] = (
    (("--url",), {"metavar": "URL", "help": "The server's address [TRIMTAB_URL, or the folder's]."}),
    (("--token",), {"metavar": "TOKEN", "help": "The server's token [TRIMTAB_TOKEN, or the folder's]."}),
    (("--home",), {"metavar": "DIR", "help": "Trimtab's folder [TRIMTAB_HOME, or the nearest]."}),
)
"""Names and settings of each, for `click.Option`."""
