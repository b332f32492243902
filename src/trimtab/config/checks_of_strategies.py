"""What no setting of a strategy says for itself: steps that contradict each other, segments that do not exist, evidence
that nothing can give."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

from pydantic_core import PydanticCustomError

from trimtab.config.defaults import CANARY, STRATEGY_STEP
from trimtab.config.flaws import Flaw
from trimtab.config.nodes import MappingNode, Path, key_place, value_place
from trimtab.config.quantities import parse_duration, parse_percent, show_duration, show_percent
from trimtab.config.segments import EVERYBODY
from trimtab.config.validation import nearest

T = TypeVar("T")
_PLAIN = {"weight", "hold", "requests"}
_MOVES = {"weight", "mirror", "match", "experiment"}
_LATENCY_PREFIX = "latency-"


def parsed(parse: Callable[[Any], T], value: Any) -> T | None:
    """What the value says; None when that is wrong by itself."""
    try:
        return parse(value)
    except PydanticCustomError:
        return None


def check_strategy(root: MappingNode, path: Path, environment: Mapping[str, Any]) -> Iterator[Flaw]:
    """The flaws of one environment's strategy. `path` leads to the environment."""
    strategy = environment.get("strategy")
    kinds = strategy if isinstance(strategy, dict) else {}
    yield from _check_segments(root, path, environment)
    yield from _check_metric_names(root, path, environment)
    for kind, settings in kinds.items():
        place = (*path, "strategy", kind)
        said = settings if isinstance(settings, dict) else {}
        if kind == "canary":
            steps = said.get("steps")
            listed = [_spelled_out(step) for step in steps] if isinstance(steps, list) else []
            yield from _check_weights(root, place, listed)
            yield from _check_traffic(root, place, listed)
            yield from _check_evidence(root, place, listed, environment)
            yield from _check_deadline(root, place, said, sum(map(_hold_s, listed)))
        else:
            longest = parsed(parse_duration, said.get("for", said.get("hold", 0))) or 0.0
            yield from _check_deadline(root, place, said, longest)


def _spelled_out(step: Any) -> Mapping[str, Any]:
    if isinstance(step, dict):
        return step
    return {"approve": True} if step == "approve" else {"weight": step}


def _hold_s(step: Mapping[str, Any]) -> float:
    default = STRATEGY_STEP.hold_s if _MOVES & step.keys() else 0.0
    return parsed(parse_duration, step.get("hold", default)) or 0.0


def _check_weights(root: MappingNode, path: Path, steps: list[Mapping[str, Any]]) -> Iterator[Flaw]:
    before = 0.0
    for index, step in enumerate(steps):
        if "match" in step:
            before = 0.0  # others take part: their share begins anew
        weight = parsed(parse_percent, step.get("weight"))
        if weight is None or not 0 <= weight <= 100:
            continue
        place = value_place(root, (*path, "steps", index, "weight"))
        if weight < before or (weight == before > 0 and step.keys() <= _PLAIN):
            message = (
                f"the weight {show_percent(weight)} does not rise above the step before it ({show_percent(before)})"
            )
            yield Flaw(place, "config-conflict", message, "give the steps rising weights")
        before = max(before, weight)


def _check_traffic(root: MappingNode, path: Path, steps: list[Mapping[str, Any]]) -> Iterator[Flaw]:
    """Whether those steps that wait for requests or evidence can ever get any."""
    has_weight = has_mirror = has_all = False
    for index, step in enumerate(steps):
        if "weight" in step:
            weight = parsed(parse_percent, step["weight"])
            has_weight, has_all = weight != 0, weight == 100
        if has_all and step.get("evidence") is True and "experiment" not in step:
            message = f"step {index + 1} waits for evidence, but the stable release has no traffic to compare with"
            place = value_place(root, (*path, "steps", index, "evidence"))
            yield Flaw(place, "config-conflict", message, "put it on an earlier step, or end with `bake`")
        if "mirror" in step:
            has_mirror = step["mirror"] not in (False, 0, "0%", "0")
        if has_weight or has_mirror or "experiment" in step:
            continue
        for name in ("evidence", "requests"):
            if step.get(name) not in (None, False, 0):
                message = f"step {index + 1} waits for `{name}`, but the new release has no traffic in it"
                place = value_place(root, (*path, "steps", index, name))
                yield Flaw(place, "config-conflict", message, "give it a `weight` or a `mirror`, or remove this")


