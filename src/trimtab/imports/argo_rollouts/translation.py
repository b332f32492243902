"""The whole: files to one configuration and a report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from trimtab.config.loading import load
from trimtab.core.errors import Problem, TrimtabError, failure
from trimtab.imports.argo_rollouts.analysis import Templates
from trimtab.imports.argo_rollouts.blue_green import blue_green
from trimtab.imports.argo_rollouts.canary import canary
from trimtab.imports.argo_rollouts.documents import Document, Source, documents, is_list
from trimtab.imports.argo_rollouts.draft import tame
from trimtab.imports.argo_rollouts.pods import pod
from trimtab.imports.argo_rollouts.report import Field
from trimtab.imports.argo_rollouts.values import Value, whole_document
from trimtab.imports.argo_rollouts.vocabulary import METADATA, SPEC, WRITTEN_BY_THE_CLUSTER
from trimtab.imports.argo_rollouts.work import ENVIRONMENT, FILE, STRATEGY, Work
from trimtab.imports.argo_rollouts.writing import write

_GROUP = "argoproj.io/"
_WORKLOADS = ("Deployment", "ReplicaSet", "StatefulSet", "PodTemplate")
_HEADER = (
    "From a Rollout of Argo Rollouts, by `trimtab import argo-rollouts`. Look at every CHECK and SET THIS, then run"
    " `trimtab validate`."
)


@dataclass(frozen=True, slots=True)
class Imported:
    """The text of a `trimtab.yaml` that loads, and what became of every field of the input."""

    configuration: str
    fields: tuple[Field, ...]


def translate(sources: Sequence[Source]) -> Imported:
    """The Rollout in the files, with the templates that it names.

    Raises `TrimtabError` for what cannot be read, for no Rollout or several, for values that can mean nothing, and when
    the configuration would not load.
    """
    found = documents(sources)
    rollout = _rollout(found, ", ".join(source.name for source in sources))
    work = Work(found, whole_document(rollout))
    _head(work)
    _spec(work)
    _others(work)
    text = write(work.draft)
    _check(text)
    return Imported(text, work.report.fields(found))


def _rollout(found: Iterable[Document], files: str) -> Document:
    rollouts = [each for each in found if each.kind == "Rollout"]
    for each in rollouts:
        if not each.api.startswith(_GROUP):
            message = f"this Rollout is of `{each.api or 'no apiVersion'}`, not of Argo Rollouts"
            hint = "`apiVersion: argoproj.io/v1alpha1` is what can be imported"
            raise failure("import-no-rollout", message, hint, each.where(each.root.place))
    if not rollouts:
        message = "there is no Rollout in the input"
        hint = "give the file with `kind: Rollout`; its AnalysisTemplates may be in others"
        raise failure("import-no-rollout", message, hint, files)
    if len(rollouts) > 1:
        places = ", ".join(each.where(each.root.place) for each in rollouts)
        message = f"there are {len(rollouts)} Rollouts in the input ({places})"
        hint = "a trimtab.yaml describes one application: import one Rollout after the other"
        raise failure("import-several-rollouts", message, hint, rollouts[1].where(rollouts[1].root.place))
    return rollouts[0]


def _head(work: Work) -> None:
    rollout, draft = work.rollout, work.draft
    name = rollout.get("metadata", "name")
    if name is None or not name.text().strip():
        raise failure("import-no-name", "the Rollout has no name", "give it a `metadata.name`", rollout.where)
    app = tame(name.text(), ("state",))
    draft.comment((), _HEADER)
    draft.put("app", app)
    same = app == name.text()
    note = "" if same else "names have small letters, digits and hyphens, at most 40 characters"
    work.report.say(name, "mapped" if same else "changed", f"app: {app}", note)
    _object(work, rollout, "the Rollout is the input")
    draft.put("service", {})
    draft.put(*ENVIRONMENT, "port", 8080)


def _object(work: Work, said: Value, note: str) -> None:
    """What every object has: its kind, and what the cluster keeps about it."""
    work.each(said, ("apiVersion", "kind"), "", note)
    metadata = said.get("metadata")
    if metadata is not None and metadata.is_mapping:
        for key, child in metadata.fields():
            if key != "name" and metadata.get(key) is not None:
                work.report.none(child, METADATA.get(key, WRITTEN_BY_THE_CLUSTER))
    work.report.none(said.get("status"), WRITTEN_BY_THE_CLUSTER)


def _spec(work: Work) -> None:
    spec = work.rollout.get("spec")
    if spec is None:
        raise failure("import-no-spec", "the Rollout has no `spec`", "give the whole Rollout", work.rollout.where)
    replicas = spec.get("replicas")
    pod(work, _template(work, spec))
    if replicas is not None:
        work.replicas = work.within(replicas, "service.replicas", replicas.whole(0, 1_000_000), 1, 100)
        work.draft.put("service", "replicas", work.replicas)
    kind = _strategy(work, spec)
    _times(work, spec, kind)
    work.known(spec, SPEC)
    paused = spec.get("paused")
    if paused is not None and paused.truth():
        work.report.none(
            paused, "`trimtab pause`, `trimtab pin` and `trimtab freeze` hold what is under way or to come"
        )
    else:
        work.report.mapped(paused, "", "nothing is held")


def _template(work: Work, spec: Value) -> Value | None:
    """The pod template: the Rollout's, or that of the workload that it names, where it is in the input."""
    reference = spec.get("workloadRef")
    if reference is None:
        return spec.get("template")
    kind, name = reference.get("kind"), reference.get("name")
    work.report.none(reference.get("scaleDown"), "scale the workload down yourself when Trimtab serves its users")
    known = kind is not None and name is not None and kind.text() in _WORKLOADS
    workload = work.object(kind.text(), name.text()) if known and kind is not None and name is not None else None
    if workload is None:
        note = "it is not in the input: give its YAML, too, or set `service.command`"
        for key in ("apiVersion", "kind", "name"):
            work.report.none(reference.get(key), note)
        return spec.get("template")
    work.each(reference, ("apiVersion", "kind", "name"), "service", "its pod template says how instances start")
    work.report.none(spec.get("template"), "`workloadRef` is what counts")
    return _template_of(work, workload)


