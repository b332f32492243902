"""What attestations look like, and that no bit of a stored one may be another."""

from __future__ import annotations

import json
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.attested import CUT_AT, KEY, RELEASE, build
from trimtab.core.model.attestation import ProvenanceRead, TestResultRead, provenance, read_statement, step_result
from trimtab.core.model.envelope import (
    Envelope,
    Signature,
    decode_bundle,
    decode_envelope,
    encode_bundle,
    encode_envelope,
    pae,
)

ENVELOPES = st.builds(
    Envelope,
    st.binary(max_size=60),
    st.lists(st.builds(Signature, st.text("0123456789abcdef", max_size=64), st.binary(max_size=64)), max_size=2).map(
        tuple
    ),
    st.text(max_size=20),
)


def test_provenance_says_what_slsa_asks_for() -> None:
    statement = json.loads(provenance(build()))
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["subject"][0] == {"name": "shop", "digest": {"sha256": RELEASE.removeprefix("sha256:")}}
    assert [subject["name"] for subject in statement["subject"]] == ["shop", "shop/code"]
    definition, details = statement["predicate"]["buildDefinition"], statement["predicate"]["runDetails"]
    assert definition["buildType"] == "urn:trimtab:build:run-v1"
    assert definition["externalParameters"]["commit"] == "c" * 40
    assert definition["resolvedDependencies"][0]["digest"] == {"gitCommit": "c" * 40}
    assert definition["resolvedDependencies"][1]["name"] == "outputs of test"
    assert details["builder"] == {"id": "https://trimtab.example.com", "version": {"trimtab": "1.2.3"}}
    assert details["metadata"]["invocationId"] == "urn:trimtab:run:shop/12"
    assert details["metadata"]["finishedOn"] == "2026-09-21T14:13:20Z"


def test_results_say_what_in_toto_asks_for() -> None:
    passed, warned = (json.loads(step_result(build(), step))["predicate"] for step in build().steps)
    assert (passed["result"], passed["passedTests"]) == ("PASSED", ["test"])
    assert (warned["result"], warned["warnedTests"]) == ("WARNED", ["findings"])
    assert warned["configuration"][0]["annotations"] == {"process": "step/shop/11/lint/1"}


def test_what_is_written_is_read() -> None:
    read = read_statement(provenance(build()))
    assert read.subjects["shop"] == RELEASE
    assert read.about == ProvenanceRead("shop", "shop/12", "c" * 40, "https://trimtab.example.com", CUT_AT)
    assert read_statement(step_result(build(), build().steps[1])).about == TestResultRead("shop/12", "lint", "WARNED")


@pytest.mark.parametrize(("at", "value"), [("finishedOn", "yesterday"), ("finishedOn", "2026-01-01T00:00:00")])
def test_times_that_are_none(at: str, value: str) -> None:
    statement = json.loads(provenance(build()))
    statement["predicate"]["runDetails"]["metadata"][at] = value
    with pytest.raises(ValueError):
        read_statement(json.dumps(statement).encode())


def test_pae_is_as_dsse_writes_it() -> None:
    # The example of the specification.
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


@given(ENVELOPES, ENVELOPES)
def test_no_two_envelopes_are_signed_alike(one: Envelope, other: Envelope) -> None:
    same = (one.payload_type, one.payload) == (other.payload_type, other.payload)
    assert (one.signed == other.signed) is same


@given(st.lists(ENVELOPES, min_size=1, max_size=3))
def test_a_bundle_is_read_as_it_was_written(envelopes: list[Envelope]) -> None:
    assert decode_bundle(encode_bundle(envelopes)) == tuple(envelopes)


@given(ENVELOPES, st.data())
def test_no_byte_of_an_envelope_may_be_another(envelope: Envelope, data: st.DataObject) -> None:
    """What is read from it is something else then, or nothing."""
    line = bytearray(encode_envelope(envelope))
    at = data.draw(st.integers(0, len(line) - 1))
    line[at] ^= data.draw(st.integers(1, 255))
    try:
        assert decode_envelope(bytes(line)) != envelope
    except ValueError:
        pass


def test_every_byte_of_a_real_bundle() -> None:
    """Each change is told, or gives other envelopes: what is signed, the key's name or the signature."""
    envelopes = (
        Envelope(provenance(build()), (Signature(KEY, b"\x01" * 64),)),
        Envelope(step_result(build(), build().steps[0]), (Signature(KEY, b"\x02" * 64),)),
    )
    bundle = encode_bundle(envelopes)
    for at, bits in product(range(len(bundle)), (1, 2, 3, 0x20, 0x80)):
        changed = bytearray(bundle)
        changed[at] ^= bits
        found = decode_bundle(bytes(changed))
        assert found != envelopes
        assert len(found) == 2 or any(isinstance(each, str) for each in found)


def test_another_form_of_the_same_is_refused() -> None:
    """What means nothing could be changed without being noticed."""
    envelope = Envelope(b"{}", (Signature(KEY, b"1"),))
    line = encode_envelope(envelope)
    assert line.startswith(b'{"payload":"e30=","payloadType"')
    fields = json.loads(line)
    others = (
        line.replace(b"e30=", b"e31="),  # bits that base64 does not use
        line.replace(b'":"', b'": "', 1),
        line + b" ",
        line.replace(b"e30=", b"\\u006530="),
        json.dumps(dict(reversed(fields.items())), separators=(",", ":")).encode(),
        json.dumps({**fields, "more": 1}, separators=(",", ":")).encode(),
        line[:-1] + b',"payload":"e30="}',
    )
    for other in others:
        with pytest.raises(ValueError, match="another form"):
            decode_envelope(other)


@pytest.mark.parametrize(
    "content", [b"", b"\n", b"{}\n", b"[]\n", b"null\n", b"1\n", b"{\n", b"[" * 100_000, b"\xff\n"]
)
def test_what_is_no_bundle(content: bytes) -> None:
    assert all(isinstance(each, str) for each in decode_bundle(content))


def test_a_bundle_without_its_end() -> None:
    envelope = Envelope(b"{}", (Signature(KEY, b"1"),))
    assert isinstance(decode_bundle(encode_bundle([envelope])[:-1])[-1], str)
