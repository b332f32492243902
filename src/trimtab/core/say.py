"""Numbers in sentences, the same way everywhere."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text without what no log, database or commit message can hold: NUL, and halves of characters (surrogates)."""
    return text.replace("\0", "").encode("utf-8", "replace").decode() if "\0" in text or not _is_whole(text) else text


def _is_whole(text: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in text)


def count(number: int, noun: str) -> str:
    """``1 request``, ``1,204 requests``, ``2 processes``."""
    if number == 1:
        return f"1 {noun}"
    if noun.endswith("y"):
        return f"{number:,} {noun[:-1]}ies"
    return f"{number:,} {noun}{'es' if noun.endswith('s') else 's'}"


def size(bytes_: float) -> str:
    """``300 bytes``, ``1.5 MiB``, ``64 GiB``."""
    if bytes_ < 1024:
        return count(int(bytes_), "byte")
    units = ("KiB", "MiB", "GiB", "TiB")
    for unit in units:
        bytes_ /= 1024
        if bytes_ < 1023.95 or unit == units[-1]:
            break
    return f"{bytes_:.1f}".removesuffix(".0") + f" {unit}"


def percent(share: float) -> str:
    """``5 %``, ``0.3 %``, ``0.02 %``; of a share between 0 and 1."""
    value = share * 100.0
    digits = 0 if value >= 10 or value == int(value) else (1 if value >= 0.1 else 2)
    text = f"{value:.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} %"


def milliseconds(value: float) -> str:
    """``3.2 ms``, ``48 ms``, ``1.2 s``."""
    if value >= 1000:
        return f"{value / 1000:.1f} s"
    return f"{value:.1f} ms" if value < 10 else f"{value:.0f} ms"


def duration(seconds: float) -> str:
    """``0.4 s``, ``12 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"
