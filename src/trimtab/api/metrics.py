"""Metrics of one's own, read now: whether they work is known before a rollout depends on them."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter

from trimtab.api.queries import environment, found
from trimtab.api.releases import chosen
from trimtab.api.services import Services, Wired
from trimtab.core.errors import failure
from trimtab.core.model.identity import ArmId, Digest, EnvironmentId, rollout_object, short
from trimtab.core.model.measure import ArmMeasure, Measurement
from trimtab.core.model.specification import EnvironmentSpec, MetricSpec
from trimtab.ports.measurements import Watch
from trimtab.views.model import EnvironmentView, MetricView

LOOK_BACK_S = 3600.0
"""What `$since` means here: an hour ago."""

routes = APIRouter(prefix="/api/v1", tags=["read"])


@routes.get("/apps/{app}/environments/{name}/metrics")
async def metrics(services: Wired, app: str, name: str, release: str | None = None) -> tuple[MetricView, ...]:
    """The metrics of `release` (a digest or the beginning of one; none: the newest), each read once, now: its numbers
    and those of the live release. `$since` is an hour ago. Nothing is recorded."""
    place = await environment(services, app, name)
    candidate = chosen(services, app, release) if release else _newest(services, app)
    settings = await _settings(services, candidate, name)
    stable = place.live or candidate
    watch = _watch(services, place, settings, candidate, stable)
    measured = await services.measurements.check(watch)
    now = services.clock.now()
    return tuple(_view(spec, measured[spec.name], candidate, stable, now) for spec in settings.analysis.metrics)


def _newest(services: Services, app: str) -> Digest:
    releases = services.board().releases(app)
    return found(releases[0].release if releases else None, f"{app} has no release yet")


async def _settings(services: Services, release: Digest, name: str) -> EnvironmentSpec:
    manifest = await services.artifacts.manifest(release)
    settings = manifest.specification.environment(name)
    if settings is None:
        raise failure("not-found", f"{short(release)} knows no environment {name}", "choose another release or --env")
    return settings


def _watch(
    services: Services, place: EnvironmentView, settings: EnvironmentSpec, candidate: ArmId, stable: ArmId
) -> Watch:
    where = EnvironmentId(place.app, place.name)
    since = services.clock.now() - LOOK_BACK_S
    # No rollout has the number 0: what is watched for a real one is left alone.
    return Watch(rollout_object(where, 0), where, settings.analysis.metrics, candidate, stable, since)


def _view(spec: MetricSpec, measured: Measurement, candidate: ArmId, stable: ArmId, now: float) -> MetricView:
    return MetricView(
        name=spec.name,
        kind=spec.kind,
        source=spec.source.kind,
        release=candidate,
        stable=stable,
        numbers=_numbers(spec, measured.arms.get(candidate)),
        stable_numbers=_numbers(spec, measured.arms.get(stable)),
        age_s=max(0.0, now - measured.as_of) if measured.as_of else None,
        problem=measured.problem,
    )


def _numbers(spec: MetricSpec, measure: ArmMeasure | None) -> Mapping[str, float]:
    if measure is None:
        return {}
    if spec.kind == "events":
        return {"bad": measure.bad, "all": measure.all}
    if spec.kind == "rate":
        return {"bad": measure.bad}
    number = sum(measure.scores.values())
    total = sum(score * count for score, count in measure.scores.items()) / 100.0
    return {"mean": total / number, "scores": number} if number else {"scores": 0}
