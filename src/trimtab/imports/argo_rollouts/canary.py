"""The strategy `canary`."""

from __future__ import annotations

from collections.abc import Callable

from trimtab.config.quantities import show_percent
from trimtab.core.errors import failure
from trimtab.imports.argo_rollouts.analysis import Templates
from trimtab.imports.argo_rollouts.experiments import experiment
from trimtab.imports.argo_rollouts.report import Outcome
from trimtab.imports.argo_rollouts.routes import HeaderRoutes, mirror
from trimtab.imports.argo_rollouts.steps import EVIDENCE, Said, Steps, finish
from trimtab.imports.argo_rollouts.timing import LONGEST_HOLD_S, hold, set_deadline
from trimtab.imports.argo_rollouts.values import Value
from trimtab.imports.argo_rollouts.vocabulary import CANARY, ROUTING
from trimtab.imports.argo_rollouts.work import STRATEGY, Work

_BY_PODS = "without `trafficRouting` Argo Rollouts shares by the number of pods; the gateway shares requests exactly"
_MOST_STEPS = 100
_JUDGED = (
    "A worse release goes back in every step. A step that moves traffic and holds also waits for 20 requests"
    " (`requests`), and the last one until the new release is proven good enough (`evidence: true`)."
)


def canary(work: Work, said: Value, templates: Templates) -> None:
    """`spec.strategy.canary`: steps, or a rolling update when there are none."""
    work.known(said, CANARY)
    routing = said.get("trafficRouting")
    work.known(routing, ROUTING)
    if (background := said.get("analysis")) is not None:
        templates.background(background)
    steps = said.listed("steps")
    if steps:
        _Translation(work, templates, said).all(steps)
        _scale_down(work, said, "canary")
    else:
        _rolling(work, said)


def _rolling(work: Work, said: Value) -> None:
    work.report.mapped(said.get("steps") or (said if not list(said.fields()) else None), "strategy: rolling")
    work.draft.put(*STRATEGY, "rolling", {})
    ready = work.rollout.get("spec", "minReadySeconds")
    if ready is not None:
        note = "counted for each step of the rolling update"
        work.draft.put(*STRATEGY, "rolling", "hold", work.lasting(ready, "rolling.hold", LONGEST_HOLD_S, note))
    _scale_down(work, said, "rolling")
    held = work.draft.get(*STRATEGY, "rolling", "hold")
    set_deadline(work, "rolling", [held] if held else [], approves=False)


def _scale_down(work: Work, said: Value, kind: str) -> None:
    delay = said.get("scaleDownDelaySeconds")
    if delay is None:
        return
    note = "" if said.get("trafficRouting") is not None else "Argo Rollouts ignores it without `trafficRouting`"
    work.draft.put(*STRATEGY, kind, "scale_down_delay", work.lasting(delay, "scale_down_delay", 86_400.0, note))


