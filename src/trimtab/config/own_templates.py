"""The templates that come with Trimtab: `uses: trimtab/NAME`. Each runs the gate of its name."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

PREFIX = "trimtab/"
NAMES = (
    "unit-tests",
    "lint",
    "dependency-audit",
    "secret-scan",
    "sbom",
    "licences",
    "smoke",
    "load-test",
    "model",
)
ASK_THE_SERVICE = ("smoke", "load-test")
"""Gates that start the application's service, and are told how."""
ASK_THE_MODEL = ("model",)
"""Gates that ask the release's models, and are told which."""


@cache
def own_template(name: str) -> bytes:
    """The template's file: part of this package, like its code."""
    return (files("trimtab.config") / "own" / f"{name}.yaml").read_bytes()
