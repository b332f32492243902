"""What all parts of the translation share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from trimtab.config.quantities import show_duration
from trimtab.imports.argo_rollouts.documents import Document
from trimtab.imports.argo_rollouts.draft import Draft
from trimtab.imports.argo_rollouts.report import Report
from trimtab.imports.argo_rollouts.values import Value, whole_document

ENVIRONMENT = ("environments", "production")
"""The one environment that a Rollout becomes."""
STRATEGY = (*ENVIRONMENT, "strategy")
METRICS = (*ENVIRONMENT, "analysis", "metrics")
FILE = "trimtab.yaml"


@dataclass(slots=True)
class Work:
    """The input, the configuration that is being made of it, and the report."""

    documents: Sequence[Document]
    rollout: Value
    report: Report = field(default_factory=Report)
    draft: Draft = field(default_factory=Draft)
    replicas: int = 1

    def object(self, kind: str, name: str) -> Value | None:
        """The object of the input with this kind and name."""
        found = (each for each in self.documents if each.kind == kind and each.name == name)
        return next(map(whole_document, found), None)

    def known(self, value: Value | None, notes: dict[str, str]) -> None:
        """Say of those fields of a mapping that `notes` names, each as a whole, that they have no counterpart."""
        if value is None or not value.is_mapping:
            return
        for key, child in value.fields():
            if key in notes:
                self.report.none(child, notes[key])

    def within(self, value: Value, to: str, number: int, least: int, most: int) -> int:
        """`number`, brought into the bounds that the setting `to` has, and said so."""
        bound = min(max(number, least), most)
        if bound == number:
            self.report.mapped(value, f"{to}: {bound}")
        else:
            self.report.changed(value, f"{to}: {bound}", f"at least {least} and at most {most} here")
        return bound

    def lasting(
        self, value: Value, to: str, most_s: float, note: str = "", least_s: float = 0.0, said_s: float | None = None
    ) -> str:
        """A duration for the setting `to`, brought into its bounds, and said so. `note`: what differs besides;
        `said_s`: what it says, where the value itself does not."""
        said_s = value.seconds() if said_s is None else said_s
        shown = show_duration(min(max(said_s, least_s), most_s))
        if not least_s <= said_s <= most_s:
            bounds = f"at least {show_duration(least_s)} and at most {show_duration(most_s)} here"
            note = f"{bounds}; {note}" if note else bounds
        self.report.say(value, "changed" if note else "mapped", f"{to}: {shown}", note)
        return shown

    def each(self, value: Value | None, keys: Sequence[str], to: str, note: str = "", *, changed: bool = False) -> None:
        """Say the same of several fields of a mapping."""
        for key in keys:
            found = value.get(key) if value is not None and value.is_mapping else None
            self.report.say(found, "changed" if changed else "mapped", to, note)


def shown_text(value: Any, most: int = 60) -> str:
    """A value for the report: one line, not too long."""
    line = " ".join(str(value).split())
    return line if len(line) <= most else f"{line[: most - 3]}..."
