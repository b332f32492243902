"""Pictures of rollouts: how far the traffic moved, what the arms did, how sure the tests are, and the reason."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import tzinfo

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from trimtab.cli.pictures.table import cuttable, table
from trimtab.cli.pictures.words import (
    ACTIVE,
    BAD,
    CARE,
    DIM,
    GOOD,
    STRONG,
    ago,
    bar,
    clock_time,
    joined,
    name,
    status,
    took,
)
from trimtab.cli.plain import clean
from trimtab.core.model.strategy import RolloutStep
from trimtab.core.say import count, milliseconds, percent
from trimtab.views.model import ArmView, RolloutView

BAR_CELLS = 32
NARROW_BAR_CELLS = 16
NARROW_BELOW = 90
INDENT = (0, 0, 0, 2)


def rollouts_table(rollouts: Sequence[RolloutView], now: float) -> RenderableType:
    """The newest rollouts of an environment, one line each, with the reason below."""
    if not rollouts:
        return Text("no rollout yet", style=DIM)
    rows = [
        (
            str(rollout.number),
            status(rollout.status),
            name(rollout.release),
            clean(rollout.subject),
            _requests(rollout.candidate),
            ago(rollout.started_at, now),
            took(rollout.started_at, rollout.duration_s, now),
        )
        for rollout in rollouts
    ]
    headings = ("ROLLOUT", "STATUS", "RELEASE", "SUBJECT", "CANDIDATE", "STARTED", "TOOK")
    return table(headings, rows, gives_way="SUBJECT", right=("ROLLOUT", "TOOK"))


def rollout_line(rollout: RolloutView, now: float) -> Text:
    """A rollout in one line."""
    line = joined(
        status(rollout.status, padded=True),
        Text(f"rollout {rollout.number}", style=STRONG),
        name(rollout.release),
        Text(took(rollout.started_at, rollout.duration_s, now), style=DIM),
        clean(rollout.subject),
    )
    return cuttable(line)


def rollout_change(rollout: RolloutView, now: float, zone: tzinfo | None = None) -> Text:
    """A line for a log: when, how far, how sure, why. `zone` None: local time."""
    return joined(
        clock_time(now, now, zone),
        status(rollout.status),
        f"{rollout.weight_pct:g} %",
        f"harm {rollout.rollback_evidence_pct:.0f} %",
        count(rollout.candidate.requests, "candidate request"),
        clean(rollout.reason),
    )


def rollout_picture(rollout: RolloutView, now: float, width: int) -> RenderableType:
    """A rollout in full. Once it has ended: what the arms did, and the reason."""
    parts: list[RenderableType] = [rollout_line(rollout, now)]
    if not rollout.ended and rollout.step is not None:
        parts.append(Padding(_bars(rollout, now, BAR_CELLS if width >= NARROW_BELOW else NARROW_BAR_CELLS), INDENT))
    if rollout.candidate.requests or rollout.baseline.requests:
        parts.append(Padding(_arms(rollout), INDENT))
    parts += [Padding(line, INDENT) for line in _waits(rollout)]
    if rollout.reason:
        parts.append(Padding(Text(clean(rollout.reason)), INDENT))
    return Group(*parts)


def _waits(rollout: RolloutView) -> Iterator[Text]:
    """What it waits for besides time, requests and evidence; and what an experiment has shown."""
    if rollout.held:
        yield joined(Text("‖ held", style=CARE), clean(rollout.held))
    if rollout.gate and not rollout.ended:
        yield joined(
            Text("◐ gate", style=ACTIVE), clean(rollout.gate), Text(f"trimtab logs {rollout.gate_process}", DIM)
        )
    if rollout.awaiting_approval:
        yield joined(Text("‖ waits for a person", style=CARE), "trimtab approve")
    if rollout.experiment:
        said = (
            f"{clean(name)} {verdict}{' (worse)' if name in rollout.experiment_worse else ''}"
            for name, verdict in rollout.experiment.items()
        )
        yield joined(Text("experiment", style=DIM), *said)


def _bars(rollout: RolloutView, now: float, cells: int) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, justify="right")
    grid.add_column()
    held = CARE if rollout.status == "paused" else ACTIVE
    grid.add_row(
        "traffic", bar(rollout.weight_pct, cells, held), f"{rollout.weight_pct:g} %", cuttable(_ladder(rollout))
    )
    for label, share_pct, style, remark in _measures(rollout, now):
        grid.add_row(label, bar(share_pct, cells, style), f"{share_pct:.0f} %", cuttable(Text(remark, style=DIM)))
    return grid


def _measures(rollout: RolloutView, now: float) -> Iterator[tuple[str, float, str, str]]:
    """Label, share, style and remark of each bar below the traffic."""
    if rollout.verified_at is not None and rollout.step is not None and rollout.step < len(rollout.steps):
        yield _step_measure(rollout, rollout.step, now - rollout.verified_at)
    yield "harm", rollout.rollback_evidence_pct, BAD, "at 100 % it is rolled back"
    remark = _what_proof_is_for(rollout)
    for metric, share_pct in rollout.promote_evidence_pct.items():
        yield f"{metric} fine", share_pct, GOOD, remark
        remark = ""


def _what_proof_is_for(rollout: RolloutView) -> str:
    """What follows once the candidate is proven good enough; a step waits for that only when it asks for evidence."""
    step = rollout.step
    if step is None or step >= len(rollout.steps):
        return ""
    if not rollout.steps[step].evidence:
        return "this step does not wait for it"
    return "all at 100 %: it is promoted" if step + 1 == len(rollout.steps) else "all at 100 %: the next step"


def _step_measure(rollout: RolloutView, index: int, held_s: float) -> tuple[str, float, str, str]:
    """How far the step is with its time and its requests. What else it waits for is said below, while it does."""
    wanted = rollout.steps[index]
    shares = [
        min(1.0, held_s / wanted.hold_s) if wanted.hold_s > 0 else 1.0,
        min(1.0, rollout.step_requests / wanted.requests) if wanted.requests > 0 else 1.0,
    ]
    remark = ", ".join(_so_far(wanted, rollout.step_requests, held_s))
    if wanted.name:
        remark = f"{clean(wanted.name)}: {remark}" if remark else clean(wanted.name)
    return f"step {index + 1} of {len(rollout.steps)}", 100.0 * min(shares), ACTIVE, remark


def _so_far(wanted: RolloutStep, seen: int, held_s: float) -> Iterator[str]:
    """``4 of 10 s``, ``12 of 50 requests``: only what the step asks for, and how much is copied."""
    if wanted.hold_s > 0:
        yield f"{min(held_s, wanted.hold_s):.0f} of {wanted.hold_s:g} s"
    copied = "" if wanted.mirror is None else f"{wanted.mirror.share_pct:g} %"
    if copied and wanted.weight_pct == 0 and wanted.requests > 0:
        yield f"{seen:,} of {wanted.requests:,} copies ({copied})"
        return
    if wanted.requests > 0:
        yield f"{seen:,} of {count(wanted.requests, 'request')}"
    if copied:
        yield f"{copied} copied"


def _ladder(rollout: RolloutView) -> Text:
    """``5 › [25] › 50 › 100 %``: the steps, the present one in brackets."""
    rungs = [
        Text(f"[{weight:g}]", style=STRONG) if index == rollout.step else Text(f"{weight:g}", style=DIM)
        for index, weight in enumerate((*rollout.weights_pct, 100.0))
    ]
    return Text(" › ", style=DIM).join(rungs).append(" %", style=DIM)


def _arms(rollout: RolloutView) -> Table:
    grid = Table.grid(padding=(0, 2, 0, 0))
    grid.add_column(no_wrap=True)
    for _ in ("requests", "failed", "p95"):
        grid.add_column(no_wrap=True, justify="right")
    for label, arm in (("candidate", rollout.candidate), ("stable", rollout.baseline)):
        failed = f"{arm.errors:,} failed ({percent(arm.errors / arm.requests)})" if arm.requests else ""
        p95 = f"p95 {milliseconds(arm.p95_ms)}" if arm.p95_ms is not None else ""
        grid.add_row(label, count(arm.requests, "request"), failed, p95)
    for metric, (candidate, stable) in rollout.own.items():
        grid.add_row(clean(metric), f"{candidate:.4g}", f"stable {stable:.4g}", "")
    return grid


def _requests(arm: ArmView) -> str:
    return f"{count(arm.requests, 'request')}, {arm.errors:,} failed" if arm.requests else ""
