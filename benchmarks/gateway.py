"""Requests per second through Trimtab's gateway in the middle of a canary, over the same Envoy configured by hand.

Compared, each in an Envoy 1.40 of its own with two workers, in front of the same two instances (an Envoy that answers
`ok` by itself):

- ours: 90 % stable, 10 % candidate by a lease; meanwhile this process does what the controller does, once a second:
  renews the lease, reads the gateway back, counts the access log.
- static: the same Envoy with the same listener, routes, clusters and access log in one static file, the weights 90/10
  written into it. No lease, no files to watch, no controller: what being dynamic costs is the ratio to this one.
- bare: the least that splits traffic 90/10, written by hand: no access log, no retries, no client addresses, no choice
  of an arm by header. What all our options cost is the ratio to this one.

Rounds of two seconds are interleaved, each contender in turn first; after three rounds all Envoys are started anew,
for one process may be luckier than its twin. Ratios are medians over the rounds. The processor time that each Envoy
spends on a request is compared too. Two equal Envoys differ by some per cent when the machine does other work.

    python -m benchmarks.gateway [--quick] [--json]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import statistics
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks._report import finish
from benchmarks._throughput import Throughput, generator, saturate
from trimtab.adapters.clock import SystemClock
from trimtab.adapters.envoy import resources
from trimtab.adapters.envoy.binary import executable
from trimtab.adapters.envoy.gateway import PROCESS, EnvoyGateway
from trimtab.adapters.envoy.routes import route_configuration
from trimtab.adapters.processes.supervised import SupervisedProcesses
from trimtab.core.model.identity import EnvironmentId
from trimtab.core.model.traffic import Backend, Endpoint, Route, Share
from trimtab.ports.processes import Processes, ProcessSpec

HOST = "127.0.0.1"
ROUND_S = 2
ROUNDS = 3
SHARE = Share(10.0)
LEASE = "rollout/bench/production/1"
OURS, STATIC, BARE = PROCESS, "static", "bare"
"""The contenders, by the names of their processes."""
PRODUCTION = EnvironmentId("bench", "production")
STABLE_RELEASE, CANDIDATE_RELEASE = f"sha256:{'5' * 64}", f"sha256:{'c' * 64}"
_TYPE = "type.googleapis.com/envoy"

Document = dict[str, Any]
Contender = Callable[[], Awaitable[Throughput]]


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server((HOST, 0)) for _ in range(count)]
    ports: list[int] = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


# --- configurations written by hand ----------------------------------------------------------------------------------


def address(port: int) -> Document:
    return {"socket_address": {"address": HOST, "port_value": port}}


def listener(port: int, manager: Document) -> Document:
    typed = {
        "@type": f"{_TYPE}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "ingress",
        "http_filters": [
            {
                "name": "envoy.filters.http.router",
                "typed_config": {"@type": f"{_TYPE}.extensions.filters.http.router.v3.Router"},
            }
        ],
        **manager,
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": typed}]}
    return {"name": f"port-{port}", "address": address(port), "filter_chains": [chain]}


def routes(action: Document) -> Document:
    host = {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, **action}]}
    return {"route_config": {"name": "routes", "virtual_hosts": [host]}}


def instances(ports: list[int]) -> Document:
    answer = routes({"direct_response": {"status": 200, "body": {"inline_string": "ok"}}})
    return {"listeners": [listener(port, answer) for port in ports]}


def bare_proxy(port: int, instance_ports: list[int]) -> Document:
    names = ["stable", "candidate"]
    split = {"clusters": [{"name": "stable", "weight": 90}, {"name": "candidate", "weight": 10}]}
    route: Document = {"timeout": "0s", "weighted_clusters": split}
    manager: Document = {"upgrade_configs": [{"upgrade_type": "websocket"}]}
    return {
        "listeners": [listener(port, manager | routes({"route": route}))],
        "clusters": [cluster(name, at) for name, at in zip(names, instance_ports, strict=True)],
    }


def static_proxy(route: Route) -> Document:
    """Our own listener, route and clusters in one static document: weights 90/10, no lease, no files."""
    routed = route_configuration(replace(route, lease=None))
    stable, candidate = routed["virtual_hosts"][0]["routes"][-1]["route"]["weighted_clusters"]["clusters"]
    stable["weight"], candidate["weight"] = 9000, 1000
    listening = resources.listener(route.environment, route.listen, route.sticky)
    manager = listening["filter_chains"][0]["filters"][0]["typed_config"]
    del manager["rds"]
    manager["route_config"] = _untyped(routed)
    assert route.candidate is not None
    clusters = [static_cluster(route.environment, backend) for backend in (route.stable, route.candidate)]
    return {"listeners": [_untyped(listening)], "clusters": clusters}


def static_cluster(environment: EnvironmentId, backend: Backend) -> Document:
    made = _untyped(resources.cluster(environment, backend.arm))
    del made["eds_cluster_config"]
    return made | {
        "type": "STATIC",
        "load_assignment": _untyped(resources.load_assignment(environment, backend)),
    }


def _untyped(document: Document) -> Document:
    return {key: value for key, value in document.items() if key != "@type"}


def cluster(name: str, port: int) -> Document:
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address(port)}}]}]
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": endpoints},
    }


# --- what runs ----------------------------------------------------------------------------------------------------


@asynccontextmanager
async def static_envoy(
    processes: Processes, folder: Path, name: str, document: Document, *, port: int, workers: int = 2
) -> AsyncIterator[None]:
    home = folder / name
    home.mkdir()
    (home / "static.json").write_text(json.dumps({"static_resources": document}))
    options = ("--disable-hot-restart", "--file-flush-interval-msec", "200", "--log-level", "error")
    argv = (str(executable()), "-c", "static.json", "--concurrency", str(workers), *options)
    await processes.start(ProcessSpec(name, argv, str(home)))
    try:
        await until_listening(port)
        yield
    finally:
        await processes.stop(name)


async def until_listening(port: int) -> None:
    async with asyncio.timeout(15):
        while True:
            try:
                _, writer = await asyncio.open_connection(HOST, port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return


def canary(port: int, instance_ports: list[int]) -> Route:
    stable, candidate = (Endpoint(HOST, one) for one in instance_ports)
    return Route(
        PRODUCTION,
        Endpoint(HOST, port),
        Backend(STABLE_RELEASE, (stable,)),
        Backend(CANDIDATE_RELEASE, (candidate,)),
        lease=LEASE,
    )


@asynccontextmanager
async def our_gateway(
    processes: Processes, folder: Path, port: int, instance_ports: list[int]
) -> AsyncIterator[EnvoyGateway]:
    gateway = EnvoyGateway(folder / "gateway", processes, SystemClock())
    try:
        await gateway.start()
        await gateway.lead(1)
        await gateway.apply(canary(port, instance_ports), 1)
        yield gateway
    finally:
        await gateway.shutdown(grace_s=0)
        await gateway.close()


async def under_control(gateway: EnvoyGateway, port: int) -> Throughput:
    """A round through our gateway with a controller at work."""

    async def control() -> None:
        while True:
            await gateway.lease(PRODUCTION, LEASE, SHARE, 1)
            await gateway.reading(PRODUCTION)
            await gateway.counts(PRODUCTION)
            await asyncio.sleep(1)

    controller = asyncio.create_task(control())
    try:
        while (await gateway.reading(PRODUCTION)).share != SHARE:
            await asyncio.sleep(0.01)
        return await saturate(HOST, port, ROUND_S)
    finally:
        controller.cancel()
        with suppress(asyncio.CancelledError):
            await controller


@dataclass(frozen=True, slots=True)
class Round:
    """One contender in one round; `cpu_us`: what its Envoy spent on one request."""

    requests_per_s: float
    failed: int
    cpu_us: float


async def measure(processes: Processes, contenders: dict[str, Contender], seen: dict[str, list[Round]]) -> None:
    """Every contender once in each round, in turning order."""
    names = list(contenders)
    for number in range(ROUNDS):
        turn = number % len(names)
        for name in names[turn:] + names[:turn]:
            before_s = await cpu_s(processes, name)
            outcome = await contenders[name]()
            spent_s = await cpu_s(processes, name) - before_s
            cpu_us = 1e6 * spent_s / (outcome.requests_per_s * ROUND_S)
            seen[name].append(Round(outcome.requests_per_s, outcome.failed, cpu_us))


async def cpu_s(processes: Processes, name: str) -> float:
    status = await processes.status(name)
    assert status is not None
    return status.cpu_s


async def generation(folder: Path, seen: dict[str, list[Round]]) -> float:
    """Start everything, measure some rounds, stop everything; the candidate's share as counted, in per cent."""
    first, second, ours, static, bare = free_ports(5)
    both = [first, second]
    processes = SupervisedProcesses(folder / "processes")
    try:
        async with (
            static_envoy(processes, folder, "instances", instances(both), port=second, workers=1),
            static_envoy(processes, folder, STATIC, static_proxy(canary(static, both)), port=static),
            static_envoy(processes, folder, BARE, bare_proxy(bare, both), port=bare),
            our_gateway(processes, folder, ours, both) as gateway,
        ):
            contenders: dict[str, Contender] = {
                OURS: lambda: under_control(gateway, ours),
                STATIC: lambda: saturate(HOST, static, ROUND_S),
                BARE: lambda: saturate(HOST, bare, ROUND_S),
            }
            await measure(processes, contenders, seen)
            counts = await gateway.counts(PRODUCTION)
    finally:
        await processes.close()
    requests = {release: arm.requests for release, arm in counts.items()}
    return 100 * requests[CANDIDATE_RELEASE] / sum(requests.values())


