"""The JSON Schema of `trimtab.yaml`, for editors."""

from __future__ import annotations

import json
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue

from trimtab.config.configuration import ConfigurationFile


def schema() -> dict[str, Any]:
    """A JSON Schema (Draft 2020-12) with descriptions, defaults and examples.

    It says what can be said of one setting; what holds between settings (`needs`, ports, rising weights) only `load`
    knows, so a file that `load` takes is valid here, but not the other way round.
    """
    tidy = _tidied(ConfigurationFile.model_json_schema(schema_generator=_InOrder))
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "trimtab.yaml", **tidy}


class _InOrder(GenerateJsonSchema):
    """Keeps the order of keys, because the order of environments has a meaning in examples."""

    def sort(self, value: JsonSchemaValue, parent_key: str | None = None) -> JsonSchemaValue:  # noqa: ARG002
        return value


def schema_text() -> str:
    """The schema as it is published."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _tidied(node: Any) -> Any:
    """Without generated titles, without null (a setting is left out, never null), and with closed name patterns."""
    if isinstance(node, list):
        return [_tidied(item) for item in node]
    if not isinstance(node, dict):
        return node
    tidy = {key: _tidied(value) for key, value in node.items() if not (key == "title" and isinstance(value, str))}
    if tidy.get("default", ...) is None:
        del tidy["default"]
    if "anyOf" in tidy:
        choices = [choice for choice in tidy.pop("anyOf") if choice != {"type": "null"}]
        tidy = {**choices[0], **tidy} if len(choices) == 1 else {"anyOf": choices, **tidy}
    if "patternProperties" in tidy:
        tidy.setdefault("additionalProperties", False)
    return tidy
