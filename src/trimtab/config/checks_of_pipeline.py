"""What no setting of a step says for itself: needs that lead nowhere or in circles, matrices that explode."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from trimtab.config.compiling_pipeline import variant_name, variants
from trimtab.config.flaws import Flaw
from trimtab.config.nodes import MappingNode, key_place, value_place
from trimtab.config.validation import nearest
from trimtab.core.say import count

MOST_VARIANTS = 256
"""Of one step."""
MOST_STEPS = 1000
"""Of a whole pipeline, variants counted."""


def check_pipeline(root: MappingNode, pipeline: Mapping[str, Any]) -> Iterator[Flaw]:
    """Every flaw between steps."""
    yield from _check_needs(root, pipeline)
    yield from _check_matrices(root, pipeline)
    yield from _check_documents(root, pipeline)


def check_schedules(root: MappingNode, schedules: Mapping[str, Any], pipeline: Mapping[str, Any]) -> Iterator[Flaw]:
    """Steps that a schedule names and nobody has."""
    for name, schedule in schedules.items():
        for index, step in enumerate(_listed(_mapping(schedule).get("steps"))):
            if isinstance(step, str) and step not in pipeline:
                message = f"schedule `{name}` wants `{step}`, which is no step"
                place = value_place(root, ("schedules", name, "steps", index))
                yield Flaw(place, "config-unknown-step", message, nearest(step, pipeline))


def check_gates(root: MappingNode, environments: Mapping[str, Any], pipeline: Mapping[str, Any]) -> Iterator[Flaw]:
    """Steps that an environment requires and nobody has."""
    for name, environment in environments.items():
        for index, step in enumerate(_listed(_mapping(_mapping(environment).get("require")).get("gates"))):
            if isinstance(step, str) and step not in pipeline:
                message = f"environment `{name}` requires `{step}`, which is no step"
                place = value_place(root, ("environments", name, "require", "gates", index))
                yield Flaw(place, "config-unknown-step", message, nearest(step, pipeline))


def _check_documents(root: MappingNode, pipeline: Mapping[str, Any]) -> Iterator[Flaw]:
    """What does not go together with work that is done document by document."""
    for name, step in pipeline.items():
        settings = _mapping(step)
        if settings.get("for_each") is None:
            continue
        outputs, place = _listed(settings.get("outputs")), ("pipeline", name)
        if len(outputs) != 1:
            message = f"step `{name}` has `for_each` and {count(len(outputs), 'output')}, but it must have one"
            hint = "name the folder that has a folder for each document: `outputs: index/`"
            where = key_place(root, (*place, "outputs" if "outputs" in settings else "for_each"))
            yield Flaw(where, "config-conflict", message, hint)
        if settings.get("cache") is False:
            message = f"step `{name}` has `for_each` and `cache: false`: then no result would be known"
            yield Flaw(key_place(root, (*place, "cache")), "config-conflict", message, "remove one of them")
        if settings.get("reports"):
            message = f"step `{name}` has `for_each` and `reports`, which would be of some documents only"
            hint = "let a step that needs it make the reports"
            yield Flaw(key_place(root, (*place, "reports")), "config-conflict", message, hint)


def _check_matrices(root: MappingNode, pipeline: Mapping[str, Any]) -> Iterator[Flaw]:
    total, exploded = 0, False
    for name, step in pipeline.items():
        matrix = _matrix(step)
        number = math.prod(len(values) for values in matrix.values())
        place = key_place(root, ("pipeline", name, "matrix"))
        if number > MOST_VARIANTS:
            exploded = True
            message = (
                f"the matrix of step `{name}` has {number:,} combinations, and at most {MOST_VARIANTS} are allowed"
            )
            yield Flaw(place, "config-matrix", message, "leave out values, or make several steps of it")
            continue
        total += number
        names = Counter(variant_name(name, variant) for variant in variants(matrix))
        for twice, times in names.items():
            if times > 1:
                message = f"{times} variants of step `{name}` would have the same name, `{twice}`"
                hint = "let the values differ within their first 24 letters, digits, dots and underscores"
                yield Flaw(place, "config-matrix", message, hint)
    if total > MOST_STEPS and not exploded:
        message = f"the pipeline has {total:,} steps with all variants, and at most {MOST_STEPS:,} are allowed"
        yield Flaw(key_place(root, ("pipeline",)), "config-matrix", message, "leave out values of its matrices")


def _matrix(step: Any) -> Mapping[str, list[str]]:
    """The matrix as far as it is one."""
    found = _mapping(_mapping(step).get("matrix"))
    return {
        variable: [str(value) for value in values] for variable, values in found.items() if isinstance(values, list)
    }


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _listed(value: Any) -> list[Any]:
    return [value] if isinstance(value, str) else value if isinstance(value, list) else []


def _check_needs(root: MappingNode, pipeline: Mapping[str, Any]) -> Iterator[Flaw]:
    needs: dict[str, list[str]] = {}
    for name, step in pipeline.items():
        wanted = _listed(_mapping(step).get("needs"))
        for index, need in enumerate(wanted):
            place = value_place(root, ("pipeline", name, "needs", index))
            if isinstance(need, str) and need not in pipeline:
                message = f"step `{name}` needs `{need}`, which is no step"
                yield Flaw(
                    place, "config-unknown-step", message, nearest(need, (key for key in pipeline if key != name))
                )
            elif need in wanted[:index]:
                yield Flaw(place, "config-duplicate", f"step `{name}` needs `{need}` twice", "remove one of them")
        needs[name] = [need for need in wanted if isinstance(need, str) and need in pipeline]
    for circle in _circles(needs):
        way = " → ".join(f"`{name}`" for name in (*circle, circle[0]))
        message = f"steps wait for each other: {way}" if len(circle) > 1 else f"step `{circle[0]}` needs itself"
        place = key_place(root, ("pipeline", circle[0], "needs"))
        yield Flaw(place, "config-cycle", message, "remove one of these `needs`")


def _circles(needs: Mapping[str, list[str]]) -> Iterator[tuple[str, ...]]:
    """Circles that share no step, each from its first step in the file's order."""
    left = dict(needs)
    while left := _without_ends(left):
        way = [next(iter(left))]
        while (following := next(need for need in left[way[-1]] if need in left)) not in way:
            way.append(following)
        circle = way[way.index(following) :]
        first = circle.index(min(circle, key=list(needs).index))
        yield (*circle[first:], *circle[:first])
        left = {name: wanted for name, wanted in left.items() if name not in circle}


def _without_ends(needs: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """Only the steps that can never start, because each needs another such step."""
    stuck = dict(needs)
    while free := [name for name, wanted in stuck.items() if not any(need in stuck for need in wanted)]:
        for name in free:
            del stuck[name]
    return stuck
