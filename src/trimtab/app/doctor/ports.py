"""Who listens on the ports that the API and the environments need?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import psutil

from trimtab.adapters.envoy import resources
from trimtab.adapters.envoy.bootstrap import LISTENERS_FILE
from trimtab.adapters.envoy.files import Files
from trimtab.adapters.envoy.gateway import PROCESS
from trimtab.adapters.envoy.hand import Hand
from trimtab.app.doctor.place import Place
from trimtab.core.errors import TrimtabError
from trimtab.core.model.traffic import Endpoint
from trimtab.views.findings import Finding

NAME = "ports"
_ANY = ("0.0.0.0", "::")


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that accepts connections. `pid` None: of another user, whom only root may see."""

    endpoint: Endpoint
    pid: int | None = None
    program: str = ""

    def __str__(self) -> str:
        return f"{self.program} (process {self.pid})" if self.pid is not None else "a program of another user"


def look(place: Place) -> Iterator[Finding]:
    listeners = _listeners()
    envoy = place.record(PROCESS)
    pid = envoy.status.pid if envoy else None
    laid = _laid(place)
    found = [*judge_environments(listeners, laid, _planned(place, laid), pid)]
    if not place.is_running and place.api is not None:
        found += judge_api(listeners, Endpoint(*place.api.address))
    yield from found
    if not found:
        yield Finding(NAME, "ok", "No other program has a port that is needed.")


def judge_environments(
    listeners: Sequence[Listener], laid: Mapping[str, Endpoint], planned: Mapping[str, Endpoint], envoy: int | None
) -> Iterator[Finding]:
    """`laid`: the environments that the gateway was told to listen for; `planned`: those without a release yet."""
    well = []
    for name, endpoint in {**planned, **laid}.items():
        there = _on(listeners, endpoint)
        others = [listener for listener in there if listener.pid is None or listener.pid != envoy]
        place = f"{endpoint.host}:{endpoint.port}"
        if others:
            what = f"The port of {name} is taken by {others[0]}."
            why = "Its users are answered by that program." if name in laid else "Its first release cannot be deployed."
            do = f"stop that program, or give {name} another `port` in trimtab.yaml; then deploy again"
            yield Finding(NAME, "error", what, why, do, place)
        elif there:
            well.append(f"{name} on {place}")
        elif name in laid and envoy is not None:
            what = f"The gateway does not listen for {name}: users get no answer."
            why = "The port was taken when it was told to, or Envoy refused it."
            yield Finding(
                NAME, "error", what, why, "see processes/gateway/log; deploying again makes it try again", place
            )
    if well:
        yield Finding(NAME, "ok", f"The gateway listens for {', '.join(well)}.")


def judge_api(listeners: Sequence[Listener], endpoint: Endpoint) -> Iterator[Finding]:
    """The API's port, while no controller runs."""
    there = _on(listeners, endpoint)
    if there:
        what = f"The API's port is taken by {there[0]}: `trimtab up` will be refused."
        do = "stop that program, or choose another with `trimtab up --port`"
        yield Finding(NAME, "error", what, "", do, f"{endpoint.host}:{endpoint.port}")


def _on(listeners: Sequence[Listener], wanted: Endpoint) -> list[Listener]:
    return [
        each
        for each in listeners
        if each.endpoint.port == wanted.port
        and (each.endpoint.host == wanted.host or each.endpoint.host in _ANY or wanted.host in _ANY)
    ]


def _listeners() -> list[Listener]:
    """All of this machine, each process and port once."""
    found: dict[tuple[int | None, Endpoint], Listener] = {}
    for connection in psutil.net_connections(kind="tcp"):
        if connection.status == psutil.CONN_LISTEN:
            endpoint = Endpoint(*connection.laddr)
            key = (connection.pid, endpoint)
            if key not in found:
                found[key] = Listener(endpoint, connection.pid, _program(connection.pid))
    return list(found.values())


def _program(pid: int | None) -> str:
    try:
        return psutil.Process(pid).name() if pid is not None else ""
    except psutil.Error:
        return "a program that has just ended"


def _laid(place: Place) -> dict[str, Endpoint]:
    gateway = place.home / "gateway"
    told = Files(gateway, Hand(gateway)).resources(LISTENERS_FILE)
    return {str(one["name"]).replace(".", "/"): resources.endpoint_of(one["address"]) for one in told}


def _planned(place: Place, laid: Mapping[str, Endpoint]) -> dict[str, Endpoint]:
    try:
        apps = place.board.apps()
    except TrimtabError:
        return {}  # that the database cannot be read is said by its own check
    found = {f"{each.app}/{each.name}": each.address for app in apps for each in app.environments}
    planned = {}
    for name, address in found.items():
        host, _, port = address.rpartition(":")
        if name not in laid and port.isdigit():
            planned[name] = Endpoint(host, int(port))
    return planned
