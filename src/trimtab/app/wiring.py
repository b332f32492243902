"""The engine with its ports: who observes, who carries out, and what wakes it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from trimtab import __version__
from trimtab.adapters import gates, services
from trimtab.adapters.calendar import RuleCalendar
from trimtab.app.gate_programs import gate_programs
from trimtab.app.identity import is_gone
from trimtab.app.inherited import of_steps, passed_on
from trimtab.app.ports import Ports
from trimtab.config.loading import load as load_configuration
from trimtab.core.model.strategy import GateSpec
from trimtab.engine.attesting import Attesting, StoredRuns
from trimtab.engine.checkouts import Checkouts
from trimtab.engine.delivery import Delivery, GateCommand, Retirements
from trimtab.engine.groups import Peers
from trimtab.engine.loop import Engine, Kind
from trimtab.engine.observe import Applications, Environments, Rollouts, Runs, Turns
from trimtab.engine.pipeline import Pipeline
from trimtab.engine.replicas import Lead, Sharing
from trimtab.engine.reporting import Reporting
from trimtab.engine.step_reports import StepReports
from trimtab.engine.steps import EarlierRuns, Steps
from trimtab.engine.trusting import Trusting
from trimtab.ports.store import Controller

DATA_PLANE = "gateway/local"
"""The object whose holder moves the gateway of this folder."""


def wire(
    ports: Ports, home: Path, me: Controller, on_lead: Callable[[], None] = lambda: None, public_url: str = ""
) -> Engine:
    """The engine of the controller `me` over the adapters of `home`. `on_lead`: called when it has begun to lead;
    `public_url`: where others reach its API, if that is another address than its own."""
    steps = _steps(ports, home)
    trusting = trusting_of(ports)
    attesting = Attesting(trusting, ports.keys, StoredRuns(ports.store), public_url or me.url, __version__)
    pipeline = Pipeline(
        ports.source, ports.artifacts, ports.workspaces, steps, load_configuration, ports.part_files, attesting
    )
    delivery = Delivery(
        state_repository=ports.state_repository,
        artifacts=ports.artifacts,
        runtime=ports.runtime,
        traffic=ports.gateway,
        processes=ports.processes,
        clock=ports.clock,
        trusting=trusting,
        retires=Retirements(ports.store),
        gate_command=_gate_command,
    )
    reporting = Reporting(ports.store, ports.forges, ports.forge_secrets, public_url or me.url)
    engine = Engine(
        store=ports.store,
        clock=ports.clock,
        traffic=ports.gateway,
        kinds=_kinds(ports),
        handlers={**pipeline.handlers(), **delivery.handlers(), **reporting.handlers()},
        owner=me.owner,
        lead=Lead(DATA_PLANE, ports.store, ports.gateway, ports.clock, me.owner, on_lead),
        sharing=Sharing(ports.store, me, is_gone=lambda other: is_gone(me, other)),
    )
    ports.processes.on_change(lambda name: engine.wake(_waits_for(name)))
    return engine


def trusting_of(ports: Ports) -> Trusting:
    """What says whether a release may be deployed."""
    return Trusting(ports.artifacts, ports.keys, ports.clock)


def _steps(ports: Ports, home: Path) -> Steps:
    return Steps(
        checkouts=Checkouts(ports.source, home / "runs"),
        processes=ports.processes,
        workspaces=ports.workspaces,
        cache=ports.step_cache,
        secrets=ports.secrets,
        reports=StepReports(ports.workspaces, ports.reports),
        env=of_steps(),
        earlier=EarlierRuns(ports.store),
        command=services.command,
        gates=gate_programs(),
    )


def _kinds(ports: Ports) -> dict[str, Kind]:
    """What is decided about, and who looks at the world for it."""
    gateway, runtime, processes, calendar = ports.gateway, ports.runtime, ports.processes, RuleCalendar()
    return {
        "app": Applications(ports.source, ports.forges, ports.forge_secrets, gateway, calendar),
        "run": Runs(processes, os.cpu_count() or 1),
        "turn": Turns(),
        "env": Environments(ports.state_repository, ports.artifacts, gateway, runtime, gateway, calendar),
        "rollout": Rollouts(gateway, gateway, runtime, processes, ports.measurements, Peers(ports.store)),
    }


def _waits_for(process: str) -> str | None:
    """The object that waits for a process: a step's run, a gate's rollout, an instance's environment."""
    kind, _, rest = process.partition("/")
    first_two, first_three = "/".join(rest.split("/")[:2]), "/".join(rest.split("/")[:3])
    return {"step": f"run/{first_two}", "gate": f"rollout/{first_three}", "instance": f"env/{first_two}"}.get(kind)


def _gate_command(gate: GateSpec) -> GateCommand:
    return GateCommand(gates.argv(gate), {**passed_on(), **gates.variables(gate)})
