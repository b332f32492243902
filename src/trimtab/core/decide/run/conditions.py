"""Whether a step is part of a run."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab.core.model.paths import matching
from trimtab.core.model.pipeline import ConditionSpec

NOT_ASKED_FOR = "not asked for"


def why_left_out(
    when: ConditionSpec,
    branch: str,
    is_pull_request: bool,
    changed: Sequence[str] | None,
    base: str | None,
    schedule: str = "",
) -> str:
    """The reason in words; empty: it is part of the run. `changed`: the paths that differ from `base`, None when they
    are not known: then every step is concerned."""
    if when.pull_request is not None and when.pull_request != is_pull_request:
        return "only for pull requests" if when.pull_request else "not for pull requests"
    if when.schedule is not None and when.schedule != bool(schedule):
        return "only for schedules" if when.schedule else "not for schedules"
    if when.branches and not matching([branch], when.branches):
        return f"not on {branch}, only on {', '.join(when.branches)}"
    if when.changed and changed is not None and base is not None and not matching(changed, when.changed):
        return f"nothing of {', '.join(when.changed)} has changed since {base[:8]}"
    return ""
