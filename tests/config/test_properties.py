"""What holds for every text, every specification and every typing mistake."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import Phase, assume, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from tests.config.samples import EVERYTHING
from tests.config.specifications import DATA, SPECIFICATIONS, as_file, as_yaml
from trimtab.config import load, schema
from trimtab.core.errors import Problem, TrimtabError
from trimtab.core.model.release import canonical_json
from trimtab.core.model.specification import Specification

FRAGMENTS = [*re.findall(r"\w+|\W", EVERYTHING), "&a ", "*a", "<<: ", "!!int ", "\t", "---\n", '"\\0"', '"\\U00110000"']
PLACE = re.compile(r"trimtab\.yaml:[1-9][0-9]*:[1-9][0-9]*")

calm = settings(deadline=None, max_examples=100)
# Making a whole specification smaller takes minutes; pytest's picture of the difference is small already.
as_found = settings(calm, phases=[Phase.explicit, Phase.reuse, Phase.generate])


def check_loads_or_explains(text: str | bytes) -> None:
    problems: tuple[Problem, ...] = ()
    try:
        assert canonical_json(asdict(load(text)))
    except TrimtabError as error:
        problems = error.problems
        assert problems
    assert all(PLACE.fullmatch(problem.where) for problem in problems)
    assert all(problem.message and "\n" not in problem.message for problem in problems)


@calm
@given(st.text() | st.binary())
def test_any_text_loads_or_is_explained(text: str | bytes) -> None:
    check_loads_or_explains(text)


@calm
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=40).map("".join))
def test_pieces_of_a_file_in_any_order_load_or_are_explained(text: str) -> None:
    check_loads_or_explains("app: shop\nservice: {command: run}\n" + text)


@calm
@given(st.integers(0, len(EVERYTHING)), st.integers(0, 12), st.sampled_from(FRAGMENTS) | st.text(max_size=5))
def test_a_damaged_file_loads_or_is_explained(start: int, length: int, instead: str) -> None:
    check_loads_or_explains(EVERYTHING[:start] + instead + EVERYTHING[start + length :])


ODD = (
    DATA
    | st.integers()
    | st.floats()
    | st.sampled_from(["101%", "-5%", "0s", "9999d", "../x", "1:2", "a b", "=" * 200])
)


@as_found
@given(file=SPECIFICATIONS.map(as_file), odd=ODD, data=st.data())
def test_a_file_with_anything_anywhere_loads_or_is_explained(file: Any, odd: Any, data: st.DataObject) -> None:
    group = file
    while True:
        key = data.draw(st.sampled_from(list(group) if isinstance(group, dict) else range(len(group))))
        if not isinstance(group[key], (dict, list)) or not group[key] or data.draw(st.booleans()):
            break
        group = group[key]
    group[key] = odd
    check_loads_or_explains(json.dumps(file, ensure_ascii=False))


@as_found
@given(SPECIFICATIONS)
def test_a_specification_comes_back_from_the_file_that_says_it(specification: Specification) -> None:
    assert load(as_yaml(specification)) == specification


@as_found
@given(SPECIFICATIONS)
def test_the_schema_takes_every_valid_file(specification: Specification) -> None:
    Draft202012Validator(schema()).validate(as_file(specification))


LINES = EVERYTHING.splitlines()
FREE_NAMES = {
    "answer",
    "judge",
    "LOG_LEVEL",
    "STAGE",
    "test",
    "lint",
    "code",
    "prompts",
    "staging",
    "production",
}
KEYS = [
    (number, match[0])
    for number, line in enumerate(LINES)
    if (match := re.search(r"\w+(?=:)", line)) and match[0] not in FREE_NAMES
]


@pytest.mark.parametrize(("number", "key"), KEYS, ids=[f"{number + 1}-{key}" for number, key in KEYS])
@given(data=st.data())
@settings(max_examples=5, deadline=None)
def test_a_misspelt_key_is_reported_in_its_line(number: int, key: str, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(key) - 1))
    misspelt = key[:position] + data.draw(st.sampled_from(["", "x", "-"])) + key[position + 1 :]
    assume(misspelt not in ("", key) and not misspelt.startswith("-"))
    wrong = LINES[number].replace(key, misspelt, 1)
    with pytest.raises(TrimtabError) as caught:
        load("\n".join([*LINES[:number], wrong, *LINES[number + 1 :]]))
    unknown = [problem for problem in caught.value.problems if problem.code == "config-unknown-setting"]
    column = len(wrong) - len(wrong.lstrip(" -")) + 1
    assert [problem.where for problem in unknown] == [f"trimtab.yaml:{number + 1}:{column}"]
    assert f"{misspelt}`" in unknown[0].message


VALUES = [
    number
    for number, line in enumerate(LINES)
    if re.search(r": [^{\[]", line) and not re.search(r"(LOG_LEVEL|STAGE|config|parameters|test|env):", line)
]


@pytest.mark.parametrize("number", VALUES, ids=[f"{number + 1}-{LINES[number].strip()}" for number in VALUES])
@pytest.mark.parametrize("instead", ["[[wrong]]", "{wrong: value}"])
def test_a_wrong_value_is_reported_where_it_stands(number: int, instead: str) -> None:
    key = LINES[number][: LINES[number].index(": ") + 2]
    with pytest.raises(TrimtabError) as caught:
        load("\n".join([*LINES[:number], key + instead, *LINES[number + 1 :]]))
    assert {problem.where.split(":")[1] for problem in caught.value.problems} == {str(number + 1)}
