"""Steps made of templates: what they become, and what is said of those that become nothing."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.config import load
from trimtab.config.own_templates import NAMES
from trimtab.config.templates import Files
from trimtab.core.errors import Problem, TrimtabError
from trimtab.core.model.pipeline import StepSpec
from trimtab.core.model.template import TemplateAt, template_digest
from trimtab.gates.__main__ import GATES

URL = "https://git.example.com/steps.git"
PYTEST = """\
description: Tests with pytest.
parameters:
  python: {default: python3, description: The interpreter.}
  folder: {required: true, description: Where the tests are.}
  arguments: {default: []}
step:
  run: ${{ python }} -m pytest ${{ folder }} ${{ arguments }}
  env: {FOLDER: "${{folder}}", CI: "1"}
  outputs: report.xml
  reports: {junit: report.xml}
  timeout: 5m
"""


def files(**here: str) -> Files:
    """Templates by path, with `__` for a slash and without their ending; those of `URL` begin with `there__`."""
    known = {f"{name.replace('__', '/')}.yaml": text for name, text in here.items()}

    def read(at: TemplateAt) -> bytes | None:
        text = known.get(f"there/{at.path}" if at.repository else at.path)
        return None if text is None else text.encode()

    return read


def file(pipeline: str) -> str:
    return f"app: shop\nservice: {{command: serve}}\npipeline:\n{pipeline}"


def steps(pipeline: str, **templates: str) -> Mapping[str, StepSpec]:
    return {step.name: step for step in load(file(pipeline), files=files(**templates)).steps}


def problems(pipeline: str, **templates: str) -> list[tuple[str, str, str]]:
    """Place, code and message of each."""
    with pytest.raises(TrimtabError) as caught:
        load(file(pipeline), files=files(**templates))
    return [(each.where, each.code, each.message) for each in caught.value.problems]


def pinned(text: str, path: str = "a.yaml", **more: str) -> str:
    return json.dumps({"repository": URL, "path": path, "digest": template_digest(text.encode()), **more})


# --- what steps become -----------------------------------------------------------------------------------------------


def test_a_step_is_its_template_with_its_parameters() -> None:
    step = steps("  test: {uses: t/py.yaml, with: {folder: tests, arguments: [-k, a b]}}\n", t__py=PYTEST)["test"]
    assert step.run == "python3 -m pytest tests -k 'a b'"
    assert step.env == {"FOLDER": "tests", "CI": "1"}
    assert (step.outputs, step.timeout_s, step.reports[0].files) == (("report.xml",), 300.0, ("report.xml",))


def test_what_the_step_says_itself_goes_before_its_template() -> None:
    own = "{uses: ./t/py.yaml, with: {folder: x}, timeout: 1m, outputs: other, env: {CI: no, MORE: yes}, needs: a}"
    step = steps(f"  a: b\n  test: {own}\n", t__py=PYTEST)["test"]
    assert (step.timeout_s, step.outputs, step.needs) == (60.0, ("other",), ("a",))
    assert step.env == {"FOLDER": "x", "CI": "no", "MORE": "yes"}


@pytest.mark.parametrize("evil", ["; rm -rf /", "$(id)", "`id`", "a'b", '"', "a\nb", "", "-x", "${{ python }}"])
def test_what_is_given_never_becomes_code(evil: str) -> None:
    own = json.dumps({"uses": "t.yaml", "with": {"folder": evil}})
    step = steps(f"  test: {own}\n", t=PYTEST)["test"]
    words = step.run.removeprefix("python3 -m pytest ").rstrip()
    assert shlex.split(words) == [evil]
    assert step.env["FOLDER"] == evil


def test_whole_values_keep_their_kind() -> None:
    template = """
parameters: {files: {required: true}, retry: {default: 2}, command: {default: make all}, data: {default: {a: [1, x]}}}
step:
  run: ${{ command }}
  inputs: ${{ files }}
  retry: ${{ retry }}
  env: {DATA: "${{ data }}", TEXT: "is ${{ data }}"}
