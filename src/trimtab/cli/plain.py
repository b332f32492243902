"""Text that is safe to show."""

from __future__ import annotations

import re

_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|.)")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_IN_A_LINE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]+")
"""All that steers a terminal or the order of what stands in it, but tabs."""


def clean(text: str) -> str:
    """Text that people or programs wrote (subjects, log lines) without anything that would steer a terminal."""
    return _CONTROLS.sub(" ", _ESCAPES.sub("", text)).strip()


def clean_line(text: str) -> str:
    """A line of a log, its indentation kept, without anything that would steer a terminal."""
    if text.isprintable():
        return text
    return _IN_A_LINE.sub(" ", _ESCAPES.sub("", text))


def instance_name(instance_id: str, environment: str) -> str:
    """An instance as people type it where the environment (``shop/production``) is known: ``8f55017bf5e8/1``."""
    return instance_id.removeprefix(f"instance/{environment}/")
