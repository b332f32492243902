"""The view of a run, folded from its facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from trimtab.core.model import facts as f
from trimtab.core.model.identity import app_of
from trimtab.core.model.pipeline import DocumentCount, StepResult
from trimtab.core.say import count
from trimtab.views.model import RunView, StepView


def begin(recorded: f.Recorded, asked: f.RunRequested) -> RunView:
    """The view of a run that was asked for just now."""
    app, of = app_of(recorded.object), asked.pull_request
    view = RunView(app, asked.run, asked.change, "running", recorded.reason, recorded.at, pull_request=of)
    return replace(view, again_of=asked.again_of, schedule=asked.schedule, until=asked.until)


def fold(run: RunView, recorded: f.Recorded) -> RunView:
    """The view after one more fact."""
    match recorded.fact:
        case f.SpecificationRead(specification=specification, left_out=left_out):
            return replace(run, steps=tuple(_step(step.name, left_out) for step in specification.steps))
        case f.StepsLookedUp(taken=taken):
            for name, result in taken.items():
                run = _with_taken(run, name, result)
            return run
        case f.StepTaken(step=name, result=result):
            return _with_taken(run, name, result)
        case f.StepStarted(step=name, attempt=attempt, process=process, documents=work):
            documents = work.count if work is not None else None
            fresh = {
                "started_at": recorded.at,
                "duration_s": None,
                "detail": "",
                "report": None,
                "documents": documents,
            }
            return _with_step(run, name, status="running", attempt=attempt, process=process, **fresh)
        case f.StepKept(step=name, report=report) if report is not None:
            return _with_step(run, name, report=report)
        case f.StepFinished(step=name, outcome=outcome, duration_s=duration_s, detail=detail):
            return _with_step(run, name, status=outcome, duration_s=duration_s, detail=detail)
        case f.ReleaseCut() as cut:
            return replace(run, release=cut.release)
        case f.PreviewRefused(problem=problem):
            return replace(run, no_preview=str(problem))
        case f.RunFinished(outcome=outcome, duration_s=duration_s):
            steps = tuple(replace(step, status="skipped") if step.status == "waiting" else step for step in run.steps)
            return replace(run, status=outcome, reason=recorded.reason, duration_s=duration_s, steps=steps)
        case _:
            return run


def _step(name: str, left_out: Mapping[str, str]) -> StepView:
    return StepView(name, "left_out", detail=left_out[name]) if name in left_out else StepView(name, "waiting")


def _with_taken(run: RunView, name: str, result: StepResult) -> RunView:
    """A step that need not run; its log is that of the run that it was taken from."""
    _, _, number, *_ = (*result.process.split("/"), "", "", "")
    detail = f"as in run {number}" if number else ""
    known = {"duration_s": result.duration_s, "process": result.process, "report": result.report}
    # Those that the other run has built are not built now.
    documents = DocumentCount(0, result.documents.all) if result.documents is not None else None
    return _with_step(run, name, status="cached", detail=detail, documents=documents, **known)


def documents_said(step: StepView) -> str:
    """``10 of 10,000 documents``: those that it builds or has built; empty where there is nothing to say."""
    documents = step.documents
    if documents is None or step.status in ("cached", "waiting"):
        return f"none of {count(documents.all, 'document')} is new" if documents is not None else ""
    built = count(documents.built, "document")
    return built if documents.built == documents.all else f"{documents.built:,} of {count(documents.all, 'document')}"


def _with_step(run: RunView, name: str, **changes: object) -> RunView:
    steps = tuple(
        replace(step, **changes) if step.name == name else step  # type: ignore[arg-type]
        for step in run.steps
    )
    return replace(run, steps=steps)
