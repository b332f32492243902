"""References to analysis templates, and the templates themselves: each is translated once, where it is first named."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from trimtab.config.quantities import show_duration
from trimtab.imports.argo_rollouts.arguments import (
    Argument,
    Arguments,
    Missing,
    fill_seconds,
    fill_text,
    read_arguments,
)
from trimtab.imports.argo_rollouts.gates import Gate
from trimtab.imports.argo_rollouts.metrics import metric
from trimtab.imports.argo_rollouts.values import Value, whole_document
from trimtab.imports.argo_rollouts.work import Work

_MISSING = "its template is not in the input: give it, too (`-` reads what `kubectl get -o yaml` prints)"
_IN_BACKGROUND = "it measures while the rollout runs; a `gate` asks once: give one to a step"
_ALWAYS = "it counts from the first request on, in every step"
_NOTES = {
    "measurementRetention": "evidence is kept with the rollout",
    "analysisRunMetadata": "an analysis has no labels and annotations",
}
_BAKE_S = 600.0


@dataclass(frozen=True, slots=True)
class Named:
    """The name of a template where it is referred to, and what became of it; `kept`: whether anything did."""

    value: Value
    note: str
    kept: bool


@dataclass(slots=True)
class Found:
    """What the templates of a reference became; `lasts_s`: how long they measure, as far as they say so."""

    metrics: list[str] = field(default_factory=list)
    gates: list[Gate] = field(default_factory=list)
    named: list[Named] = field(default_factory=list)
    lasts_s: float = 0.0

    @property
    def compares(self) -> bool:
        """Whether evidence is what was meant: also where nothing is known of the metrics."""
        return bool(self.metrics) or not self.gates

    def add(self, other: Found) -> None:
        self.metrics += other.metrics
        self.gates += other.gates
        self.lasts_s = max(self.lasts_s, other.lasts_s)


class Templates:
    """The analysis templates of the input. `services`: names of the Rollout's services."""

    def __init__(self, work: Work, services: Collection[str]) -> None:
        self._work, self._services = work, services
        self._translated: dict[tuple[str, str], Found] = {}

    def background(self, said: Value) -> None:
        """`canary.analysis`."""
        found = self._referenced(said)
        report = self._work.report
        report.none(said.get("startingStep"), "what is measured counts from the first request on")
        for gate in found.gates:
            gate.left_out(report, _IN_BACKGROUND)
        for named in found.named:
            if named.kept and found.metrics:
                report.changed(named.value, "analysis.metrics", f"{named.note}; {_ALWAYS}")
            else:
                report.none(named.value, f"{named.note}; failed requests and latency are always compared")

    def inline(self, said: Value) -> Found:
        """A step with an analysis."""
        return self._referenced(said)

    def experiment(self, said: Value) -> Found:
        """An analysis of an experiment, which names one template."""
        found = Found()
        report = self._work.report
        report.none(said.get("name"), "the analysis needs no name")
        report.mapped(said.get("requiredForCompletion"), "", "the step waits for the evidence")
        arguments = read_arguments(self._work, said.listed("args"), self._services)
        self._one(said, arguments, (), found)
        return found

    def gates_of(self, said: Value) -> Found:
        """`prePromotionAnalysis` or `postPromotionAnalysis`."""
        found = self._referenced(said)
        found.lasts_s = found.lasts_s or _BAKE_S
        return found

    def rest(self) -> None:
        """Say of all templates that nothing names, or that have the name of another one."""
        for document in self._work.documents:
            key = (document.kind, document.name)
            if document.kind not in ("AnalysisTemplate", "ClusterAnalysisTemplate"):
                continue
            if key not in self._translated:
                self._work.report.none(whole_document(document), "nothing in the Rollout names it")
            elif (first := self._work.object(*key)) is not None and first.document.number != document.number:
                self._work.report.none(whole_document(document), "another one before it has the same name")

    def _referenced(self, said: Value) -> Found:
        found = Found()
        self._work.known(said, _NOTES)
        arguments = read_arguments(self._work, said.listed("args"), self._services)
        dry = self._dry(said)
        for each in said.listed("templates"):
            self._one(each, arguments, dry, found)
        return found

    def _one(self, said: Value, arguments: dict[str, Argument], dry: Collection[str], found: Found) -> None:
        name, scope = said.get("templateName"), said.get("clusterScope")
        kind = "ClusterAnalysisTemplate" if scope is not None and scope.truth() else "AnalysisTemplate"
        self._work.report.mapped(scope, "", f"the kind of template is {kind}")
        if name is None:
            return
        template = self._work.object(kind, name.text())
        if template is None:
            found.named.append(Named(name, _MISSING, False))
            return
        made = self._template(kind, template, arguments, dry)
        found.add(made)
        became = [*(f"analysis.metrics.{each}" for each in made.metrics), *("a gate" for _ in made.gates)]
        became_text = ", ".join(dict.fromkeys(became))
        note = f"its metrics: {became_text}" if became else "none of its metrics could be kept"
        found.named.append(Named(name, note, bool(became)))

    def _template(self, kind: str, template: Value, arguments: dict[str, Argument], dry: Collection[str]) -> Found:
        key = (kind, template.document.name)
        if key in self._translated:
            return self._translated[key]
        made = self._translated[key] = Found()
        self._work.report.mapped(template.get("metadata", "name"), "", "the Rollout names it")
        spec = template.get("spec")
        if spec is None:
            return made
        own = read_arguments(self._work, spec.listed("args"), self._services)
        filled = {**own, **{name: each for name, each in arguments.items() if each.kind != "unknown"}}
        self._work.known(spec, _NOTES)
        dry = (*dry, *self._dry(spec))
        for each in spec.listed("templates"):
            self._one(each, filled, dry, made)
        for named in made.named:
            self._work.report.say(named.value, "changed" if named.kept else "none", "", named.note)
        made.named.clear()
        for each in spec.listed("metrics"):
            self._metric(each, filled, dry, made)
        return made

    def _metric(self, said: Value, arguments: dict[str, Argument], dry: Collection[str], made: Found) -> None:
        name = said.get("name")
        if name is not None and any(_matches(pattern, name.text()) for pattern in dry):
            self._work.report.none(said, "a dry run decides nothing: it was left out")
            return
        became = metric(self._work, said, arguments)
        if became.name:
            made.metrics.append(became.name)
        if became.gate is not None:
            made.gates.append(became.gate)
        made.lasts_s = max(made.lasts_s, _lasts_s(said, arguments))

    def _dry(self, said: Value) -> list[str]:
        patterns = []
        for each in said.listed("dryRun"):
            pattern = each.get("metricName")
            if pattern is not None:
                patterns.append(pattern.text())
                self._work.report.none(pattern, "a dry run decides nothing: such metrics are left out")
        return patterns


def _lasts_s(said: Value, arguments: Arguments) -> float:
    """How long a metric is measured; 0 where it does not say so."""
    interval, count = said.get("interval"), said.get("count")
    if interval is None or count is None:
        return 0.0
    try:
        times = fill_text(count.text(), arguments)
    except Missing:
        return 0.0
    return (fill_seconds(interval, arguments) or 0.0) * (int(times) if re.fullmatch(r"[0-9]{1,6}", times) else 0)


def _matches(pattern: str, name: str) -> bool:
    """As Argo Rollouts does; a pattern that is none of ours matches itself only."""
    if not re.fullmatch(r"[\w.*^$-]*", pattern):
        return pattern == name
    try:
        return re.search(pattern, name) is not None
    except re.error:
        return pattern == name


def bake_text(found: Found) -> str:
    """How long a measurement takes, as a bake time may be."""
    return show_duration(min(max(found.lasts_s, 1.0), 604_800.0))
