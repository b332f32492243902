"""Pictures of releases that were exported or pushed."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from trimtab.cli.pictures.words import DIM, STRONG, joined, name, size, status
from trimtab.cli.plain import clean
from trimtab.core.say import count
from trimtab.views.shipping import ShippedView


def shipped_picture(made: ShippedView, done: str) -> RenderableType:
    """What was ``written`` or ``pushed``."""
    parts = f"{count(len(made.parts), 'part')} ({', '.join(made.parts)}), {size(made.size_bytes)}"
    signed = f", {count(made.attestations, 'attestation')}" if made.attestations else ""
    return Group(
        joined(status(done), Text(clean(made.place), style=STRONG)),
        joined(Text("  release"), name(made.release), Text(f"of {clean(made.app)}: {parts}{signed}")),
        Text(f"  image {made.image}", style=DIM),
    )
