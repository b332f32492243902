"""Facts as people read them: one line each, with the reason kept apart."""

from __future__ import annotations

from trimtab.core.model import facts as f
from trimtab.core.model.identity import ObjectId, kind_of, short
from trimtab.core.say import duration
from trimtab.views import reports
from trimtab.views.model import HistoryEntry

ROUTINE = frozenset(
    {
        "EvidenceCounted",
        "EvidenceSummed",
        "ActionDone",
        "ForgeNotified",
        "ReleaseOffered",
        "SpecificationRead",
        "RolloutRequested",
        "SchedulesPlanned",
    }
)
"""Kinds that are left out of the history unless asked for: they say how, not what."""
_ECHOES = frozenset(
    {("app", "RunFinished"), ("env", "RolloutEnded"), ("app", "PreviewStarted"), ("app", "PreviewGone")}
)
"""The same facts once more, recorded for the object that has to go on from there."""


def is_routine(kind: str, object_id: ObjectId) -> bool:
    """Whether the history has no line for such a fact of such an object unless asked for."""
    return kind in ROUTINE or (kind_of(object_id), kind) in _ECHOES


def entry(recorded: f.Recorded) -> HistoryEntry:
    """The history's line for a fact."""
    return HistoryEntry(
        recorded.seq,
        recorded.at,
        recorded.object,
        recorded.kind,
        summary(recorded.fact),
        recorded.reason,
        recorded.actor,
    )


def summary(fact: f.Fact) -> str:
    """What happened, in a few words."""
    return _of_pipeline(fact) or _of_environment(fact) or _of_rollout(fact) or _words(type(fact).__name__)


def _of_pipeline(fact: f.Fact) -> str:
    match fact:
        case f.AppRegistered(branch=branch, poll_url=url, forge=forge):
            at = f" ({forge.repository} at {forge.kind})" if forge else ""
            return f"deploys {branch} of {url}{at}" if url else f"deploys {branch}"
        case f.ChangeArrived(change=change, via=via):
            return f"change {change.commit[:8]} arrived by {via}: {change.subject}"
        case f.ChangeSuperseded(change=change, by=by):
            return f"change {change.commit[:8]} skipped for {by[:8]}"
        case f.RunRequested() as asked:
            return _run_requested(asked)
        case f.RerunRequested(run=run, by=by):
            return f"run {run} once more asked for by {by}"
        case f.ScheduleSkipped(name=name):
            return f"schedule {name} skipped"
        case f.ForgeNotified(said=said):
            return f"the forge said: {said}"
        case f.PullRequestUpdated(pull_request=request, change=change):
            return f"{request} is at {change.commit[:8]}: {change.subject}"
        case f.PullRequestClosed(pull_request=request):
            return f"{request} closed"
        case f.StepStarted(step=step, attempt=attempt):
            return f"step {step} started" + (f" (attempt {attempt})" if attempt > 1 else "")
        case f.StepFinished(step=step, outcome=outcome, duration_s=duration_s):
            return f"step {step} {outcome.replace('_', ' ')} after {duration(duration_s)}"
        case f.StepKept(step=step, report=report):
            return f"step {step}: {reports.said(report)}" if report else f"outputs of step {step} kept"
        case f.SpecificationRefused(problems=problems):
            return f"trimtab.yaml refused: {problems[0]}"
        case f.ReleaseCut(release=release):
            return f"release {short(release)} cut"
        case f.RunCancelRequested(by=by):
            return f"cancel asked for by {by}"
        case f.RunFinished(run=run, outcome=outcome):
            return f"run {run} {outcome}"
        case _:
            return _of_secrets(fact)


def _of_secrets(fact: f.Fact) -> str:
    match fact:
        case f.SecretSet(name=name, by=by):
            return f"secret {name} set by {by}"
        case f.SecretRemoved(name=name, by=by):
            return f"secret {name} removed by {by}"
        case _:
            return ""


def _run_requested(asked: f.RunRequested) -> str:
    of = f"{asked.pull_request} at {asked.change.commit[:8]}" if asked.pull_request else asked.change.commit[:8]
    by = f" by schedule {asked.schedule}" if asked.schedule else ""
    again = f" (run {asked.again_of} again)" if asked.again_of is not None else ""
    return f"run {asked.run} of {of}{by}{again}: {asked.change.subject}"


