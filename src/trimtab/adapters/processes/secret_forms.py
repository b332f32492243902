"""In which forms a secret may turn up in output: what programs make of it by encoding and by quoting.

Line breaks are left out of all forms, for they are left out of what is searched. Imported only where there are secrets,
by a supervisor: so only what loads quickly. `json` and `urllib` would bring regular expressions with them.
"""

from __future__ import annotations

import _json
import binascii

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SHORTEST = 4
"""Anything shorter is in every text."""
BREAKS = b"\r\n"

_ALNUM = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_URL_STYLES = (
    # What stays as it is besides letters and digits, and what becomes of a space. In Python's words: quote, quote with
    # safe="", quote_plus; encodeURIComponent and encodeURI of JavaScript; forms, as browsers and Java write them.
    (b"_.-~/", b"%20"),
    (b"_.-~", b"%20"),
    (b"_.-~", b"+"),
    (b"_.-~!'()*", b"%20"),
    (b"_.-~!'()*;,/?:@&=+$#", b"%20"),
    (b"_.-*", b"+"),
)
_SHELL_SPECIAL = " \t!\"$&'()*,;<>?[\\]^`{|}"
_ANSI_C = {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def core_of(secret: str) -> str:
    """The part that must be hidden: files end with a line break, which is no part of anybody's password."""
    return secret.strip()


def plain_forms(secret: str) -> set[bytes]:
    """As it is, its lines, and all that keeps its letters: percent signs, backslashes, quotes, entities."""
    core = core_of(secret)
    texts = {core, *_lines(core), *_json_forms(core), *_shell_forms(core), *_markup_forms(core)}
    forms = {_encoded(text) for text in texts} | set(_url_forms(_encoded(core)))
    return _fit(forms)


def base64_forms(secret: str) -> set[bytes]:
    """The characters that only the secret decides, for each place that it can have in a group of three bytes.

    In the standard alphabet; there are three because ``user:secret`` may be encoded as a whole.
    """
    raw = _encoded(core_of(secret))
    forms = set()
    for before in range(3):
        text = binascii.b2a_base64(bytes(before) + raw, newline=False)
        first = -(-before * 8 // 6)
        forms.add(text[first : (before + len(raw)) * 8 // 6])
        # With the character that it decides only if it is the last that was encoded.
        forms.add(text.rstrip(b"=")[first:])
    return _fit(forms)


def hex_forms(secret: str) -> set[bytes]:
    """In lower case."""
    return _fit({binascii.hexlify(_encoded(core_of(secret)))})


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _fit(forms: Iterable[bytes]) -> set[bytes]:
    without_breaks = {form.translate(None, BREAKS) for form in forms}
    return {form for form in without_breaks if len(form) >= SHORTEST}


def _lines(core: str) -> list[str]:
    lines = [line.strip() for line in core.splitlines()]
    return [line for line in lines if len(line) >= SHORTEST] if len(lines) > 1 else []


def _url_forms(raw: bytes) -> Iterator[bytes]:
    for kept, space in _URL_STYLES:
        for digits in (b"%%%02X", b"%%%02x"):
            yield b"".join(
                bytes((byte,)) if byte in _ALNUM or byte in kept else space if byte == 32 else digits % byte
                for byte in raw
            )


def _json_forms(core: str) -> Iterator[str]:
    r"""With and without \uXXXX for what is not ASCII, its digits in both cases; as Go and as PHP write it."""
    ascii_only: str = _json.encode_basestring_ascii(core)[1:-1]
    readable: str = _json.encode_basestring(core)[1:-1]
    for text in (ascii_only, readable, _upper_digits(ascii_only)):
        yield text
        yield text.replace("/", "\\/")
        yield text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _upper_digits(text: str) -> str:
    """``\\u00e9`` as ``\\u00E9``; a backslash that was escaped begins no such escape."""
    parts = text.split("\\\\")
    for index, part in enumerate(parts):
        first, *escaped = part.split("\\u")
        parts[index] = first + "".join("\\u" + each[:4].upper() + each[4:] for each in escaped)
    return "\\\\".join(parts)


def _shell_forms(core: str) -> Iterator[str]:
    """In single quotes (as Python and as shells write it), in double quotes, with backslashes, in $'...'."""
    yield core.replace("'", "'\"'\"'")
    yield core.replace("'", "'\\''")
    yield "".join("\\" + each if each in '\\"$`' else each for each in core)
    quoted = "".join("\\" + each if each in _SHELL_SPECIAL else each for each in core)
    yield "\\" + quoted if core[:1] in ("#", "~") else quoted
    yield "".join(_ANSI_C.get(each, each) for each in core)


def _markup_forms(core: str) -> Iterator[str]:
    text = core.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    yield text
    yield text.replace('"', "&quot;")
    for apostrophe in ("&#x27;", "&#39;", "&apos;"):
        yield text.replace('"', "&quot;").replace("'", apostrophe)
