"""Which releases are let in, and what is said of those that are not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.attested import CUT_AT, KEY, RELEASE, attested, build, examined
from trimtab.core.decide.trust import Examined, verify
from trimtab.core.model.attestation import TEST_RESULT, provenance, step_result
from trimtab.core.model.envelope import Envelope, Signature, Standing
from trimtab.core.model.release import digest_of
from trimtab.core.model.specification import RequireSpec

NOW = CUT_AT + 3600
DAY_S = 86_400.0
ANYTHING = RequireSpec()
GATES = RequireSpec(gates=("test", "lint"))


def reason(policy: RequireSpec, found: Sequence[Examined], now: float = NOW, app: str = "shop") -> str:
    """Why the release is refused."""
    trust = verify(policy, app, RELEASE, found, now)
    assert not trust.accepted
    return trust.reason


def accepted(policy: RequireSpec, found: Sequence[Examined], now: float = NOW) -> bool:
    return verify(policy, "shop", RELEASE, found, now).accepted


def test_what_was_cut_and_signed_is_let_in() -> None:
    trust = verify(GATES, "shop", RELEASE, attested(build()), NOW)
    assert trust.accepted
    assert trust.reason == "run shop/12 cut it from cccccccc, with 2 gates passed"


def test_what_is_not_signed_is_refused() -> None:
    assert reason(ANYTHING, []) == "it is not signed: nothing is attested of it"
    unsigned = Examined("run-12, attestation 1", Envelope(provenance(build()), ()), ())
    assert reason(ANYTHING, [unsigned]) == "it is not signed"


def test_nothing_is_looked_at_where_nothing_is_required() -> None:
    damaged = [Examined("run-12, attestation 1", None, why="it is no DSSE envelope")]
    assert accepted(RequireSpec(provenance=False), [])
    assert accepted(RequireSpec(provenance=False), damaged)


@pytest.mark.parametrize(("standing", "said"), [("unknown", "is not trusted here"), ("revoked", "was revoked")])
def test_keys_that_are_not_trusted(standing: Standing, said: str) -> None:
    assert reason(ANYTHING, attested(build(), standing)) == f"it is signed by key {KEY[:12]}, which {said}"
    # Somebody else's are no reason against it either.
    assert accepted(ANYTHING, [*attested(build(11), standing), *attested(build(12))])
    assert "nothing is attested of test in run shop/12" in reason(
        GATES, [*attested(build(12))[:1], *attested(build(12), standing)[1:]]
    )


def test_one_that_was_changed_is_enough_to_refuse_it() -> None:
    good = list(attested(build()))
    for bad in (examined(provenance(build(13)), "bad"), Examined("run-13, attestation 1", None, why="it is nothing")):
        assert accepted(ANYTHING, good)
        assert bad.place in reason(ANYTHING, [*good, bad])


def test_a_second_signature_must_be_right_too() -> None:
    envelope = Envelope(provenance(build()), (Signature(KEY, b"1"), Signature("f" * 64, b"2")))
    for standings, fine in ((("good", "unknown"), True), (("good", "bad"), False), (("unknown", "revoked"), False)):
        assert accepted(ANYTHING, [Examined("run-12", envelope, standings)]) is fine  # type: ignore[arg-type]


def test_statements_about_something_else() -> None:
    other = replace(build(), release=digest_of(b"another manifest"))
    assert "it is about release" in reason(ANYTHING, [examined(provenance(other))])
    assert "it is about shop, shop/code, not about cart" in reason(
        ANYTHING, [examined(provenance(build()))], app="cart"
    )
    lent = json.loads(provenance(build()))
    lent["predicate"]["buildDefinition"]["externalParameters"]["app"] = "cart"
    assert "it tells of a run of cart" in reason(ANYTHING, [examined(json.dumps(lent).encode())])
    lent = json.loads(step_result(build(), build().steps[0]))
    lent["predicate"]["configuration"][0]["uri"] = "urn:trimtab:step:cart/12/test"
    assert "it tells of a run of cart" in reason(ANYTHING, [*attested(build()), examined(json.dumps(lent).encode())])


def test_a_payload_of_another_type() -> None:
    envelope = Envelope(provenance(build()), (Signature(KEY, b"1"),), "text/plain")
    assert "holds text/plain" in reason(ANYTHING, [Examined("run-12", envelope, ("good",))])


def test_a_predicate_that_nobody_knows_says_nothing() -> None:
    unknown = json.loads(provenance(build()))
    unknown["predicateType"] = "https://example.com/sbom/v1"
    found = examined(json.dumps(unknown).encode())
    assert reason(ANYTHING, [found]) == "nothing says where it comes from"
    assert accepted(ANYTHING, [found, *attested(build())])
    assert reason(ANYTHING, list(attested(build()))[1:]) == "nothing says where it comes from"


def test_age_counts_to_the_second() -> None:
    policy = RequireSpec(max_age_s=90 * DAY_S)
    assert accepted(policy, attested(build()), CUT_AT + 90 * DAY_S)
    said = reason(policy, attested(build()), CUT_AT + 91 * DAY_S)
    assert said == "it was cut 91 days ago by run shop/12, and 90 days are allowed"
    # Another run has cut the same since.
    again = build(30, finished_at=CUT_AT + 80 * DAY_S)
    assert accepted(policy, [*attested(build()), *attested(again)], CUT_AT + 91 * DAY_S)


def test_gates_count_only_with_the_run_that_fulfils_the_rest() -> None:
    policy = replace(GATES, max_age_s=DAY_S)
    young = replace(build(30, finished_at=CUT_AT + 10 * DAY_S), steps=build().steps[:1])
    said = reason(policy, [*attested(build()), *attested(young)], CUT_AT + 10 * DAY_S)
    assert said == "nothing is attested of lint in run shop/30"


def test_a_gate_that_failed() -> None:
    found = json.loads(step_result(build(), build().steps[0]))
    found["predicate"]["result"] = "FAILED"
    failed = examined(json.dumps(found).encode(), place="run-12, attestation 9")
    assert reason(GATES, [*attested(build()), failed]) == "test failed in run shop/12"


def test_a_gate_with_variants_needs_all_of_them() -> None:
    variant = replace(build().steps[0], spec=replace(build().steps[0].spec, name="test@3.12"))
    record = replace(build(), steps=[variant])
    assert accepted(RequireSpec(gates=("test",)), attested(record))
    found = json.loads(step_result(record, replace(variant, spec=replace(variant.spec, name="test@3.13"))))
    found["predicate"]["result"] = "FAILED"
    both = [*attested(record), examined(json.dumps(found).encode())]
    assert reason(RequireSpec(gates=("test",)), both) == "test failed in run shop/12"


def test_what_a_pull_request_brings_goes_nowhere_but_to_its_preview() -> None:
    asked = replace(build(13), asked={"pullRequest": "pull request 7"})
    said = reason(ANYTHING, attested(asked))
    assert said == "run shop/13 cut it of pull request 7, which is for its preview only"
    assert verify(ANYTHING, "shop", RELEASE, attested(asked), NOW, preview=True).accepted
    # Once it was merged, the same content has a run of the deployed branch.
    assert accepted(ANYTHING, [*attested(asked), *attested(build(14))])


def test_builders() -> None:
    policy = RequireSpec(builders=("https://trimtab.example.com",))
    assert accepted(policy, attested(build()))
    other = attested(build(builder="http://127.0.0.1:7070"))
    assert reason(policy, other) == "http://127.0.0.1:7070 made it, which is none of the builders that may"


@given(st.data())
def test_whatever_is_signed_is_judged_and_never_breaks(data: st.DataObject) -> None:
    """A trusted key may have signed anything at all."""
    values = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), st.lists, max_leaves=4)
    statement = json.loads(data.draw(st.sampled_from([provenance(build()), step_result(build(), build().steps[0])])))
    place = statement
    while True:
        keys = sorted(place) if isinstance(place, dict) else range(len(place))
        key = data.draw(st.sampled_from(list(keys)))
        if isinstance(place[key], dict | list) and place[key] and data.draw(st.booleans()):
            place = place[key]
            continue
        place[key] = data.draw(values)
        break
    trust = verify(GATES, "shop", RELEASE, [examined(json.dumps(statement).encode())], NOW)
    assert not trust.accepted
    assert trust.reason


@given(st.binary(max_size=200))
def test_any_bytes_for_a_statement(payload: bytes) -> None:
    assert not accepted(ANYTHING, [examined(payload)])


def test_the_kind_of_test_results_is_in_toto_s() -> None:
    assert json.loads(step_result(build(), build().steps[1]))["predicateType"] == TEST_RESULT
