"""A run once more: its change again, and of its steps those that are wanted afresh or did not pass."""

from __future__ import annotations

from trimtab.core.model.facts import Goal, RerunRequested, RunRequested


def again(asked: RerunRequested, number: int, head: str | None) -> tuple[RunRequested, str]:
    """The run that was asked for, and why it is as it is. `head`: the newest commit of the deployed branch.

    What is not the newest any more is not deployed in passing: whoever wants that says so."""
    is_newest = head is None or asked.change.commit == head
    goal: Goal = asked.until if asked.pull_request is not None or is_newest or asked.deploy else "steps"
    run = RunRequested(
        number,
        asked.change,
        asked.pull_request,
        base=asked.base,
        again_of=asked.run,
        fresh=asked.fresh,
        until=goal,
        only=asked.only,
        schedule=asked.schedule,
    )
    why = f"{asked.by} asked for run {asked.run} again"
    if goal != asked.until:
        assert head is not None
        return run, f"{why}; {asked.change.branch} is at {head[:8]} by now, so nothing is released"
    return run, why


def is_beside(run: RunRequested) -> bool:
    """Whether it needs no turn among the runs of the deployed branch, since nothing is deployed."""
    return run.pull_request is not None or run.until == "steps"
