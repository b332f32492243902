"""Which files patterns mean, and in which order steps come."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.core.model.paths import matching
from trimtab.core.model.pipeline import InputFile, StepSpec, in_order, needed_by
from trimtab.core.model.report import ReportSpec
from trimtab.core.model.step_key import inputs_digest, step_key

PATHS = ("README.md", "docs/a.md", "src/app.py", "src/deep/er/x.py", "src.py", "a+b.txt")


@pytest.mark.parametrize(
    ("patterns", "meant"),
    [
        (["."], PATHS),
        (["src"], ("src/app.py", "src/deep/er/x.py")),
        (["src/"], ("src/app.py", "src/deep/er/x.py")),
        (["*.py"], ("src.py",)),
        (["**/*.py"], ("src/app.py", "src/deep/er/x.py", "src.py")),
        (["src/*"], ("src/app.py", "src/deep/er/x.py")),
        (["src/**/x.py"], ("src/deep/er/x.py",)),
        (["**", "!docs"], ("README.md", "src/app.py", "src/deep/er/x.py", "src.py", "a+b.txt")),
        (["!docs"], ("README.md", "src/app.py", "src/deep/er/x.py", "src.py", "a+b.txt")),
        (["src", "!src/deep", "src/deep/er/x.py"], ("src/app.py", "src/deep/er/x.py")),
        (["a+b.txt"], ("a+b.txt",)),
        (["sr?.py"], ("src.py",)),
        (["nothing"], ()),
        ([], ()),
    ],
)
def test_what_patterns_mean(patterns: list[str], meant: tuple[str, ...]) -> None:
    assert matching(PATHS, patterns) == meant


NAMES = [f"s{number}" for number in range(12)]


@st.composite
def pipelines(draw: st.DrawFn) -> tuple[StepSpec, ...]:
    """Without circles, in any order."""
    steps = [
        StepSpec(name, "true", tuple(draw(st.sets(st.sampled_from(NAMES[:index])))) if index else ())
        for index, name in enumerate(NAMES)
    ]
    return tuple(draw(st.permutations(steps)))


@given(pipelines())
def test_each_step_comes_after_those_that_it_needs(steps: tuple[StepSpec, ...]) -> None:
    ordered = in_order(steps)
    assert sorted(step.name for step in ordered) == sorted(NAMES)
    for index, step in enumerate(ordered):
        before = {other.name for other in ordered[:index]}
        assert set(step.needs) <= before
        needed = needed_by(ordered, step.name)
        assert set(step.needs) <= set(needed) <= before


def test_a_long_chain_needs_no_deep_stack() -> None:
    chain = [StepSpec(f"s{n}", "true", (f"s{n + 1}",) if n < 4999 else ()) for n in range(5000)]
    assert in_order(chain)[0].name == "s4999"


ENV = {"TRIMTAB_APP": "shop", "TRIMTAB_STEP": "test", "PATH": "/bin"}
FILES = (InputFile("a.py", "644", "1"), InputFile("prompts/p.txt", "644", "2"))


def test_a_key_changes_with_everything_that_the_step_sees_and_with_nothing_else() -> None:
    step = StepSpec("test", "pytest", inputs=("a.py",))
    inputs = inputs_digest(FILES, step.inputs)
    key = step_key(step, ENV, inputs, (), "linux")
    changed = (InputFile("a.py", "644", "1"), InputFile("prompts/p.txt", "644", "other"))
    assert inputs_digest(changed, step.inputs) == inputs
    assert inputs_digest((InputFile("a.py", "755", "1"), FILES[1]), step.inputs) != inputs
    assert inputs_digest(changed, ()) != inputs_digest(FILES, ())
    others = {
        step_key(StepSpec("test", "pytest -x", inputs=("a.py",)), ENV, inputs, (), "linux"),
        step_key(step, {**ENV, "A": "1"}, inputs, (), "linux"),
        step_key(StepSpec("test", "pytest", outputs=("x",)), ENV, inputs, (), "linux"),
        step_key(step, ENV, inputs, ("sha256:1",), "linux"),
        step_key(step, ENV, inputs, (), "another"),
    }
    reported = StepSpec("test", "pytest", inputs=("a.py",), reports=(ReportSpec("junit", ("r.xml",)),))
    gate = StepSpec("test", "pytest", inputs=("a.py",), gate="lint")
    others |= {step_key(reported, ENV, inputs, (), "linux"), step_key(gate, ENV, inputs, (), "linux", "trimtab=1")}
    others.add(step_key(gate, ENV, inputs, (), "linux", "trimtab=2"))
    assert key not in others
    assert len(others) == 8
    held = replace(reported, reports=(ReportSpec("junit", ("r.xml",), required=True),))
    assert step_key(held, ENV, inputs, (), "linux") == step_key(reported, ENV, inputs, (), "linux"), (
        "what is taken is judged anew"
    )
    assert step_key(step, ENV, inputs, (), "linux", "trimtab=1") == key, "only gates are ours"
    assert step_key(StepSpec("renamed", "pytest", timeout_s=9.0), ENV, inputs, (), "linux") == key
