"""What no setting says for itself: names that refer to others, addresses that collide, weights in order.

These checks read the nodes, not the validated file, and pass over what is wrong by itself: so all problems of a file
are found at once, whichever of them keep it from being valid.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from trimtab.config.checks_of_pipeline import check_gates, check_pipeline, check_schedules
from trimtab.config.checks_of_secrets import check_secrets
from trimtab.config.checks_of_strategies import check_strategy, parsed
from trimtab.config.defaults import ENVIRONMENT, ENVIRONMENT_NAME, PREVIEWS, SERVICE
from trimtab.config.flaws import Flaw
from trimtab.config.nodes import MappingNode, Path, key_place, plain, value_place
from trimtab.config.previews import parse_ports
from trimtab.config.quantities import parse_listen
from trimtab.core.model.identity import PREVIEW

RESERVED = ("state",)
"""Names that no application can have: repositories of Trimtab's own."""

_EVERY_ADDRESS = ("0.0.0.0", "::")


def check(root: MappingNode) -> Iterator[Flaw]:
    """Every flaw between settings."""
    file = plain(root)
    environments = _mapping(file.get("environments", {ENVIRONMENT_NAME: {}}))
    if file.get("app") in RESERVED:
        message = f"the name `{file['app']}` is Trimtab's own"
        yield Flaw(value_place(root, ("app",)), "config-invalid-name", message, "choose another one")
    yield from check_pipeline(root, _mapping(file.get("pipeline")))
    yield from check_secrets(root, file.get("secrets"), _mapping(file.get("pipeline")))
    yield from check_schedules(root, _mapping(file.get("schedules")), _mapping(file.get("pipeline")))
    yield from check_gates(root, environments, _mapping(file.get("pipeline")))
    yield from _check_parts(root, _mapping(_mapping(file.get("release")).get("parts")))
    yield from _check_addresses(root, environments)
    previews = _mapping(file.get("previews"))
    yield from check_previews(root, file.get("previews"), environments)
    yield from _check_port_variable(root, _mapping(file.get("service")), environments, previews)
    for name, environment in environments.items():
        yield from check_strategy(root, ("environments", name), _mapping(environment))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _listed(value: Any) -> list[Any]:
    return [value] if isinstance(value, str) else value if isinstance(value, list) else []


def _check_parts(root: MappingNode, parts: Mapping[str, Any]) -> Iterator[Flaw]:
    owners: dict[str, str] = {}
    for name, paths in parts.items():
        for index, path in enumerate(_listed(paths)):
            same = str(path).removeprefix("./").rstrip("/")
            if owner := owners.get(same):
                message = f"the path `{path}` of part `{name}` is already in part `{owner}`"
                place = value_place(root, ("release", "parts", name, index))
                yield Flaw(place, "config-duplicate", message, "keep one of them")
            owners.setdefault(same, name)


def _check_addresses(root: MappingNode, environments: Mapping[str, Any]) -> Iterator[Flaw]:
    taken: list[tuple[str, str, int]] = []
    for name, environment in environments.items():
        address = _address(_mapping(environment))
        if address is None:
            continue
        host, port = address
        for other, other_host, other_port in taken:
            if port == other_port and (host == other_host or host in _EVERY_ADDRESS or other_host in _EVERY_ADDRESS):
                key = "listen" if "listen" in _mapping(environment) else "port"
                message = f"environments `{other}` and `{name}` both listen on port {port}"
                place = value_place(root, ("environments", name, key))
                yield Flaw(place, "config-conflict", message, "give one of them another `port`")
                break
        taken.append((name, host, port))


def check_previews(root: MappingNode, settings: Any, environments: Mapping[str, Any]) -> Iterator[Flaw]:
    """Names and ports that previews have for themselves."""
    for name in environments:
        if isinstance(name, str) and name.startswith(PREVIEW):
            message = f"the name `{name}` could be a preview's: those begin with `{PREVIEW}`"
            yield Flaw(key_place(root, ("environments", name)), "config-invalid-name", message, "choose another one")
    if settings is None or settings is False:
        return
    given = _mapping(settings)
    text = str(given.get("ports", f"{PREVIEWS.first_port}-{PREVIEWS.last_port}"))
    ports = parsed(parse_ports, text)
    for name, environment in environments.items():
        address = _address(_mapping(environment))
        if ports is None or address is None or not ports[0] <= address[1] <= ports[1]:
            continue
        message = f"environment `{name}` listens on port {address[1]}, which is one of the previews' ({text})"
        place = value_place(root, ("previews", "ports")) if "ports" in given else key_place(root, ("previews",))
        yield Flaw(place, "config-conflict", message, "give `previews.ports` another range")


def _address(environment: Mapping[str, Any]) -> tuple[str, int] | None:
    if isinstance(listen := environment.get("listen"), str):
        return parsed(parse_listen, listen)
    port = environment.get("port", ENVIRONMENT.port)
    return (ENVIRONMENT.host, port) if isinstance(port, int) else None


def _check_port_variable(
    root: MappingNode, service: Mapping[str, Any], environments: Mapping[str, Any], previews: Mapping[str, Any]
) -> Iterator[Flaw]:
    variable = str(service.get("port", SERVICE.port_env))
    groups: list[tuple[Path, Any]] = [(("service", "env"), service.get("env"))]
    groups.append((("previews", "env"), previews.get("env")))
    groups += [(("environments", name, "env"), _mapping(spec).get("env")) for name, spec in environments.items()]
    for path, variables in groups:
        if variable in _mapping(variables):
            message = f"`{variable}` is set here, but it is the variable that gives every instance its own port"
            hint = "remove it, or let `service.port` name another variable"
            yield Flaw(key_place(root, (*path, variable)), "config-conflict", message, hint)
