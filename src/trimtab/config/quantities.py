"""Durations, percentages and addresses as people write them."""

from __future__ import annotations

import ipaddress
import re
from typing import Any

from pydantic_core import PydanticCustomError

from trimtab.config.nodes import Empty

_NUMBER = r"[0-9]{1,9}(\.[0-9]{1,9})?"
DURATION_PATTERN = "^(?=[0-9])" + "".join(rf"({_NUMBER}{unit})?" for unit in ("d", "h", "m", "s", "ms")) + "$"
PERCENT_PATTERN = rf"^{_NUMBER} ?%$"

SIZE_PATTERN = rf"^{_NUMBER} ?([KMGT]i?)?B$"

_UNITS_S = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_PIECE = re.compile(rf"({_NUMBER})(d|h|ms|m|s)")
_DURATION = re.compile(DURATION_PATTERN)
_PERCENT = re.compile(PERCENT_PATTERN)
_SIZE = re.compile(rf"({_NUMBER}) ?([KMGT]i?)?B")
_UNITS_BYTES = {"": 1.0} | {
    f"{prefix}{binary}": float((1024 if binary else 1000) ** power)
    for power, prefix in enumerate("KMGT", 1)
    for binary in ("", "i")
}
_LISTEN = re.compile(r"(?:\[(?P<six>[0-9a-fA-F:.]+)\]|(?P<four>[^:\[\]]+)):(?P<port>[0-9]{1,5})")


def wrong(code: str, message: str, hint: str = "") -> PydanticCustomError:
    """The error for a setting; `message` continues a sentence that begins with the setting's name."""
    # The texts go through the context: a template would take braces in what the user wrote for placeholders.
    return PydanticCustomError(code, "{message}", {"message": message, "hint": hint})


def wrong_type(expected: str, value: object, hint: str = "") -> PydanticCustomError:
    return wrong("config-wrong-type", f"must be {expected}, but {describe(value)}", hint)


def describe(value: object) -> str:
    """``it is the text `two```, ``it is a list``, ``it is left empty``."""
    match value:
        case Empty():
            return "it is left empty"
        case bool():
            return f"it is `{str(value).lower()}`"
        case int() | float():
            return f"it is the number {clip(str(value))}"
        case str():
            return f"it is the text `{clip(value)}`"
        case list():
            return "it is a list"
        case _:
            return "it is a mapping"


def clip(text: str) -> str:
    """At most 60 characters of it, in one line."""
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:57] + "..."


def parse_duration(value: Any) -> float:
    """Seconds of ``90``, ``1.5``, ``30s``, ``1h30m`` or ``250ms``."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, str):
        raise wrong_type("a duration", value, "for example `30s`, `5m`, `1h30m` or `250ms`")
    if not _DURATION.fullmatch(value):
        hint = "write `30s`, `5m`, `1h30m` or `250ms`; a plain number means seconds"
        raise wrong("config-invalid-value", f"must be a duration, but {describe(value)}", hint)
    # Rounded to microseconds: the binary fractions of `1s1ms` must not show up in a release's manifest.
    return round(sum(float(number) * _UNITS_S[unit] for number, _, unit in _PIECE.findall(value)), 6)


def show_duration(seconds: float) -> str:
    """The shortest way to write a duration: ``1h30m``, ``15s``, ``5ms``. The inverse of `parse_duration`."""
    rest_ms = round(seconds * 1000)
    text = ""
    for unit, unit_ms in (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        amount, rest_ms = divmod(rest_ms, unit_ms)
        text += f"{amount}{unit}" if amount else ""
    return text or "0s"


def parse_percent(value: Any) -> float:
    """Percent of ``5``, ``0.5`` (half a percent), ``5%`` or ``5 %``."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, str):
        raise wrong_type("a percentage", value, "for example `5%`")
    if not _PERCENT.fullmatch(value):
        raise wrong(
            "config-invalid-value", f"must be a percentage, but {describe(value)}", "for example `5%` or `0.5%`"
        )
    return float(value.rstrip("% "))


def show_percent(percent: float) -> str:
    """``5%``, ``0.5%``: the inverse of `parse_percent`."""
    return f"{percent:.9g}%"


def parse_size(value: Any) -> int:
    """Bytes of ``512MiB``, ``4GiB``, ``1.5GB`` or ``100B``."""
    found = _SIZE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise wrong_type("a size", value, "for example `512MiB` or `4GiB`")
    return round(float(found[1]) * _UNITS_BYTES[found[3] or ""])


def show_size(size_bytes: float) -> str:
    """The largest binary unit that gives a whole number: ``4GiB``, ``1536MiB``. The inverse of `parse_size`."""
    left, unit = int(size_bytes), ""
    for larger in ("Ki", "Mi", "Gi", "Ti"):
        if left == 0 or left % 1024:
            break
        left, unit = left // 1024, larger
    return f"{left}{unit}B"


def parse_listen(value: str) -> tuple[str, int]:
    """Host and port of ``0.0.0.0:8080`` or ``[::1]:8080``."""
    match = _LISTEN.fullmatch(value)
    host = (match["six"] or match["four"]) if match else ""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        match = None
    if match is None or not 1 <= int(match["port"]) <= 65535:
        hint = "for example `0.0.0.0:8080` for every network of the machine, `127.0.0.1:8080` for the machine alone"
        raise wrong("config-invalid-value", f"must be an IP address and a port, but {describe(value)}", hint)
    return host, int(match["port"])
