"""Our own models of other systems' decision rules, to compare verdicts with. What they simplify: docs/verdicts.md."""
