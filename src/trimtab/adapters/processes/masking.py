"""Secrets in a stream of bytes: every form of them becomes ``***`` before it goes anywhere.

The stream comes in pieces that end anywhere. What may be the beginning of a form at the end of a piece is held back
until it is known what follows; anything else goes on at once. Line breaks inside a form do not hide it: what is
searched is the text without them (encoders break their lines after 64 or 76 characters).
"""

from __future__ import annotations

from _bisect import bisect_right

from trimtab.adapters.processes.secret_forms import BREAKS, SHORTEST, base64_forms, hex_forms, plain_forms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from trimtab.adapters.processes.output import Log

MASK = b"***"
_STANDARD_BASE64 = bytes.maketrans(b"-_", b"+/")


class _Alphabet:
    """Forms that are searched in the same version of the text."""

    def __init__(self, normalise: Callable[[bytes], bytes], forms: set[bytes]) -> None:
        self._normalise = normalise
        # The longest first: so a text that ends with the beginning of several is settled early.
        self._forms = sorted(forms, key=len, reverse=True)
        self._starts = {form[:length] for form in forms for length in range(1, SHORTEST)}
        self.longest = max(map(len, forms), default=0)

    def spans(self, text: bytes) -> Iterator[tuple[int, int]]:
        text = self._normalise(text)
        for form in self._forms:
            at = text.find(form)
            while at >= 0:
                yield at, at + len(form)
                at = text.find(form, at + 1)

    def begun(self, text: bytes) -> int:
        """How much of the end of the text is the beginning of a form."""
        text = self._normalise(text[-self.longest :])
        lengths = range(1, min(SHORTEST, len(text) + 1))
        begun = max((length for length in lengths if text[-length:] in self._starts), default=0)
        for form in self._forms:
            anchor = form[:SHORTEST]
            at = text.find(anchor, max(0, len(text) - len(form) + 1))
            while 0 <= at < len(text) - begun:
                if form.startswith(text[at:]):
                    begun = len(text) - at
                at = text.find(anchor, at + 1)
        return begun


class Masker:
    """Masks the secrets in what it is fed."""

    def __init__(self, secrets: Iterable[str]) -> None:
        secrets = set(secrets)
        self._alphabets = [
            _Alphabet(lambda text: text, _union(plain_forms, secrets)),
            _Alphabet(lambda text: text.translate(_STANDARD_BASE64), _union(base64_forms, secrets)),
            _Alphabet(bytes.lower, _union(hex_forms, secrets)),
        ]
        self._held = b""
        self._masked = 0
        """How much of what is held, without its line breaks, belongs to a form whose mask went out already."""

    def feed(self, data: bytes) -> bytes:
        """What is certain of all that was fed and not given out yet."""
        return self._pass_on(self._held + data, at_end=False)

    def flush(self) -> bytes:
        """All the rest: nothing follows."""
        return self._pass_on(self._held, at_end=True)

    def _pass_on(self, text: bytes, *, at_end: bool) -> bytes:
        bare = text.translate(None, BREAKS)
        held = 0 if at_end else max(each.begun(bare) for each in self._alphabets)
        spans = _merged(self._masked, (span for each in self._alphabets for span in each.spans(bare)))
        cut = _length_without(text, held)
        certain = len(bare) - held
        out = self._replace(text[:cut], spans, certain) if spans and certain else text[:cut]
        self._held = text[cut:]
        return out

    def _replace(self, text: bytes, spans: list[tuple[int, int]], bare_end: int) -> bytes:
        """The text with masks. The last one may reach beyond it: then what is held is `_masked` so far.

        That no span begins before the end without being there in full is what holding back is for.
        """
        is_out = self._masked > 0
        place = _places(text)
        pieces, done, self._masked = [], 0, 0
        for begin, end in spans:
            if begin >= bare_end:
                break
            if not is_out:
                pieces += [text[done : place(begin)], MASK]
            is_out = False
            done = len(text) if end > bare_end else place(end - 1) + 1
            self._masked = max(0, end - bare_end)
        pieces.append(text[done:])
        return b"".join(pieces)


class MaskedLog:
    """A log that gets to see no secret."""

    def __init__(self, log: Log, secrets: Iterable[str]) -> None:
        self._log = log
        self._masker = Masker(secrets)

    def write(self, data: bytes) -> None:
        self._log.write(self._masker.feed(data))

    def flush(self) -> None:
        self._log.write(self._masker.flush())

    def is_waiting(self) -> bool:
        return self._log.is_waiting()

    def is_lost(self) -> bool:
        return self._log.is_lost()

    def last_line(self) -> str:
        return self._log.last_line()


def _union(forms_of: Callable[[str], set[bytes]], secrets: Iterable[str]) -> set[bytes]:
    return {form for secret in secrets for form in forms_of(secret)}


def _merged(masked: int, found: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The spans, in order, those that overlap made one; what is masked already counts as the first."""
    merged = [(0, masked)] if masked else []
    for begin, end in sorted(found):
        if merged and begin < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return merged


def _length_without(text: bytes, held: int) -> int:
    """How long the text is without its last so many bytes, line breaks not counted."""
    begin = len(text)
    missing = held
    while missing > 0:
        begin -= missing
        missing = held - len(text[begin:].translate(None, BREAKS))
    return begin


def _places(text: bytes) -> Callable[[int], int]:
    """Where a byte of the text without line breaks is in the text with them."""
    breaks = []
    for each in BREAKS:
        at = text.find(each)
        while at >= 0:
            breaks.append(at)
            at = text.find(each, at + 1)
    breaks.sort()
    bytes_before = [at - number for number, at in enumerate(breaks)]
    return lambda bare: bare + bisect_right(bytes_before, bare)
