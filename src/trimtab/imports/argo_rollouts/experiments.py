"""Steps with an experiment."""

from __future__ import annotations

from trimtab.config.quantities import show_percent
from trimtab.imports.argo_rollouts.analysis import Templates
from trimtab.imports.argo_rollouts.steps import EVIDENCE, Said, Steps
from trimtab.imports.argo_rollouts.timing import hold
from trimtab.imports.argo_rollouts.values import Value
from trimtab.imports.argo_rollouts.work import Work

_DEFAULT_PCT, _MOST_PCT, _MOST_REPLICAS = 5, 50, 100
_BASELINE = "each experiment has fresh instances of the stable release: the baseline"
_TEMPLATE_NOTES = {
    "metadata": "instances have no labels and annotations",
    "selector": "instances are known by their release",
    "service": "the gateway reaches each arm by itself",
    "minReadySeconds": "an instance is ready when `service.health` says so",
}


def experiment(work: Work, steps: Steps, templates: Templates, said: Value) -> None:
    """The candidate and a baseline, each with the same share: what most experiments of a canary are."""
    lines: list[Said] = []
    settings: dict[str, object] = {"weight": show_percent(float(_share(work, said, lines)))}
    replicas = _replicas(said, lines)
    if replicas > 1:
        settings["replicas"] = replicas
    steps.set("experiment", settings, *lines)
    duration = said.get("duration")
    if duration is not None:
        steps.wait("hold", *hold(duration))
    analyses = said.listed("analyses")
    for each in analyses:
        found = templates.experiment(each)
        steps.current.said += [Said(named.value, "changed", EVIDENCE, named.note) for named in found.named]
        for gate in found.gates:
            gate.left_out(work.report, "an experiment has no gate; give one to a step of its own")
    if analyses or duration is None:
        steps.wait("evidence", True)
    work.known(
        said,
        {
            "dryRun": "what is measured counts; leave out a metric that should not",
            "analysisRunMetadata": "an analysis has no labels and annotations",
        },
    )


def _share(work: Work, said: Value, lines: list[Said]) -> int:
    """The share of each arm, in percent; what is said of the arms is added to `lines`."""
    arms = _arms(work, said)
    asked = [found.whole(0, 100) for each in arms if (found := each.get("weight")) is not None]
    share = min(max(asked[0], 1), _MOST_PCT) if asked else _DEFAULT_PCT
    for arm in arms:
        of, weight = arm.get("specRef"), arm.get("weight")
        note = _BASELINE if of is not None and of.text() == "stable" else "the new release is always an arm"
        if weight is None:
            note += f"; in Argo Rollouts it has no share of the traffic, here it gets {share} %"
        lines.append(Said(arm.get("name"), "changed", "experiment", "the arms have names of their own"))
        lines.append(Said(of, "mapped" if weight is not None else "changed", "experiment", note))
        same = weight is not None and weight.whole(0, 100) == share
        bounds = "" if same else f"all arms have the same share, at least 1 % and at most {_MOST_PCT} %"
        lines.append(Said(weight, "mapped" if same else "changed", f"experiment.weight: {share}%", bounds))
        work.known(arm, _TEMPLATE_NOTES)
    return share


def _arms(work: Work, said: Value) -> list[Value]:
    """One template for each release that is meant; further ones of the same release are no arms of their own."""
    arms: dict[str, Value] = {}
    for each in said.listed("templates"):
        of = each.get("specRef")
        name = of.text() if of is not None else ""
        if name in arms:
            work.report.none(each, "the same release again: give it `variants`, which differ in environment variables")
        arms.setdefault(name, each)
    return list(arms.values())


def _replicas(said: Value, lines: list[Said]) -> int:
    most = 1
    for each in said.listed("templates"):
        if (found := each.get("replicas")) is not None:
            number = min(max(found.whole(0, 1_000_000), 1), _MOST_REPLICAS)
            most = max(most, number)
    for each in said.listed("templates"):
        note = "the baseline and each variant have as many; the new release itself has those of the environment"
        lines.append(Said(each.get("replicas"), "changed", f"experiment.replicas: {most}", note))
    return most
