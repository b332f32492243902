"""No form of a secret passes, however the output is cut into pieces; and nothing else is touched or held back."""

from __future__ import annotations

import base64
import html
import json
import random
import shlex
import string
import urllib.parse
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.adapters.processes.masking import MASK, Masker

_CASES = 10_000
_ALPHABETS = (
    string.ascii_letters + string.digits,
    string.digits,
    "ab",
    string.printable,
    string.punctuation.replace("*", ""),
    "pä ß/ü&€😀'\"\\%+\n",
    "line\nof\r\nsome\tkey\n-",
)

Encode = Callable[[str, random.Random], bytes]


def _raw(secret: str, _: random.Random) -> bytes:
    return secret.encode()


def _base64(secret: str, chance: random.Random) -> bytes:
    around = [bytes(chance.choices(b"user:;", k=chance.randrange(4))) for _ in range(2)]
    encode = chance.choice((base64.standard_b64encode, base64.urlsafe_b64encode))
    encoded = encode(around[0] + secret.encode() + around[1])
    return encoded.rstrip(b"=") if chance.random() < 0.3 else encoded


def _hex(secret: str, chance: random.Random) -> bytes:
    text = secret.encode().hex()
    return (text.upper() if chance.random() < 0.5 else text).encode()


def _url(secret: str, chance: random.Random) -> bytes:
    quote = chance.choice((urllib.parse.quote, urllib.parse.quote_plus))
    quoted = quote(secret, safe=chance.choice(("", "/"))) if quote is urllib.parse.quote else quote(secret)
    if chance.random() < 0.5:
        pieces = quoted.split("%")
        quoted = "%".join([pieces[0], *(each[:2].lower() + each[2:] for each in pieces[1:])])
    return quoted.encode()


def _json(secret: str, chance: random.Random) -> bytes:
    return json.dumps({"key": secret}, ensure_ascii=chance.random() < 0.5).encode()


def _shell(secret: str, chance: random.Random) -> bytes:
    return chance.choice((shlex.quote(secret), "'" + secret.replace("'", "'\\''") + "'")).encode()


def _markup(secret: str, chance: random.Random) -> bytes:
    return html.escape(secret, quote=chance.random() < 0.5).encode()


_ENCODINGS: tuple[Encode, ...] = (_raw, _base64, _hex, _url, _json, _shell, _markup)


def bare(text: bytes) -> bytes:
    """Without line breaks; what was masked joins nothing."""
    return text.replace(MASK, b"\0").translate(None, b"\r\n")


