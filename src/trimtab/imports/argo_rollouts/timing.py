"""Pauses and deadlines."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.config.quantities import parse_duration, show_duration
from trimtab.core.errors import failure
from trimtab.imports.argo_rollouts.steps import Said
from trimtab.imports.argo_rollouts.values import Value
from trimtab.imports.argo_rollouts.work import STRATEGY, Work

LONGEST_HOLD_S = 604_800.0
_LONGEST_S = 2_592_000.0
_DEFAULT_S = 3600.0
_FOR_PEOPLE_S = 7 * 86_400.0


def hold(duration: Value) -> tuple[str, Said]:
    """The hold that a pause becomes, and what to say of it."""
    said_s = duration.seconds()
    shown = show_duration(min(said_s, LONGEST_HOLD_S))
    if said_s > LONGEST_HOLD_S:
        return shown, Said(duration, "changed", f"hold: {shown}", "at most 168h here")
    return shown, Said(duration, "mapped", f"hold: {shown}")


def set_deadline(work: Work, kind: str, holds: Sequence[str], *, approves: bool) -> None:
    """Argo Rollouts has no deadline for the whole; ours must leave time for all pauses and for people."""
    least_s = sum(parse_duration(each) for each in holds)
    if least_s * 1.1 >= _LONGEST_S:
        message = f"the pauses take {show_duration(least_s)} together; a rollout may take {show_duration(_LONGEST_S)}"
        where = (work.rollout.get("spec", "strategy") or work.rollout).where
        raise failure("import-too-long", message, "shorten the pauses, or let a step wait for a person", where)
    wanted_s = least_s * 2 if least_s * 2 <= _LONGEST_S else _LONGEST_S
    if approves:
        wanted_s = max(wanted_s, min(least_s + _FOR_PEOPLE_S, _LONGEST_S))
    if wanted_s <= _DEFAULT_S:
        return
    shown = show_duration(-(-wanted_s // 60) * 60)
    work.draft.put(*STRATEGY, kind, "deadline", shown)
    comment = "CHECK: a rollout that is not promoted by then goes back. Argo Rollouts waits without end."
    work.draft.comment((*STRATEGY, kind, "deadline"), comment)
