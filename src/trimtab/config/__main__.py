"""`python -m trimtab.config` prints the JSON Schema of `trimtab.yaml`."""

from __future__ import annotations

import sys

from trimtab.config.json_schema import schema_text

if __name__ == "__main__":
    sys.stdout.write(schema_text())
