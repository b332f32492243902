"""What no setting says for itself: steps that want secrets which nobody declared."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from trimtab.config.flaws import Flaw
from trimtab.config.nodes import MappingNode, Path, value_place


def check_secrets(root: MappingNode, secrets: Any, pipeline: Mapping[str, Any]) -> Iterator[Flaw]:
    """Where any secret is declared, all are: so a name that is mistyped is found before the step is run."""
    if not isinstance(secrets, dict) or not secrets:
        return
    for step, settings in pipeline.items():
        wanted = settings.get("secrets") if isinstance(settings, dict) else None
        names = [wanted] if isinstance(wanted, str) else wanted if isinstance(wanted, list) else []
        for index, name in enumerate(names):
            if isinstance(name, str) and name not in secrets:
                path: Path = (
                    ("pipeline", step, "secrets") if isinstance(wanted, str) else ("pipeline", step, "secrets", index)
                )
                message = f"step `{step}` wants the secret `{name}`, which is not declared under `secrets`"
                near = get_close_matches(name, secrets, n=1)
                hint = f"did you mean `{near[0]}`?" if near else f"add `{name}: {{}}` there"
                yield Flaw(value_place(root, path), "config-unknown-secret", message, hint)
