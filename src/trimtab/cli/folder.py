"""The folder that a command works on when it does not talk to a server."""

from __future__ import annotations

import os
from pathlib import Path

import click

from trimtab.cli.command import given_before

HOME = click.option("--home", metavar="DIR", help="Trimtab's folder [TRIMTAB_HOME; else .trimtab of this repository].")
"""Adds `--home`."""


def named_home(home: str | None) -> Path | None:
    """The folder that the option, or else TRIMTAB_HOME, names; None when neither does."""
    named = home or given_before("home") or os.environ.get("TRIMTAB_HOME")
    return Path(named) if named else None
