"""The strategy `blueGreen`."""

from __future__ import annotations

from trimtab.imports.argo_rollouts.analysis import Found, Templates, bake_text
from trimtab.imports.argo_rollouts.timing import LONGEST_HOLD_S, set_deadline
from trimtab.imports.argo_rollouts.values import Value
from trimtab.imports.argo_rollouts.vocabulary import BLUE_GREEN
from trimtab.imports.argo_rollouts.work import STRATEGY, Work

_PLACE = (*STRATEGY, "blue-green")
_BEFORE = "without traffic there is nothing to compare: compared after the switch, while 5 % stay on the stable release"
_AFTER = "compared after the switch, while 5 % stay on the stable release; a release that is worse goes back"
_WARM_UP = (
    "To compare before users are sent to the new release: `warm_up: 5m` gives it copies of requests, where doing a"
    " thing twice is no harm."
)


def blue_green(work: Work, said: Value, templates: Templates) -> None:
    """`spec.strategy.blueGreen`."""
    work.draft.put(*_PLACE, {})
    work.report.mapped(said if not list(said.fields()) else None, "strategy: blue-green")
    work.known(said, BLUE_GREEN)
    approves = _promotion(work, said)
    if (before := said.get("prePromotionAnalysis")) is not None:
        _before(work, templates.gates_of(before))
    if (after := said.get("postPromotionAnalysis")) is not None:
        _after(work, templates.gates_of(after))
    if (delay := said.get("scaleDownDelaySeconds")) is not None:
        work.draft.put(*_PLACE, "scale_down_delay", work.lasting(delay, "blue-green.scale_down_delay", 86_400.0))
    bake = work.draft.get(*_PLACE, "bake")
    holds = [work.draft.get(*_PLACE, "hold"), bake["for"] if bake else None]
    set_deadline(work, "blue-green", [each for each in holds if each], approves=approves)


def _promotion(work: Work, said: Value) -> bool:
    """Who switches, and when. True: a person has to approve."""
    automatic, seconds = said.get("autoPromotionEnabled"), said.get("autoPromotionSeconds")
    approves = automatic is not None and not automatic.truth()
    if approves:
        work.draft.put(*_PLACE, "approve", True)
        note = "`trimtab approve` switches; when nobody does so until `deadline`, the rollout goes back"
        work.report.changed(automatic, "blue-green.approve: true", note)
        work.report.none(seconds, "Argo Rollouts ignores it, too, while a person promotes")
    else:
        work.report.mapped(automatic, "blue-green", "it switches by itself when all checks have passed")
    if seconds is not None and not approves:
        work.draft.put(*_PLACE, "hold", work.lasting(seconds, "blue-green.hold", LONGEST_HOLD_S))
    return approves


def _before(work: Work, found: Found) -> None:
    for number, gate in enumerate(found.gates):
        if number == 0:
            work.draft.put(*_PLACE, "gate", gate.settings)
            gate.placed(work.report, "blue-green.gate")
        else:
            gate.left_out(work.report, "there is one gate before the switch: let its command do both")
    if found.metrics:
        _bake(work, found)
        work.draft.comment(_PLACE, _WARM_UP)
    for named in found.named:
        if named.kept:
            to = "blue-green.bake" if found.metrics else "blue-green.gate"
            work.report.changed(named.value, to, f"{named.note}; {_BEFORE}" if found.metrics else named.note)
        else:
            work.report.none(named.value, f"{named.note}; a `gate` can run a check before the switch")


def _after(work: Work, found: Found) -> None:
    _bake(work, found)
    for gate in found.gates:
        gate.left_out(work.report, "a gate stands before the switch; after it both releases are compared (`bake`)")
    for named in found.named:
        work.report.changed(named.value, "blue-green.bake", f"{named.note}; {_AFTER}")


def _bake(work: Work, found: Found) -> None:
    before = work.draft.get(*_PLACE, "bake")
    if before is None or found.lasts_s > 0:
        work.draft.put(*_PLACE, "bake", {"for": bake_text(found), "holdback": "5%"})
        work.draft.comment(
            (*_PLACE, "bake"), "CHECK: 5 % stay on the stable release for so long; then all are switched."
        )
