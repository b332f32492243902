"""`trimtab.yaml`: from text to a `Specification`, its JSON Schema, and a first one to start from."""

from trimtab.config.json_schema import schema, schema_text
from trimtab.config.loading import load
from trimtab.config.starter import SCHEMA_PATH, template

__all__ = ["SCHEMA_PATH", "load", "schema", "schema_text", "template"]
