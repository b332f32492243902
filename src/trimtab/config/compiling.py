"""A valid file to a `Specification`: every default filled in, every unit in the name."""

from __future__ import annotations

from collections.abc import Mapping

from trimtab.config.application import Service
from trimtab.config.compiling_environment import environment
from trimtab.config.compiling_pipeline import steps, variant_name, variants
from trimtab.config.configuration import ConfigurationFile
from trimtab.config.pipeline import Step
from trimtab.config.previews import Previews, parse_ports
from trimtab.config.schedules import Schedule
from trimtab.config.secrets import with_places
from trimtab.core.model.specification import PreviewsSpec, ScheduleSpec, ServiceSpec, Specification


def compile_file(file: ConfigurationFile, gates: Mapping[str, str]) -> Specification:
    """The specification that the file describes. `gates`: which of Trimtab's own gates steps run, by their names."""
    last, replicas = list(file.environments)[-1], file.service.replicas
    release = file.release.compiled()
    return Specification(
        app=file.app,
        service=_service(file.service),
        environments=tuple(
            environment(name, settings, replicas, last=name == last) for name, settings in file.environments.items()
        ),
        steps=with_places(steps(file.pipeline, gates, _service(file.service), release.model), file.secrets),
        release=release,
        on_newer_change=file.on_newer_change,
        parallel=file.parallel or 0,
        schedules=tuple(_schedule(name, schedule, file.pipeline) for name, schedule in file.schedules.items()),
        previews=_previews(file.previews) if file.previews is not None else None,
    )


def _schedule(name: str, schedule: Schedule, pipeline: Mapping[str, Step]) -> ScheduleSpec:
    rules, start = schedule.rules()
    steps = [variant_name(step, variant) for step in schedule.steps for variant in variants(pipeline[step].matrix)]
    return ScheduleSpec(name, rules, schedule.timezone, start, tuple(steps), schedule.deploy)


def _previews(previews: Previews) -> PreviewsSpec:
    first, last = parse_ports(previews.ports)
    return PreviewsSpec(
        first_port=first,
        last_port=last,
        host=previews.host,
        url=previews.url or "",
        keep_s=previews.keep,
        env=previews.env,
        replicas=previews.replicas,
        forks=previews.forks,
    )


def _service(service: Service) -> ServiceSpec:
    return ServiceSpec(
        command=service.command,
        port_env=service.port,
        health_path=service.health.path,
        health_timeout_s=service.health.timeout,
        env=service.env,
        replicas=service.replicas,
        drain_timeout_s=service.drain,
        stop_timeout_s=service.stop_timeout,
    )
