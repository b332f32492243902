"""What every Signer promises together with its Verifier. Each check gets a fresh `SigningBench`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Protocol

from trimtab.ports.signing import Signer, Verifier

MESSAGE = b"DSSEv1 1 a 1 b"


class SigningBench(Protocol):
    """Keys under examination, and whoever looks after them."""

    @property
    def signer(self) -> Signer: ...

    @property
    def verifier(self) -> Verifier: ...

    def new(self) -> None:
        """Let another key sign from now on."""
        ...

    def revoke(self, keyid: str) -> None: ...


SigningCheck = Callable[[SigningBench], Awaitable[None]]


async def check_what_was_signed_is_good(bench: SigningBench) -> None:
    for message in (MESSAGE, b"", b"\0" * 100_000):
        signature = await bench.signer.sign(message)
        assert await bench.verifier.verify(message, signature) == "good"


async def check_the_same_key_signs_until_there_is_another(bench: SigningBench) -> None:
    first, second = await bench.signer.sign(MESSAGE), await bench.signer.sign(b"")
    assert first.keyid == second.keyid
    bench.new()
    third = await bench.signer.sign(MESSAGE)
    assert third.keyid != first.keyid
    assert await bench.verifier.verify(MESSAGE, third) == "good"
    assert await bench.verifier.verify(MESSAGE, first) == "good"


async def check_another_message_is_bad(bench: SigningBench) -> None:
    signature = await bench.signer.sign(MESSAGE)
    for other in (MESSAGE + b"\0", MESSAGE[:-1], b"", bytes([MESSAGE[0] ^ 1]) + MESSAGE[1:]):
        assert await bench.verifier.verify(other, signature) == "bad"


async def check_no_bit_of_a_signature_may_be_another(bench: SigningBench) -> None:
    signature = await bench.signer.sign(MESSAGE)
    for at in range(len(signature.signature)):
        changed = bytearray(signature.signature)
        changed[at] ^= 1 << at % 8
        assert await bench.verifier.verify(MESSAGE, replace(signature, signature=bytes(changed))) == "bad"
    assert await bench.verifier.verify(MESSAGE, replace(signature, signature=b"")) == "bad"


async def check_keys_that_nobody_has_trusted_are_unknown(bench: SigningBench) -> None:
    signature = await bench.signer.sign(MESSAGE)
    for keyid in ("0" * 64, "", "../trusted", signature.keyid.upper(), signature.keyid[:-1]):
        assert await bench.verifier.verify(MESSAGE, replace(signature, keyid=keyid)) == "unknown"


async def check_a_key_that_was_revoked(bench: SigningBench) -> None:
    before = await bench.signer.sign(MESSAGE)
    bench.new()
    second = await bench.signer.sign(MESSAGE)
    bench.revoke(before.keyid)
    assert await bench.verifier.verify(MESSAGE, before) == "revoked"
    assert await bench.verifier.verify(MESSAGE, second) == "good"
    bench.revoke(second.keyid)
    assert await bench.verifier.verify(MESSAGE, second) == "revoked"
    third = await bench.signer.sign(MESSAGE)
    assert third.keyid not in (before.keyid, second.keyid)
    assert await bench.verifier.verify(MESSAGE, third) == "good"


SIGNING_CHECKS: tuple[SigningCheck, ...] = (
    check_what_was_signed_is_good,
    check_the_same_key_signs_until_there_is_another,
    check_another_message_is_bad,
    check_no_bit_of_a_signature_may_be_another,
    check_keys_that_nobody_has_trusted_are_unknown,
    check_a_key_that_was_revoked,
)