class _Translation:
    """One step after the other, each kind by a method of its own."""

    def __init__(self, work: Work, templates: Templates, said: Value) -> None:
        self._work, self._templates, self._said = work, templates, said
        self._steps = Steps()
        self._routing = said.get("trafficRouting")
        self._routes = HeaderRoutes(work, self._steps, self._routing)
        most = self._routing.get("maxTrafficWeight") if self._routing is not None else None
        self._most = most.whole(1, 1_000_000_000) if most is not None else 100
        work.report.mapped(most, "steps[..].weight", "weights are written as percentages of it")
        self._kinds: dict[str, Callable[[Value], None]] = {
            "setWeight": self._weight,
            "pause": self._pause,
            "setCanaryScale": self._scale,
            "setHeaderRoute": self._routes.set,
            "setMirrorRoute": lambda step: mirror(self._work, self._steps, step),
            "experiment": lambda step: experiment(self._work, self._steps, self._templates, step),
            "analysis": self._analysis,
            "plugin": self._plugin,
        }

    def all(self, said: list[Value]) -> None:
        work = self._work
        work.draft.put(*STRATEGY, "canary", "steps", [])
        work.draft.comment((*STRATEGY, "canary", "steps"), _JUDGED)
        for number, step in enumerate(said):
            for key, value in step.fields():
                if key in self._kinds and step.get(key) is not None:
                    self._kinds[key](value)
                    self._steps.remember()
                elif step.get(key) is not None:
                    note = f"CHECK: step {number + 1} of the Rollout, `{key}`, is not known and was left out here."
                    work.draft.comment((*STRATEGY, "canary", "steps"), note)
        self._end()
        if (number := len(self._steps.made)) > _MOST_STEPS:
            message = f"these become {number} steps; a canary has at most {_MOST_STEPS}"
            raise failure("import-too-large", message, "leave out some", said[0].where)
        finish(work, self._steps)
        self._set_deadline()

    def _weight(self, said: Value) -> None:
        steps, before = self._steps, self._routes.others_pct
        weight = round(100.0 * said.whole(0, self._most) / self._most, 6)
        shown = show_percent(weight)
        note = "" if self._routing is not None else _BY_PODS
        outcome: Outcome = "changed" if note else "mapped"
        if weight < before:
            message = f"the weight {shown} is below that of the step before it ({show_percent(before)})"
            hint = "weights rise from step to step; a rollout goes back as a whole"
            raise failure("import-weights", message, hint, said.where)
        self._routes.others_pct = steps.weight_pct = weight
        if self._routes.end():
            step = steps.current
        elif weight == before > 0:
            self._work.report.say(said, outcome, "the weight stays", note)
            return
        else:
            undone = steps.made and steps.current.undoes and "weight" in steps.current.settings
            step = steps.current if undone else steps.open("weight")
            step.undoes = False
        step.settings["weight"] = shown
        step.said.append(Said(said, outcome, f"weight: {shown}", note))

    def _pause(self, said: Value) -> None:
        duration = said.get("duration") if said.is_mapping else None
        if not said.is_mapping:
            raise said.wrong("a mapping, for example `{duration: 5m}` or `{}`")
        if duration is not None:
            self._steps.wait("hold", *hold(duration))
            return
        note = "`trimtab approve` lets it go on; nobody does so until `deadline`: the rollout goes back"
        bare = not list(said.fields())
        step = self._steps.wait("approve", True, Said(said if bare else None, "changed", "approve: true", note))
        if not bare:
            step.comments.append("CHECK: the pause has no `duration`, so it waits for a person.")

    def _scale(self, said: Value) -> None:
        replicas, weight, follows = said.get("replicas"), said.get("weight"), said.get("matchTrafficWeight")
        if replicas is not None:
            number = replicas.whole(0, 1_000_000)
            bound = min(max(number, 1), 100)
            note = "" if bound == number else "at least 1 and at most 100 here"
            line = Said(replicas, "changed" if note else "mapped", f"scale: {bound}", note)
            self._steps.set("scale", bound, line)
        elif weight is not None:
            share = weight.whole(0, 100)
            bound = min(max(-(-self._work.replicas * share // 100), 1), 100)
            note = f"a fixed number of instances: {share} % of {self._work.replicas}"
            self._steps.set("scale", bound, Said(weight, "changed", f"scale: {bound}", note))
        elif follows is not None and follows.truth():
            bound = self._work.replicas
            note = "the number of instances does not follow the weight: the new release has all of them"
            self._steps.set("scale", bound, Said(follows, "changed", f"scale: {bound}", note))
        if replicas is not None:
            self._work.report.none(weight, "`replicas` is what counts")
        if follows is not None and not follows.truth():
            self._work.report.mapped(follows, "", "it is off here, too: a step says `scale`")

    def _analysis(self, said: Value) -> None:
        found = self._templates.inline(said)
        for gate in found.gates:
            self._steps.wait("gate", gate.settings, *gate.said())
        if found.compares:
            self._steps.wait("evidence", True)
        to = EVIDENCE if found.compares else "gate"
        for named in found.named:
            outcome: Outcome = "changed" if found.compares or named.kept else "none"
            self._steps.current.said.append(Said(named.value, outcome, to if outcome == "changed" else "", named.note))

    def _plugin(self, said: Value) -> None:
        self._work.report.none(said, "there are no plugins; a `gate` runs a command or asks a URL before a step ends")
        comment = "CHECK: a plugin did something here; a `gate` can run a command or ask a URL."
        self._work.draft.comment((*STRATEGY, "canary", "steps"), comment)

    def _end(self) -> None:
        """All traffic comes after the last step by itself; what waits with all traffic is a bake time."""
        made, report = self._steps.made, self._work.report
        while len(made) > 1 and made[-1].settings.get("match", "everybody") == "everybody":
            last = made[-1].settings
            full = last.get("weight") == "100%"
            if (made[-1].undoes and not made[-1].waits) or (full and last.keys() <= {"weight", "match"}):
                to, note = "the end of the steps", "after the last step the new release gets all traffic"
            elif full and last.keys() <= {"weight", "match", "hold"} and last["hold"] != "0s":
                self._work.draft.put(*STRATEGY, "canary", "bake", {"for": last["hold"], "holdback": "5%"})
                note = "5 % stay on the stable release meanwhile, so that both are compared in the same seconds"
                to = f"bake.for: {last['hold']}"
            else:
                return
            for said in made.pop().said:
                report.say(said.value, "changed" if said.note or "bake" in to else "mapped", to, said.note or note)
            if "bake" in to:
                return

    def _set_deadline(self) -> None:
        holds = [self._work.draft.get(*STRATEGY, "canary", "bake", "for")]
        holds += [step.settings.get("hold") for step in self._steps.made]
        approves = any("approve" in step.settings for step in self._steps.made)
        set_deadline(self._work, "canary", [each for each in holds if each], approves=approves)
