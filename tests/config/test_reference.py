"""The reference page documents every setting, and every YAML block in it loads."""

from __future__ import annotations

import re

import pytest
from jsonschema import Draft202012Validator
from ruamel.yaml import YAML

from tests.config.reference_tables import PAGE, TABLE, WHOLE_FILE, groups, with_current_tables
from trimtab.config import load, schema

TEXT = PAGE.read_text()
BLOCKS = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)


def test_every_group_of_settings_has_its_table() -> None:
    assert sorted(found["group"] for found in TABLE.finditer(TEXT)) == sorted(groups())


def test_the_tables_are_current() -> None:
    assert with_current_tables(TEXT) == TEXT, "run: python -m tests.config.reference_tables"


@pytest.mark.parametrize("group", groups())
def test_every_setting_is_in_the_table_of_its_group(group: str) -> None:
    (table,) = (found[0] for found in TABLE.finditer(TEXT) if found["group"] == group)
    assert set(groups()[group]["properties"]) == set(re.findall(r"^\| `([\w-]+)` \|", table, re.MULTILINE))


@pytest.mark.parametrize("group", sorted(groups().keys() - {WHOLE_FILE}))
def test_links_to_a_group_lead_to_its_heading(group: str) -> None:
    assert f"#{group.lower()})" in TEXT
    assert f'<a id="{group.lower()}"></a>' in TEXT


@pytest.mark.parametrize("block", BLOCKS, ids=range(1, len(BLOCKS) + 1))
def test_every_yaml_block_loads_and_is_valid(block: str) -> None:
    whole = block if block.startswith("app:") or "\napp:" in block else f"app: shop\n{block}"
    if "service:" not in whole:
        whole += "service: {command: run}\n"
    assert load(whole)
    Draft202012Validator(schema()).validate(YAML(typ="safe", pure=True).load(whole))


def test_there_are_examples() -> None:
    assert len(BLOCKS) >= 8
