"""The published JSON Schema and the loader tell the same truth."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from tests.config.golden import BAD
from tests.config.samples import EVERYTHING, MINIMAL
from trimtab.config import load, schema, schema_text, template

PUBLISHED = Path(__file__).parents[2] / "docs" / "reference" / "trimtab.schema.json"


def is_valid(text: str) -> bool:
    return bool(Draft202012Validator(schema()).is_valid(YAML(typ="safe", pure=True).load(text)))


def test_the_published_schema_is_current() -> None:
    assert PUBLISHED.read_text() == schema_text(), "run: python -m trimtab.config > docs/reference/trimtab.schema.json"


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(schema())


@pytest.mark.parametrize("text", [MINIMAL, EVERYTHING, template("shop")], ids=["minimal", "everything", "template"])
def test_good_files_are_valid(text: str) -> None:
    assert load(text)
    assert is_valid(text)


@pytest.mark.parametrize(
    ("step", "valid"),
    [
        ("{uses: trimtab/lint}", True),
        ("{run: make}", True),
        ("{uses: a.yaml, run: make}", True),
        ("{needs: []}", False),
    ],
)
def test_a_step_has_a_command_or_a_template(step: str, valid: bool) -> None:
    assert is_valid(f"{MINIMAL}pipeline: {{a: {step}}}\n") is valid


@pytest.mark.parametrize("name", ["wrong_types", "unknown_settings", "left_empty", "names", "numbers", "analysis"])
def test_bad_files_are_not(name: str) -> None:
    assert not is_valid((BAD / f"{name}.yaml").read_text())


def settings() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Name, the group it is in and its schema, for every setting."""
    whole = schema()
    for group, definition in [("ConfigurationFile", whole), *whole["$defs"].items()]:
        for name, setting in definition["properties"].items():
            yield f"{group}.{name}", definition, setting


SETTINGS = list(settings())


@pytest.mark.parametrize(("group", "setting"), [s[1:] for s in SETTINGS], ids=[s[0] for s in SETTINGS])
def test_every_setting_has_a_meaning_and_examples_that_are_valid(
    group: dict[str, Any], setting: dict[str, Any]
) -> None:
    assert setting["description"].endswith(".")
    assert setting["examples"]
    validator = Draft202012Validator({**setting, "$defs": schema()["$defs"]})
    for example in copy.deepcopy(setting["examples"]):
        validator.validate(example)
    if "default" in setting:
        validator.validate(setting["default"])
