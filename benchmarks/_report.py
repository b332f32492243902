"""How a benchmark says what it measured."""

from __future__ import annotations

import json
from collections.abc import Mapping

Value = float | int | str


def finish(results: Mapping[str, Value], as_json: bool) -> None:
    """Print the results as a table and, if asked for, as one flat JSON object on the last line."""
    width = max(map(len, results))
    for name, value in results.items():
        shown = f"{value:,.3f}" if isinstance(value, float) else str(value)
        print(f"{name:<{width}}  {shown:>12}")
    if as_json:
        print(json.dumps(dict(results)))
