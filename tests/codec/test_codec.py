from __future__ import annotations

import json
import math
import types
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trimtab.codec import decode_action, decode_fact, decode_state, encode_action, encode_fact, encode_state
from trimtab.core.decide.application import AppState
from trimtab.core.decide.environment import EnvironmentState
from trimtab.core.decide.rollout import RolloutState
from trimtab.core.decide.run import RunState
from trimtab.core.errors import TrimtabError
from trimtab.core.model.actions import ACTIONS, CancelSteps
from trimtab.core.model.facts import FACTS, EvidenceCounted, PauseRequested
from trimtab.core.stats.histogram import Histogram

STATES = (AppState, RunState, EnvironmentState, RolloutState)
INTEGERS = st.integers(-(2**63), 2**63 - 1)
PLAIN = {
    str: st.text(max_size=8),
    int: INTEGERS,
    float: st.floats(allow_nan=False),
    bool: st.booleans(),
    type(None): st.none(),
    Any: st.recursive(
        st.none() | st.booleans() | INTEGERS | st.text(max_size=4) | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
        max_leaves=4,
    ),
}


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a type, as annotated in the model."""
    if kind in PLAIN:
        return PLAIN[kind]
    if is_dataclass(kind):
        assert isinstance(kind, type)
        hints = get_type_hints(kind)
        return st.builds(kind, **{field.name: values(hints[field.name]) for field in fields(kind)})
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return st.sampled_from(arguments)
    if origin in (Union, types.UnionType):
        return st.one_of(*map(values, arguments))
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.lists(values(arguments[0]), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values, arguments))
    assert origin is Mapping, f"teach this test about {kind}"
    return st.dictionaries(values(arguments[0]), values(arguments[1]), max_size=2)


few = settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("kind", FACTS)
@few
@given(data=st.data())
def test_every_fact_comes_back_exactly(kind: str, data: st.DataObject) -> None:
    fact = data.draw(values(FACTS[kind]))
    assert decode_fact(kind, encode_fact(fact)) == fact


@pytest.mark.parametrize("kind", ACTIONS)
@few
@given(data=st.data())
def test_every_action_comes_back_exactly(kind: str, data: st.DataObject) -> None:
    action = data.draw(values(ACTIONS[kind]))
    assert decode_action(kind, encode_action(action)) == action


@pytest.mark.parametrize("kind", STATES, ids=lambda kind: kind.__name__)
@few
@given(data=st.data())
def test_every_state_comes_back_exactly(kind: type[Any], data: st.DataObject) -> None:
    state = data.draw(values(kind))
    assert decode_state(kind, encode_state(state)) == state


def test_keys_of_a_histogram_stay_numbers() -> None:
    assert decode_state(Histogram, encode_state(Histogram({3: 1, 250: 2}))) == Histogram({3: 1, 250: 2})


@pytest.mark.parametrize("log_e", [0.1 + 0.2, 5e-324, -0.0, math.inf, -math.inf])
def test_floats_are_kept_to_the_last_bit_in_valid_json(log_e: float) -> None:
    fact = EvidenceCounted(0, 1, 0, 1, 0, None, 1.5, log_e, {"errors": log_e}, 4.6, 3.0)
    text = encode_fact(fact)
    json.loads(text, parse_constant=pytest.fail)
    decoded = decode_fact("EvidenceCounted", text)
    assert isinstance(decoded, EvidenceCounted)
    assert decoded.rollback_log_e.hex() == log_e.hex()
    assert decoded.promote_log_e["errors"].hex() == log_e.hex()


@dataclass(frozen=True, slots=True)
class OlderState:
    name: str


@dataclass(frozen=True, slots=True)
class NewerState:
    name: str
    colour: str = "blue"


def test_what_an_older_version_wrote_gets_the_new_defaults() -> None:
    assert decode_state(NewerState, encode_state(OlderState("shop"))) == NewerState("shop", "blue")


def test_a_field_of_a_newer_version_is_refused() -> None:
    with pytest.raises(TrimtabError, match="stored OlderState cannot be read: field colour") as caught:
        decode_state(OlderState, encode_state(NewerState("shop")))
    assert caught.value.problem.code == "text-unreadable"
    assert "newer version" in caught.value.problem.hint


def test_a_kind_of_a_newer_version_is_refused() -> None:
    with pytest.raises(TrimtabError, match="knows no fact of the kind TeaServed") as caught:
        decode_fact("TeaServed", "{}")
    assert caught.value.problem.code == "kind-unknown"
    with pytest.raises(TrimtabError, match="knows no action of the kind PauseRequested"):
        decode_action("PauseRequested", encode_fact(PauseRequested("ann")))


@pytest.mark.parametrize("text", ["", "null", "[]", '{"app": "shop"}', '{"app": "shop", "run": "one"}', '{"app": '])
def test_damaged_text_is_refused(text: str) -> None:
    with pytest.raises(TrimtabError) as caught:
        decode_action(CancelSteps.__name__, text)
    assert caught.value.problem.code == "text-unreadable"