def _of_environment(fact: f.Fact) -> str:
    match fact:
        case f.ReleaseOffered(release=release):
            return f"release {short(release)} offered"
        case f.ReleaseSuperseded(release=release, by=by):
            return f"release {short(release)} skipped for {short(by)}"
        case f.DesiredCommitted(release=release, commit=commit):
            return f"Git says {short(release)} (commit {commit[:8]})"
        case f.DesiredAdopted(release=release, commit=commit, actor=actor):
            return f"{actor} set {short(release)} in Git (commit {commit[:8]})"
        case f.DesiredRefused(commit=commit, problem=problem):
            return f"commit {commit[:8]} refused: {problem.message}"
        case f.LiveChanged(release=release):
            return f"{short(release)} is live"
        case f.RollbackRequested(release=release, by=by):
            return f"rollback to {short(release) if release else 'the release before'} asked for by {by}"
        case f.ReleaseRetired(release=release):
            return f"instances of {short(release)} stopped"
        case f.ProblemFound(problem=problem):
            return f"problem: {problem.message}"
        case f.ProblemCleared(code=code):
            return f"problem gone: {code}"
        case _:
            return _of_previews(fact) or _of_holds(fact)


def _of_previews(fact: f.Fact) -> str:
    match fact:
        case f.PreviewOpened(release=release, url=url):
            return f"preview of {short(release)} at {url}"
        case f.PreviewRefused():
            return "no preview for now"
        case f.PreviewStarted(name=name, release=release, passed=passed):
            return f"{name} serves {short(release)}" if passed else f"{name} could not start {short(release)}"
        case f.PreviewCloseRequested(name=name, by=by):
            return f"closing {name} asked for by {by}"
        case f.PreviewClosed(name=name):
            return f"{name} closed"
        case f.PreviewGone(name=name):
            return f"{name} gone"
        case _:
            return ""


def _of_holds(fact: f.Fact) -> str:
    match fact:
        case f.PinRequested(release=release, by=by):
            return f"pinned to {short(release) if release else 'the live release'} by {by}"
        case f.UnpinRequested(by=by):
            return f"unpinned by {by}"
        case f.FreezeRequested(by=by):
            return f"frozen by {by}"
        case f.ThawRequested(by=by):
            return f"thawed by {by}"
        case f.ReleaseQuarantined(release=release):
            return f"{short(release)} in quarantine"
        case f.QuarantineLifted(release=release, by=by):
            return f"{short(release)} out of quarantine by {by}"
        case f.ReleaseRefused(release=release):
            return f"release {short(release)} refused"
        case f.DeliveryHeld(cause=cause):
            return f"deliveries held ({cause})"
        case f.DeliveryResumed():
            return "deliveries go on"
        case _:
            return ""


def _of_rollout(fact: f.Fact) -> str:
    match fact:
        case f.RolloutStarted(release=release, strategy=strategy):
            return f"rollout of {short(release)} started ({strategy})"
        case f.InstancesReady(count=ready):
            return f"{ready} instances ready" if ready != 1 else "1 instance ready"
        case f.StepEntered(index=index, weight_pct=weight, name=name):
            return f"step {index + 1}{name and f' ({name})'}: {weight:g} % wanted"
        case f.WeightVerified(weight_pct=weight):
            return f"{weight:g} % verified"
        case f.WeightLost(held_pct=held):
            return f"weight lost: the gateway holds {held:g} %"
        case f.EvidenceCounted(candidate_requests=candidate, stable_requests=stable):
            return f"{candidate} candidate and {stable} stable requests counted"
        case f.EvidenceSummed(ticks=ticks, candidate_requests=candidate, stable_requests=stable):
            return f"{ticks} ticks summed up: {candidate} candidate and {stable} stable requests"
        case f.VerdictReached(verdict=verdict):
            return f"verdict {verdict}"
        case f.TrafficReturned(stable=stable_release):
            return f"traffic back on {short(stable_release)}"
        case f.RolloutEnded(release=release, outcome=outcome):
            return f"rollout of {short(release)} {outcome.replace('_', ' ')}"
        case f.ActionFailed(kind=kind, problem=problem):
            return f"{_words(kind)} failed: {problem.message}"
        case _:
            return _of_waiting(fact)


def _of_waiting(fact: f.Fact) -> str:
    match fact:
        case f.RolloutHeld():
            return "rollout held"
        case f.RolloutReleased():
            return "rollout goes on"
        case f.GateStarted(gate=gate):
            return f"gate {gate} asked"
        case f.GateEnded(gate=gate, passed=passed, duration_s=duration_s):
            return f"gate {gate} {'passed' if passed else 'failed'} after {duration(duration_s)}"
        case f.ApprovalAwaited(index=index):
            return f"step {index + 1} waits for approval"
        case f.ApproveRequested(by=by):
            return f"approved by {by}"
        case f.ExperimentJudged(verdicts=verdicts):
            return "experiment: " + ", ".join(f"{name} {verdict}" for name, verdict in verdicts.items())
        case _:
            return ""


def _words(name: str) -> str:
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()
