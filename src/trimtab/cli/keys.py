"""`trimtab keys`: it works on the folder itself, whether a controller runs or not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from trimtab.cli.command import command, group
from trimtab.cli.find import existing_home
from trimtab.cli.folder import HOME, named_home
from trimtab.cli.output import show
from trimtab.cli.pictures.keys import keys_table

if TYPE_CHECKING:
    from trimtab.app.keys import KeysOf


@group("keys", example="trimtab keys\ntrimtab keys new")
@HOME
def keys(context: click.Context, home: str | None, as_json: bool) -> None:
    """Releases are signed by one of them, and let in when a trusted one has signed them. Without a command: list."""
    if context.invoked_subcommand is None:
        _list(home, as_json)


@command("keys list", example="trimtab keys list")
@HOME
def list_keys(home: str | None, as_json: bool) -> None:
    """The key that signs comes first. A key is named by the SHA-256 of its public half."""
    _list(home, as_json)


@command("keys new", example="trimtab keys new")
@HOME
def new_key(home: str | None, as_json: bool) -> None:
    """What the one before has signed still counts, until you revoke it."""
    made = _of(home).new()
    show(made, lambda _, __: keys_table([made]), as_json=as_json)


@command("keys trust", example="trimtab keys trust release.pub")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@HOME
def trust_key(file: Path, home: str | None, as_json: bool) -> None:
    """FILE: the `keys/release.pub` of that installation. Whoever has the private half can let any release in."""
    trusted = _of(home).trust(file.read_bytes(), str(file))
    show(trusted, lambda _, __: keys_table([trusted]), as_json=as_json)


@command("keys revoke", example="trimtab keys revoke 3f2a91c0d4e5")
@click.argument("keyid", metavar="KEY")
@HOME
def revoke_key(keyid: str, home: str | None, as_json: bool) -> None:
    """Releases that no other key has signed are not let in any more; what is live keeps running. If it is the key that
    signs, the next release makes another one. KEY: its name, or how that begins."""
    revoked = _of(home).revoke(keyid)
    show(revoked, lambda _, __: keys_table([revoked]), as_json=as_json)


def _list(home: str | None, as_json: bool) -> None:
    found = _of(home).list()
    show(found, lambda _, __: keys_table(found), as_json=as_json)


def _of(home: str | None) -> KeysOf:
    from trimtab.app.keys import keys_of

    return keys_of(named_home(home) or existing_home(Path.cwd()))
