"""Without a rollout: the live release's instances run, the gateway routes to them, and nothing else is left."""

from __future__ import annotations

from dataclasses import replace

from trimtab.core.decide.environment.state import EnvironmentReading, EnvironmentState
from trimtab.core.errors import Problem
from trimtab.core.model.actions import ApplyRoute, StartInstances
from trimtab.core.model.identity import ArmId
from trimtab.core.model.traffic import Instance


def repair(state: EnvironmentState, reading: EnvironmentReading) -> tuple[str, StartInstances | ApplyRoute] | None:
    """What is to be put right first, and how; None: everything is as it should be."""
    live, specification, place, name = state.live, state.specification, state.place, state.environment
    if live is None or specification is None or place is None:
        return None
    replicas = place.replicas or specification.service.replicas
    mine = [instance for instance in reading.instances if instance.release == live]
    if len(mine) < replicas or any(instance.phase in ("stopped", "failed") for instance in mine):
        return "instances", StartInstances(name.app, name.name, live, replicas, specification, is_live=True)
    if any(instance.phase == "ready" for instance in mine) and not _routed_to(state, reading, mine):
        return "route", ApplyRoute(name.app, name.name, live, None, None, specification)
    return None


def leftovers(state: EnvironmentState, reading: EnvironmentReading) -> set[ArmId]:
    """Arms that run and get no traffic."""
    return {instance.release for instance in reading.instances} - {state.live or ""}


def _routed_to(state: EnvironmentState, reading: EnvironmentReading, mine: list[Instance]) -> bool:
    traffic = reading.traffic
    if traffic.problem is not None:
        return True  # the gateway does not answer: its own supervisor brings it back
    endpoints = set(traffic.endpoints.get(state.live or "", ()))
    return traffic.stable == state.live and endpoints == {instance.endpoint for instance in mine}


def problems(state: EnvironmentState, reading: EnvironmentReading) -> dict[str, Problem]:
    """What is wrong now, by code."""
    found: dict[str, Problem] = {}
    if state.write_problem is not None:
        found[state.write_problem.code] = state.write_problem
    if reading.traffic.problem is not None:
        found["gateway"] = replace(reading.traffic.problem, code="gateway")
    down = [
        instance
        for instance in reading.instances
        if instance.release == state.live and instance.phase not in ("ready", "starting")
    ]
    if down:
        worst = down[0]
        why = worst.problem.message if worst.problem else f"it is {worst.phase}"
        message = f"instance {worst.id} does not serve: {why}"
        found["instance"] = Problem("instance", message, where=str(state.environment))
    return found