"""
    step = steps("  a: {uses: t.yaml, with: {files: [src/, x]}}\n", t=template)["a"]
    assert (step.run, step.inputs, step.retries) == ("make all", ("src/", "x"), 2)
    assert step.env == {"DATA": '{"a": [1, "x"]}', "TEXT": 'is {"a": [1, "x"]}'}


def test_text_is_as_it_is_written() -> None:
    template = 'parameters: {v: {required: true}}\nstep: {run: "x ${{ v }}", env: {V: "${{ v }}"}}\n'
    step = steps("  a: {uses: t.yaml, with: {v: 3.10}}\n", t=template)["a"]
    assert (step.run, step.env) == ("x 3.10", {"V": "3.10"})


def test_templates_use_templates() -> None:
    outer = (
        "parameters: {where: {default: unit}}\nstep: {uses: in/py.yaml, with: {folder: '${{ where }}'}, timeout: 2m}\n"
    )
    step = steps("  test: {uses: outer.yaml, timeout: 3m}\n", outer=outer, in__py=PYTEST)["test"]
    assert (step.run.split()[3], step.timeout_s) == ("unit", 180.0)


def test_a_template_of_another_repository() -> None:
    inner = "step: {run: make}\n"
    outer = f"step: {{uses: {pinned(inner, 'inner.yaml')}, timeout: 2m}}\n"
    step = steps(f"  a: {{uses: {pinned(outer)}}}\n", there__a=outer, there__inner=inner)["a"]
    assert (step.run, step.timeout_s) == ("make", 120.0)


def test_a_matrix_and_short_forms_beside_templates() -> None:
    found = steps("  a: {uses: t.yaml, matrix: {V: [x, y]}}\n  b: make\n", t="step: {run: make}\n")
    assert set(found) == {"a@x", "a@y", "b"}


# --- Trimtab's own ---------------------------------------------------------------------------------------------------

NEEDED: Mapping[str, Any] = {"smoke": {"requests": ["/"]}}


@pytest.mark.parametrize("name", NAMES)
def test_each_of_trimtabs_own_runs_its_gate(name: str) -> None:
    own = json.dumps({"uses": f"trimtab/{name}", **({"with": NEEDED[name]} if name in NEEDED else {})})
    step = steps(f"  x: {own}\n")["x"]
    assert step.gate == name
    assert f'"$TRIMTAB_PYTHON" -I "$TRIMTAB_GATES" {name} ' in step.run
    assert step.reports
    assert step.cached is (name not in ("dependency-audit", "model"))


def test_there_is_a_template_for_every_gate() -> None:
    assert set(NAMES) == set(GATES)


def test_gates_that_ask_the_service_are_told_of_it() -> None:
    text = """
app: shop
service: {command: serve $P, port: P, health: {path: /up, timeout: 5s}, env: {MODE: test}, stop_timeout: 3s}
pipeline:
  smoke: {uses: trimtab/smoke, with: {requests: [/, {path: /x, status: 404}]}}
  scan: {uses: trimtab/secret-scan}
