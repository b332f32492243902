"""The file that `trimtab init` writes."""

from __future__ import annotations

import re

import pytest

from trimtab.config import SCHEMA_PATH, load, template
from trimtab.core.errors import TrimtabError
from trimtab.core.model.specification import EnvironmentSpec, ServiceSpec, Specification


def test_it_means_the_defaults() -> None:
    assert load(template("shop", command="python -m shop")) == Specification(
        app="shop",
        service=ServiceSpec(command="python -m shop"),
        environments=(EnvironmentSpec(name="production", port=8080),),
    )


def test_what_is_commented_out_says_the_default() -> None:
    text = template("shop")
    everything = re.sub(r"^( *)#(?=[a-z-])", r"\1", text, flags=re.MULTILINE)
    assert everything.count("\n#") < text.count("\n#")
    assert load(everything) == load(text)


def test_its_examples_load() -> None:
    everything = re.sub(
        r"^( *)# (?=health:|pipeline:|  build:|  test:|  evals:|staging:)", r"\1", template("shop"), flags=re.M
    )
    specification = load(everything)
    assert [step.name for step in specification.steps] == ["build", "test", "evals"]
    assert [environment.name for environment in specification.environments] == ["staging", "production"]
    assert specification.service.health_path == "/healthz"


def test_editors_find_the_schema() -> None:
    assert template("shop").splitlines()[0] == f"# yaml-language-server: $schema={SCHEMA_PATH}"


def test_it_is_short() -> None:
    assert len(template("shop").splitlines()) < 60


@pytest.mark.parametrize(
    "command", ["a: b # c", "'quoted' \"twice\"", "first\nsecond", "{x}", "*all", "no", "é 🚀", "5"]
)
def test_any_command_comes_back_as_it_is(command: str) -> None:
    assert load(template("shop", command=command)).service.command == command


@pytest.mark.parametrize("app", ["123", "no", "null"])
def test_a_name_that_yaml_takes_for_something_else(app: str) -> None:
    assert load(template(app)).app == app


def test_a_name_that_is_none_is_refused() -> None:
    with pytest.raises(TrimtabError, match="my-shop"):
        template("My Shop")