def _template_of(work: Work, workload: Value) -> Value | None:
    _object(work, workload, "the Rollout names it")
    work.report.mapped(workload.get("metadata", "name"), "", "the Rollout names it")
    inner = workload.get("spec")
    if inner is None:
        return workload.get("template")
    for key, child in inner.fields():
        if key != "template":
            work.report.none(child, "the Rollout is what counts")
    return inner.get("template")


def _strategy(work: Work, spec: Value) -> str:
    """Translate the strategy; its name here."""
    strategy = spec.get("strategy")
    where = (strategy or spec).where
    kinds = {key: strategy.get(key) for key in ("canary", "blueGreen")} if strategy is not None else {}
    if strategy is not None and strategy.is_mapping:
        # `canary:` alone, without anything, is what the Rollout says, too.
        said = [key for key, _ in strategy.fields() if key in kinds]
        if len(said) == 1 and kinds[said[0]] is None:
            raise failure(
                "import-no-strategy", f"the strategy `{said[0]}` is left empty", "write `{}` for no steps", where
            )
    given = {key: value for key, value in kinds.items() if value is not None}
    if len(given) > 1:
        raise failure("import-no-strategy", "the Rollout has two strategies", "keep `canary` or `blueGreen`", where)
    if not given:
        keys = [key for key, _ in strategy.fields()] if strategy is not None else []
        near = next((close[0] for key in keys if (close := get_close_matches(key, ("canary", "blueGreen"), 1))), "")
        hint = f"did you mean `{near}`?" if near else "it has `canary` or `blueGreen` below `strategy`"
        raise failure("import-no-strategy", "the Rollout has no strategy", hint, where)
    kind, said_value = next(iter(given.items()))
    templates = Templates(work, _services(said_value))
    work.draft.put(*STRATEGY, {})
    (canary if kind == "canary" else blue_green)(work, said_value, templates)
    templates.rest()
    return str(next(iter(work.draft.get(*STRATEGY))))


def _services(strategy: Value) -> frozenset[str]:
    ways = ("canaryService",), ("stableService",), ("activeService",), ("previewService",)
    pairs = ("pingPong", "pingService"), ("pingPong", "pongService")
    found = [strategy.get(*way) for way in (*ways, *pairs)]
    return frozenset(each.text() for each in found if each is not None)


def _times(work: Work, spec: Value, kind: str) -> None:
    """What all strategies share."""
    deadline, aborts = spec.get("progressDeadlineSeconds"), spec.get("progressDeadlineAbort")
    gives_up = aborts is not None and aborts.truth()
    if deadline is not None:
        note = "" if gives_up else "the rollout goes back then; Argo Rollouts only says that it is late"
        shown = work.lasting(deadline, f"{kind}.progress_deadline", 86_400.0, note, least_s=1.0)
        work.draft.put(*STRATEGY, kind, "progress_deadline", shown)
    if gives_up:
        work.report.mapped(aborts, f"{kind}.progress_deadline")
    else:
        work.report.changed(aborts, f"{kind}.progress_deadline", "the rollout goes back when the time is over")
    window = spec.get("rollbackWindow", "revisions")
    if window is not None:
        number = work.within(window, f"{kind}.rollback_window", window.whole(0, 1_000_000), 0, 50)
        work.draft.put(*STRATEGY, kind, "rollback_window", number)
    ready = "a step begins when `service.health` says that instances are ready; `hold` makes it last"
    work.report.none(spec.get("minReadySeconds"), ready)


def _others(work: Work) -> None:
    """Objects that are no part of the Rollout, and what all those have that are."""
    for document in work.documents:
        said = whole_document(document)
        if is_list(document):
            work.report.mapped(said, "", "what it lists is read one by one")
        elif document.kind in ("AnalysisTemplate", "ClusterAnalysisTemplate"):
            _object(work, said, "a template")
        elif document.root is not work.rollout.node and not work.report.knows(document):
            work.report.none(said, "no part of the Rollout: what serves users in the cluster stays as it is")


def _check(text: str) -> None:
    """Nothing that does not load is ever given out."""
    try:
        load(text, FILE)
    except TrimtabError as error:
        first = Problem(
            "import-does-not-load",
            "the configuration that this would become does not load, so nothing was written",
            "change the Rollout, or import it without what is named below",
        )
        below = (Problem(each.code, each.message, each.hint, f"{each.where} (as made)") for each in error.problems)
        raise TrimtabError(first, *below) from None
