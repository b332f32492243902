"""What holds for every Rollout and for every text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.imports.golden import GOOD
from tests.imports.rollouts import INPUTS, title
from trimtab.config import load
from trimtab.core.errors import Problem, TrimtabError
from trimtab.imports.argo_rollouts import Imported, Source, translate
from trimtab.imports.argo_rollouts.report import path_text

NOT_DOCUMENTED = ("typo", "unknown", "setWieght")

calm = settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
as_found = settings(calm, phases=[Phase.explicit, Phase.reuse, Phase.generate])
TEXT = "\n---\n".join(path.read_text() for path in GOOD[:3])
FRAGMENTS = [
    *re.findall(r"\w+|\W", GOOD[0].read_text()),
    "&a ",
    "*a",
    "<<: ",
    "\n---\n",
    "{{ .Values.a }}",
    "\t",
    '"\\0"',
]


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The ways to everything that holds nothing else, found without the code under test."""
    if isinstance(value, dict) and value:
        for key, child in value.items():
            yield from leaves(child, (*path, key))
    elif isinstance(value, list) and value:
        for index, child in enumerate(value):
            yield from leaves(child, (*path, index))
    else:
        yield path


def covering(path: tuple[str | int, ...]) -> set[str]:
    """The paths of a report that speak of this one."""
    return {path_text(path[:end]) for end in range(len(path) + 1)}


def check_covers(made: Imported, objects: list[Any]) -> None:
    for value in objects:
        paths = [field.path for field in made.fields if field.object == title(value)]
        assert len(paths) == len(set(paths))
        for leaf in leaves(value):
            assert len(covering(leaf) & set(paths)) == 1, path_text(leaf)
    assert all(re.fullmatch(r"[^:]+:[1-9]\d*:[1-9]\d*", field.place) for field in made.fields)
    assert all(field.note for field in made.fields if field.outcome != "mapped")


@as_found
@given(INPUTS)
def test_every_field_is_reported_once_and_the_configuration_loads(objects: list[Any]) -> None:
    text = "\n---\n".join(json.dumps(value, ensure_ascii=False, indent=1) for value in objects)
    made = translate([Source("in.yaml", text)])
    check_covers(made, objects)
    not_known = [field.path for field in made.fields if field.note.startswith("not known here")]
    assert [path for path in not_known if not any(name in path for name in NOT_DOCUMENTED)] == []
    load(made.configuration)


@as_found
@given(INPUTS)
def test_no_step_waits_for_evidence_that_cannot_come(objects: list[Any]) -> None:
    made = translate([Source(f"{number}.yaml", json.dumps(value)) for number, value in enumerate(objects)])
    for step in load(made.configuration).environments[-1].strategy.steps:
        has_both = 0 < step.weight_pct < 100 or (step.mirror is not None and step.weight_pct < 100)
        assert not step.evidence or has_both or step.experiment is not None
        assert not step.requests or step.weight_pct > 0 or step.mirror is not None or step.experiment is not None


@as_found
@given(INPUTS, st.randoms(use_true_random=False))
def test_the_order_of_documents_and_files_does_not_matter(objects: list[Any], random: Any) -> None:
    sources = [Source(f"{number}.yaml", json.dumps(value)) for number, value in enumerate(objects)]
    made = translate(sources)
    random.shuffle(sources)
    assert translate(sources).configuration == made.configuration


def imported_or_explained(text: str | bytes) -> None:
    problems: tuple[Problem, ...] = ()
    try:
        load(translate([Source("in.yaml", text)]).configuration)
    except TrimtabError as error:
        problems = error.problems
    assert all(problem.message and "\n" not in problem.message for problem in problems)
    assert all(problem.code.startswith("import-") for problem in problems)
    assert all(problem.code != "import-does-not-load" for problem in problems)


@calm
@given(st.text() | st.binary())
def test_any_text_is_imported_or_explained(text: str | bytes) -> None:
    imported_or_explained(text)


@calm
@given(st.integers(0, len(TEXT)), st.integers(0, 12), st.sampled_from(FRAGMENTS) | st.text(max_size=5))
def test_a_damaged_file_is_imported_or_explained(start: int, length: int, instead: str) -> None:
    imported_or_explained(GOOD[0].read_text() + "\n---\n" + TEXT[:start] + instead + TEXT[start + length :])


@as_found
@given(INPUTS, st.sampled_from([None, [], {}, "x", -1, 1.5, True, [[]], {"a": {"b": 1}}]), st.data())
def test_anything_anywhere_is_imported_or_explained(objects: list[Any], odd: Any, data: st.DataObject) -> None:
    group: Any = objects[data.draw(st.integers(0, len(objects) - 1))]
    while True:
        key = data.draw(st.sampled_from(list(group) if isinstance(group, dict) else range(len(group))))
        if not isinstance(group[key], (dict, list)) or not group[key] or data.draw(st.booleans()):
            break
        group = group[key]
    group[key] = odd
    imported_or_explained("\n---\n".join(json.dumps(value, ensure_ascii=False) for value in objects))


@pytest.mark.parametrize("case", GOOD, ids=lambda case: case.stem)
def test_a_line_that_is_cut_off_is_imported_or_explained(case: Any) -> None:
    lines = case.read_text().split("\n")
    for number in range(len(lines)):
        imported_or_explained("\n".join(lines[:number] + lines[number + 1 :]))