def pieces(text: bytes, chance: random.Random) -> list[bytes]:
    cuts = sorted(chance.randrange(len(text) + 1) for _ in range(chance.choice((0, 1, 3, 20))))
    return [text[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]


def masked(masker: Masker, given_pieces: list[bytes]) -> bytes:
    return b"".join([*map(masker.feed, given_pieces), masker.flush()])


def wrapped(text: bytes, chance: random.Random) -> bytes:
    width, end = chance.choice((1, 3, 20, 64, 76)), chance.choice((b"\n", b"\r\n"))
    return end.join(text[at : at + width] for at in range(0, len(text), width))


def some_secret(chance: random.Random) -> str:
    while True:
        length = chance.choice((4, 5, 6, 7, 8, 12, 40, 200))
        secret = "".join(chance.choices(chance.choice(_ALPHABETS), k=length)).replace("*", "x")
        if len(secret.strip()) >= 4:
            return secret


def traces(secret: str) -> set[bytes]:
    """What must not be in any output, made by other means than those under test."""
    core = secret.strip()
    raw = core.encode()
    found = {raw, raw.hex().encode(), raw.hex().upper().encode(), json.dumps(core)[1:-1].encode()}
    found |= {urllib.parse.quote(core, safe="").encode(), urllib.parse.quote_plus(core).encode()}
    found |= {shlex.quote(core).encode()[1:-1] if "'" in core else raw, html.escape(core).encode()}
    for before in range(3):
        # Whole groups of three bytes that are all the secret's.
        inner = raw[-before % 3 :]
        inner = inner[: len(inner) // 3 * 3]
        found |= {base64.standard_b64encode(inner), base64.urlsafe_b64encode(inner)}
    if len(lines := core.splitlines()) > 1:
        found |= {line.strip().encode() for line in lines}
    return {each for each in (bare(trace) for trace in found) if len(each) >= 4}


def test_ten_thousand_outputs_tell_nothing() -> None:
    for seed in range(_CASES):
        chance = random.Random(seed)
        secrets = [some_secret(chance) for _ in range(chance.choice((1, 1, 2, 5)))]
        text = b""
        for _ in range(chance.randrange(1, 5)):
            encoded = chance.choice(_ENCODINGS)(chance.choice(secrets), chance)
            if chance.random() < 0.2:
                encoded = wrapped(encoded, chance)
            # Signs that no form is made of: what is found then is a trace, and no chance.
            text += b"\x01" * chance.randrange(3) + encoded + b"\x02" * chance.randrange(3)
        output = masked(Masker(secrets), pieces(text, chance))
        assert output == masked(Masker(secrets), [text]), seed
        for trace in set().union(*map(traces, secrets)):
            assert trace not in bare(output), (seed, trace, text, output)


TEXTS = st.text(st.sampled_from("abA1%+/=- \n\r\\'\"é*"), min_size=4, max_size=12).filter(lambda s: len(s.strip()) >= 4)
OUTPUTS = st.lists(st.binary(max_size=40) | TEXTS.map(str.encode), max_size=8)


@given(st.lists(TEXTS, min_size=1, max_size=3), OUTPUTS, st.data())
def test_how_output_is_cut_makes_no_difference(secrets: list[str], parts: list[bytes], data: st.DataObject) -> None:
    text = b"".join([*parts, secrets[0].encode(), *parts[:1]])
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    cut = [text[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    whole = masked(Masker(secrets), [text])
    assert masked(Masker(secrets), cut) == whole
    assert masked(Masker(secrets), [text[at : at + 1] for at in range(len(text))]) == whole


@given(st.lists(st.binary(max_size=200), max_size=8))
def test_output_without_secrets_is_the_same_byte_by_byte(parts: list[bytes]) -> None:
    secrets = ["Zq7-unlikely-Xw9", "first line of it\nsecond line of it\n"]
    text = b"".join(parts)
    output = masked(Masker(secrets), parts)
    assert output == text


@pytest.mark.parametrize(
    ("fed", "passed", "held"),
    [
        (b"all is well.", b"all is well.", b""),
        (b"what a tok", b"what a ", b"tok"),
        (b"what a tok\r\n", b"what a ", b"tok\r\n"),
        (b"what a tok\n\nen.12", b"what a ", b"tok\n\nen.12"),
        (b"what a tox\n", b"what a tox\n", b""),
        (b"token.123x", b"token.123x", b""),
        (b"token.1234 t", b"*** ", b"t"),
        (b"dG9rZW4uM", b"", b"dG9rZW4uM"),
        (b"746F6b65", b"", b"746F6b65"),
    ],
)
def test_exactly_what_may_be_a_beginning_is_held(fed: bytes, passed: bytes, held: bytes) -> None:
    masker = Masker(["token.1234"])
    assert masker.feed(fed) == passed
    assert masker.flush() == held


def test_overlapping_secrets_leave_one_mask() -> None:
    masker = Masker(["abcdef", "defghi"])
    assert masked(masker, [b"<abcde", b"fghi>abcdefdefghi"]) == b"<***>***" + MASK


def test_line_breaks_around_a_secret_stay() -> None:
    assert masked(Masker(["hunter2"]), [b"one\nhunter2\r\ntwo\nhun", b"\nter2\n"]) == b"one\n***\r\ntwo\n***\n"


def test_a_longer_secret_that_did_not_come_keeps_the_shorter_one_hidden() -> None:
    masker = Masker(["bcde", "abcdefgh"])
    assert masker.feed(b"abcdef") == b""
    assert masker.feed(b"x") == b"a***fx"