"""
    smoke, scan = load(text).steps
    assert json.loads(smoke.env["TRIMTAB_SERVICE"]) == {
        "command": "serve $P",
        "port_env": "P",
        "health_path": "/up",
        "health_timeout_s": 5.0,
        "stop_timeout_s": 3.0,
        "env": {"MODE": "test"},
    }
    assert json.loads(smoke.env["SMOKE_REQUESTS"]) == ["/", {"path": "/x", "status": 404}]
    assert "TRIMTAB_SERVICE" not in scan.env


# --- what is wrong ---------------------------------------------------------------------------------------------------

USES = "  a:\n    uses: t.yaml\n"
WRONG: dict[str, tuple[str, dict[str, str], list[tuple[str, str, str]]]] = {
    "no such file": (USES, {}, [("trimtab.yaml:5:11", "template-missing", "there is no file `t.yaml`")]),
    "none of ours": (
        "  a: {uses: trimtab/secrets-scan}\n",
        {},
        [("trimtab.yaml:4:13", "template-missing", "Trimtab has no template `secrets-scan`")],
    ),
    "no template": (
        USES,
        {"t": "run: make\n"},
        [
            ("t.yaml:1:1", "config-unknown-setting", "`run` is not a known setting"),
            ("t.yaml:1:1", "config-missing-setting", "`step` is missing"),
        ],
    ),
    "no YAML": (USES, {"t": "step: [\n"}, [("t.yaml:2:1", "config-syntax", "the file ends in the middle of a value")]),
    "a wrong setting in it": (
        USES,
        {"t": "step:\n  run: make\n  timeout: soon\n"},
        [("t.yaml:3:12", "config-invalid-value", "`pipeline.a.timeout` must be a duration, but it is the text `soon`")],
    ),
    "a wrong value that was given": (
        USES + "    with: {t: soon}\n",
        {"t": "parameters: {t: {required: true}}\nstep:\n  run: make\n  timeout: ${{ t }}\n"},
        [
            (
                "trimtab.yaml:6:15",
                "config-invalid-value",
                "`pipeline.a.timeout` must be a duration, but it is the text `soon`",
            )
        ],
    ),
    "an unknown setting in it": (
        USES,
        {"t": "step:\n  run: make\n  timeot: 5s\n"},
        [("t.yaml:3:3", "config-unknown-setting", "`pipeline.a.timeot` is not a known setting")],
    ),
    "a parameter that there is not": (
        USES + "    with:\n      fodler: x\n      folder: y\n",
        {"t": PYTEST},
        [("trimtab.yaml:7:7", "template-parameter", "`fodler` is no parameter of the template")],
    ),
    "a parameter that must be said": (
        USES,
        {"t": PYTEST},
        [("trimtab.yaml:5:5", "template-parameter", "`folder` must be said: Where the tests are.")],
    ),
    "a place for what is no parameter": (
        USES,
        {"t": "step:\n  run: make ${{ target }}\n"},
        [("t.yaml:2:8", "template-parameter", "`target` is no parameter of this template")],
    ),
    "a parameter without a place": (
        USES,
        {"t": "parameters:\n  x: {default: 1}\nstep: {run: make}\n"},
        [("t.yaml:2:3", "template-parameter", "the parameter `x` has no place in the step")],
    ),
    "neither default nor required": (
        USES,
        {"t": 'parameters:\n  x: {}\nstep: {run: "make ${{ x }}"}\n'},
        [("t.yaml:2:3", "template-parameter", "the parameter `x` has no `default`")],
    ),
    "an expression": (
        USES,
        {"t": "parameters: {x: {default: 1}}\nstep:\n  run: make ${{ x + 1 }} ${{ x }}\n"},
        [("t.yaml:3:8", "template-parameter", "`${{` must be followed by the name of a parameter and `}}`")],
    ),
    "in quotes": (
        USES,
        {"t": "parameters: {x: {default: 1}}\nstep:\n  run: make '${{ x }}'\n"},
        [("t.yaml:3:8", "template-parameter", "`${{ x }}` stands in quotes, and is quoted by itself")],
    ),
    "`with` alone": (
        "  a: {run: make, with: {x: 1}}\n",
        {},
        [("trimtab.yaml:4:18", "template-parameter", "`with` says something to a template, and there is no `uses`")],
    ),
    "a number": ("  a: {uses: 7}\n", {}, [("trimtab.yaml:4:13", "config-wrong-type", "`uses` must be a path, or")]),
    "a path that leads out": (
        "  a: {uses: ../t.yaml}\n",
        {},
        [
            (
                "trimtab.yaml:4:13",
                "config-invalid-value",
                "`../t.yaml` must be the path of a YAML file in the repository",
            )
        ],
    ),
    "itself": (
        USES,
        {"t": "step: {uses: t.yaml}\n"},
        [("t.yaml:1:14", "template-depth", "more than 5 templates use each other, or one uses itself")],
    ),
    "not pinned from within": (
        f"  a: {{uses: {pinned('step: {uses: b.yaml}')}}}\n",
        {"there__a": "step: {uses: b.yaml}", "b": "step: {run: make}"},
        [(f"a.yaml of {URL}:1:14", "template-unpinned", "`b.yaml` is not pinned")],
    ),
    "another file": (
        f"  a: {{uses: {pinned('step: {run: make}')}}}\n",
        {"there__a": "step: {run: steal}"},
        [("trimtab.yaml:4:13", "template-digest", f"`a.yaml of {URL}` is another file than the one that is pinned")],
    ),
    "a password": (
        "  a: {uses: {repository: 'https://ann:hunter2@git.example.com/x.git', path: a.yaml}}\n",
        {},
        [
            (
                "trimtab.yaml:4:26",
                "config-invalid-value",
                "`repository` has a password, and everybody who reads the file",
            )
        ],
    ),
    "a file of the machine": (
        "  a: {uses: {repository: 'file:///etc', path: a.yaml}}\n",
        {},
        [("trimtab.yaml:4:26", "config-invalid-value", "`repository` must be the address of a Git repository")],
    ),
    "an address that is none": (
        "  a: {uses: {repository: ../x, path: a.yaml, digest: sha256:1}}\n",
        {},
        [
            ("trimtab.yaml:4:26", "config-invalid-value", "`repository` must be the address of a Git repository"),
            ("trimtab.yaml:4:54", "config-invalid-value", "`digest` must be `sha256:` and 64 hexadecimal digits"),
        ],
    ),
}


@pytest.mark.parametrize(("pipeline", "templates", "expected"), WRONG.values(), ids=WRONG)
def test_problems_have_their_file_and_place(
    pipeline: str, templates: dict[str, str], expected: list[tuple[str, str, str]]
) -> None:
    found = problems(pipeline, **templates)
    assert len(found) == len(expected), found
    for (where, code, message), (wanted_where, wanted_code, beginning) in zip(found, expected, strict=True):
        assert (where, code) == (wanted_where, wanted_code), message
        assert message.startswith(beginning)


def test_what_is_not_pinned_is_told_its_digest() -> None:
    text = "step: {run: make}\n"
    with pytest.raises(TrimtabError) as caught:
        load(file(f"  a: {{uses: {{repository: '{URL}', path: a.yaml}}}}\n"), files=files(there__a=text))
    assert caught.value.problem.code == "template-unpinned"
    assert template_digest(text.encode()) in caught.value.problem.hint


def test_other_problems_are_found_beside_a_template_that_is_missing() -> None:
    found = problems("  a: {uses: t.yaml, timeout: soon}\n  b: {run: x, needs: c}\n")
    assert [code for _, code, _ in found] == ["template-missing", "config-invalid-value", "config-unknown-step"]


def test_where_nobody_can_look_the_rest_is_checked() -> None:
    pipeline = f"  a: {{uses: t.yaml}}\n  b: {{uses: {pinned('x')}, needs: a}}\n"
    assert [step.run for step in load(file(pipeline)).steps] == ["true", "true"]
    with pytest.raises(TrimtabError) as caught:
        load(file("  a: {uses: t.yaml, needs: z}\n"))
    assert caught.value.problem.code == "config-unknown-step"


def test_templates_that_grow_without_end_are_refused() -> None:
    many = ", ".join(["'${{ x }}'"] * 60)
    doubling = f"parameters: {{x: {{default: [a]}}}}\nstep: {{uses: b.yaml, with: {{x: [{many}]}}}}\n"
    templates = {"a": doubling, "b": doubling.replace("b.yaml", "c.yaml"), "c": doubling.replace("b.yaml", "d.yaml")}
    templates["d"] = "parameters: {x: {default: [a]}}\nstep: {run: make, inputs: '${{ x }}'}\n"
    found = problems("  a: {uses: a.yaml}\n", **templates)
    assert "config-too-large" in [code for _, code, _ in found]


PIECES = ["parameters:", "step:", " x:", "{default: 1}", "${{ x }}", "${{", "}}", "run: ", "uses: t.yaml"]
PIECES += ["\n", "  ", "[", "'"]


@settings(deadline=None, max_examples=150)
@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join) | st.text(max_size=30))
def test_whatever_a_template_says_it_loads_or_is_explained(text: str) -> None:
    said: tuple[Problem, ...] = ()
    try:
        load(file("  a: {uses: t.yaml, with: {x: 1}}\n"), files=files(t=text))
    except TrimtabError as error:
        said = error.problems
    assert all(problem.message and problem.where for problem in said)