async def run(generations: int) -> dict[str, float | int | str]:
    seen: dict[str, list[Round]] = {name: [] for name in (OURS, STATIC, BARE)}
    candidate_pct = []
    for _ in range(generations):
        with tempfile.TemporaryDirectory() as name:
            candidate_pct.append(await generation(Path(name), seen))
    return results(seen, statistics.mean(candidate_pct))


def results(seen: dict[str, list[Round]], candidate_pct: float) -> dict[str, float | int | str]:
    def ratio(value: Callable[[Round], float], other: str) -> float:
        pairs = zip(seen[OURS], seen[other], strict=True)
        return statistics.median(value(mine) / value(theirs) for mine, theirs in pairs)

    def rate(one: Round) -> float:
        return one.requests_per_s

    def cpu_us(one: Round) -> float:
        return one.cpu_us

    return {
        "throughput_ratio": ratio(rate, STATIC),
        "throughput_ratio_to_bare": ratio(rate, BARE),
        "cpu_ratio": ratio(cpu_us, STATIC),
        "cpu_ratio_to_bare": ratio(cpu_us, BARE),
        **{f"{name}_requests_per_s": statistics.median(map(rate, rounds)) for name, rounds in seen.items()},
        **{f"{name}_cpu_us_per_request": statistics.median(map(cpu_us, rounds)) for name, rounds in seen.items()},
        "failed_requests": sum(one.failed for rounds in seen.values() for one in rounds),
        "candidate_pct": candidate_pct,
        "rounds": len(seen[OURS]),
        "load_generator": generator(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="2 generations instead of 10")
    parser.add_argument("--json", action="store_true", help="one JSON object on the last line")
    options = parser.parse_args()
    finish(asyncio.run(run(2 if options.quick else 10)), options.json)


if __name__ == "__main__":
    main()
