"""The tables of `docs/reference/configuration.md`, made of the JSON Schema.

`python -m tests.config.reference_tables` brings them up to date: everything between `<!-- settings: GROUP -->` and
`<!-- end of settings -->`.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from trimtab.config import schema
from trimtab.config.known import in_one_line
from trimtab.config.quantities import (
    DURATION_PATTERN,
    PERCENT_PATTERN,
    SIZE_PATTERN,
    show_duration,
    show_percent,
    show_size,
)

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "configuration.md"
WHOLE_FILE = "trimtab.yaml"
TABLE = re.compile(r"(<!-- settings: (?P<group>[\w.]+) -->\n).*?(<!-- end of settings -->)", re.DOTALL)

_BOUNDS = {
    "minimum": "at least",
    "exclusiveMinimum": "more than",
    "maximum": "at most",
    "exclusiveMaximum": "less than",
}


def groups() -> dict[str, Any]:
    """The schema of every group of settings, by name."""
    whole = schema()
    return {WHOLE_FILE: whole, **whole["$defs"]}


def with_current_tables(page: str) -> str:
    known = groups()
    return TABLE.sub(lambda found: f"{found[1]}\n{_table(known[found['group']])}\n{found[3]}", page)


def _table(group: dict[str, Any]) -> str:
    lines = ["| setting | type | default | meaning | example |", "|---|---|---|---|---|"]
    for name, setting in group["properties"].items():
        cells = [f"`{name}`", _type(setting), _default(group, name), setting["description"], _example(setting)]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _default(group: dict[str, Any], name: str) -> str:
    if name in group.get("required", []):
        return "**required**"
    setting = group["properties"][name]
    if "default" in setting:
        return f"`{in_one_line(setting['default'])}`"
    return "see meaning" if "Left out:" in setting["description"] else "none"


def _example(setting: dict[str, Any]) -> str:
    return "<br>".join(f"`{in_one_line(example)}`" for example in setting["examples"])


def _type(node: dict[str, Any]) -> str:
    """``duration, from 1s to 24h``, ``list of numbers``."""
    name, show = _kind(node)
    bounds = " and ".join(f"{words} {show(node[key])}" for key, words in _BOUNDS.items() if key in node)
    return f"{name}, {bounds}" if bounds else name


def _kind(node: dict[str, Any]) -> tuple[str, Any]:
    if "$ref" in node:
        group = node["$ref"].rpartition("/")[2]
        return f"[mapping](#{group.lower()})", str
    if "anyOf" in node:
        patterns = {choice.get("pattern") for choice in node["anyOf"]}
        quantity = patterns & {DURATION_PATTERN, PERCENT_PATTERN}
        choices = [choice for choice in node["anyOf"] if not (quantity and choice.get("type") == "number")]
        show = show_duration if DURATION_PATTERN in quantity else show_percent
        return " or ".join(dict.fromkeys(_type(choice) for choice in choices)), show
    if "enum" in node:
        return " or ".join(f"`{choice}`" for choice in node["enum"]), str
    if "const" in node:
        return f"`{in_one_line(node['const'])}`", str
    if node.get("pattern") == SIZE_PATTERN:
        return "size", show_size
    if node.get("pattern") in (DURATION_PATTERN, PERCENT_PATTERN):
        return ("duration" if node["pattern"] == DURATION_PATTERN else "percentage"), str
    return _plain_kind(node), str


def _plain_kind(node: dict[str, Any]) -> str:
    match node["type"]:
        case "array":
            return f"list of {_type(node['items'])}"
        case "object":
            named = [*node.get("patternProperties", {}).values()]
            return f"names, each with {_type(named[0])}" if named else "mapping"
        case kind:
            return {"string": "text", "integer": "whole number", "number": "number", "boolean": "boolean"}[kind]


def main() -> None:
    PAGE.write_text(with_current_tables(PAGE.read_text()))


if __name__ == "__main__":
    main()
