"""The guide's examples are configurations."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import indent

import pytest

from trimtab.config import load

GUIDE = Path(__file__).parents[3] / "docs" / "guides" / "metrics.md"
EXAMPLES = re.findall(r"```yaml\n(.*?)```", GUIDE.read_text(), re.DOTALL)
METRICS = [example for example in EXAMPLES if not example.startswith("app:")]
AROUND = """\
app: shop
service: {command: python -m shop}
environments:
  production:
    analysis:
      metrics:
"""


@pytest.mark.parametrize("example", METRICS, ids=lambda example: example.partition(":")[0])
def test_the_examples_of_the_guide_load(example: str) -> None:
    specification = load(AROUND + indent(example, " " * 8), "trimtab.yaml")
    assert specification.environments[0].analysis.metrics


def test_the_guide_has_an_example_of_every_source() -> None:
    text = "".join(METRICS)
    assert all(f"  {kind}: " in text for kind in ("prometheus", "sql", "json", "datadog", "cloudwatch"))