def _check_evidence(
    root: MappingNode, path: Path, steps: list[Mapping[str, Any]], environment: Mapping[str, Any]
) -> Iterator[Flaw]:
    analysis = environment.get("analysis")
    said = analysis if isinstance(analysis, dict) else {}
    if said.get("errors") is not False or said.get("latency") is not False or said.get("metrics"):
        return
    for index, step in enumerate(steps):
        if step.get("evidence") is True:
            message = f"step {index + 1} waits for evidence, but the analysis judges nothing"
            place = value_place(root, (*path, "steps", index, "evidence"))
            yield Flaw(place, "config-conflict", message, "remove it, or let `analysis` judge errors or latency")


def _check_deadline(root: MappingNode, path: Path, said: Mapping[str, Any], least_s: float) -> Iterator[Flaw]:
    bake = said.get("bake")
    bake_s = parsed(parse_duration, bake.get("for", 0) if isinstance(bake, dict) else (bake or 0)) or 0.0
    deadline_s = parsed(parse_duration, said.get("deadline", CANARY.deadline_s))
    least_s += bake_s
    if deadline_s is not None and deadline_s <= least_s:
        message = f"the steps take at least {show_duration(least_s)}, but the deadline is {show_duration(deadline_s)}"
        place = value_place(root, (*path, "deadline")) if "deadline" in said else key_place(root, path)
        yield Flaw(place, "config-conflict", message, "give `deadline` more time than all `hold` together")


# --- names that refer to others --------------------------------------------------------------------------------------


def _check_segments(root: MappingNode, path: Path, environment: Mapping[str, Any]) -> Iterator[Flaw]:
    known = environment.get("segments")
    names = list(known) if isinstance(known, dict) else []
    for place, name in _named(environment.get("strategy"), (*path, "strategy")):
        if name not in names and name != EVERYBODY:
            message = f"there is no segment `{name}`"
            hint = nearest(name, names) or "name it in this environment's `segments`"
            yield Flaw(value_place(root, place), "config-unknown-segment", message, hint)
    for own, conditions in (known if isinstance(known, dict) else {}).items():
        for place, name in _segments_in(conditions, (*path, "segments", own)):
            message = f"the segment `{own}` refers to the segment `{name}`"
            yield Flaw(value_place(root, place), "config-conflict", message, "write out its conditions")


def _named(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Every name of a segment in every `match` of a strategy, with the way to it."""
    if isinstance(value, dict):
        for key, child in value.items():
            if key == "match":
                yield from _segments_in(child, (*path, key))
            else:
                yield from _named(child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _named(child, (*path, index))


def _segments_in(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _segments_in(child, (*path, index))
    elif isinstance(value, dict):
        if isinstance(value.get("segment"), str):
            yield (*path, "segment"), value["segment"]
        yield from _segments_in(value.get("all"), (*path, "all"))


def _check_metric_names(root: MappingNode, path: Path, environment: Mapping[str, Any]) -> Iterator[Flaw]:
    analysis = environment.get("analysis")
    metrics = analysis.get("metrics") if isinstance(analysis, dict) else None
    for name in metrics if isinstance(metrics, dict) else ():
        if name in ("errors", "answers", "latency") or str(name).startswith(_LATENCY_PREFIX):
            message = f"the gateway has a metric `{name}` already"
            place = key_place(root, (*path, "analysis", "metrics", name))
            yield Flaw(place, "config-conflict", message, "choose another name")
