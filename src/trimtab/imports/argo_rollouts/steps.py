"""The steps of a canary while they are made. What an Argo step sets joins the last one, until that one waits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from trimtab.imports.argo_rollouts.report import Outcome
from trimtab.imports.argo_rollouts.values import Value
from trimtab.imports.argo_rollouts.work import STRATEGY, Work

NO_COMPARISON = "both releases need traffic to be compared"
EVIDENCE = "evidence: true"
_WAITS = {"hold", "approve", "evidence", "gate"}
_MOVES = {"weight", "match", "mirror", "experiment"}
_ORDER = ("match", "weight", "scale", "mirror", "experiment", "hold", "requests", "evidence", "gate", "approve")


@dataclass(frozen=True, slots=True)
class Said:
    """A line of the report whose step has no number yet. `to` follows ``steps[N].``."""

    value: Value | None
    outcome: Outcome
    to: str
    note: str = ""


@dataclass(slots=True)
class Step:
    """Settings of a step as they will be written; `weight_pct` and `mirrors` are in force while it lasts.

    `undoes`: it only takes back what a step before it set."""

    settings: dict[str, Any] = field(default_factory=dict)
    said: list[Said] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    weight_pct: float = 0.0
    mirrors: bool = False
    undoes: bool = False

    @property
    def waits(self) -> bool:
        return bool(_WAITS & self.settings.keys())

    @property
    def compares(self) -> bool:
        """Whether both releases have traffic that tells them apart."""
        return "experiment" in self.settings or 0 < self.weight_pct < 100 or (self.mirrors and self.weight_pct < 100)

    @property
    def shows(self) -> bool:
        """Whether the new release has any traffic in it."""
        return self.weight_pct > 0 or self.mirrors or "experiment" in self.settings


class Steps:
    """The steps in the order of the Rollout's, and what is in force after the last one."""

    def __init__(self) -> None:
        self.made: list[Step] = []
        self.weight_pct = 0.0
        self.mirrors = False

    @property
    def current(self) -> Step:
        """The last step; a first one when there is none."""
        return self.made[-1] if self.made else self.new()

    def new(self) -> Step:
        self.made.append(Step(weight_pct=self.weight_pct, mirrors=self.mirrors))
        return self.made[-1]

    def open(self, *keys: str) -> Step:
        """The step to set `keys` in: a new one where the last one waits, or says any of them already."""
        step = self.current
        alone = ("experiment" in keys and step.settings) or "experiment" in step.settings
        return self.new() if step.waits or alone or set(keys) & step.settings.keys() else step

    def set(self, key: str, value: Any, *said: Said) -> Step:
        """Something that is in force from now on."""
        step = self.open(key)
        step.settings[key] = value
        step.said += said
        return step

    def wait(self, key: str, value: Any, *said: Said) -> Step:
        """Something that the open step waits for. Only evidence may come together with another wait: a step ends when
        all that it waits for is true, but these come one after the other."""
        step = self.current
        if "approve" in step.settings or key in step.settings or (step.waits and key != "evidence"):
            step = self.new()
        step.settings[key] = value
        step.said += said
        step.undoes = False
        return step

    def remember(self) -> None:
        """Keep with the last step what is in force now."""
        if self.made:
            self.made[-1].weight_pct, self.made[-1].mirrors = self.weight_pct, self.mirrors


def finish(work: Work, steps: Steps) -> None:
    """Fill in what the steps do not say, write them into the draft and report on them."""
    place = (*STRATEGY, "canary", "steps")
    _ask_for_evidence(work, steps)
    for number, step in enumerate(steps.made):
        if _MOVES & step.settings.keys():
            held = step.settings.setdefault("hold", "0s")
            if held == "0s" and not step.settings.get("evidence"):
                step.settings["requests"] = 0
        for said in step.said:
            work.report.say(said.value, said.outcome, f"steps[{number}].{said.to}" if said.to else "", said.note)
        for comment in step.comments:
            work.draft.comment((*place, number), comment)
    work.draft.put(*place, [dict(_ordered(step.settings)) for step in steps.made])


def _ordered(settings: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for key in _ORDER:
        if key in settings:
            yield key, settings[key]


def _ask_for_evidence(work: Work, steps: Steps) -> None:
    """A step that waits for evidence must be able to get any: else the rollout would wait until its deadline."""
    for step in steps.made:
        if step.settings.get("evidence") and not step.compares:
            del step.settings["evidence"]
            for said in step.said:
                if said.to == EVIDENCE:
                    note = f"no step can wait for evidence here: {NO_COMPARISON}"
                    work.report.none(said.value, note)
    steps.made = [step for step in steps.made if step.settings]
    if not steps.made:
        steps.weight_pct = 100.0
        steps.set("weight", "100%")
        steps.remember()
    if any(step.settings.get("evidence") for step in steps.made):
        return
    # Left alone, the last step that shows the new release waits for evidence (`config.compiling_strategy`).
    shows = [step for step in steps.made if step.shows]
    if shows and not shows[-1].compares:
        comparing = [step for step in shows if step.compares]
        (comparing or shows)[-1].settings["evidence"] = bool(comparing)
