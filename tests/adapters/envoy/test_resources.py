"""What Envoy is told, word for word, and that Envoy understands it.

The documents in `golden/` are written anew by `python -m tests.adapters.envoy.test_resources`: read the difference.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from trimtab.adapters.envoy import resources
from trimtab.adapters.envoy.binary import executable
from trimtab.adapters.envoy.bootstrap import bootstrap
from trimtab.adapters.envoy.resources import Arms
from trimtab.core.model.identity import EnvironmentId
from trimtab.core.model.specification import StickySpec
from trimtab.core.model.traffic import Backend, Endpoint, Route

GOLDEN = Path(__file__).parent / "golden"
OLD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64
SHOP = EnvironmentId("shop", "production")
STABLE = Backend(OLD, (Endpoint("127.0.0.1", 9002), Endpoint("127.0.0.1", 9001)))
CANDIDATE = Backend(NEW, (Endpoint("127.0.0.1", 9003),))
LISTEN = Endpoint("127.0.0.1", 8080)
LEASE = "rollout/shop/production/3"

ROUTES = {
    "stable-only": Route(SHOP, LISTEN, STABLE),
    "canary": Route(SHOP, LISTEN, STABLE, CANDIDATE, LEASE, measure="first_byte"),
    "canary-sticky-header": Route(SHOP, LISTEN, STABLE, CANDIDATE, LEASE, StickySpec("header", "x-user")),
    "canary-sticky-cookie": Route(SHOP, LISTEN, STABLE, CANDIDATE, LEASE, StickySpec("cookie", "arm.id")),
    "candidate-without-lease": Route(SHOP, LISTEN, STABLE, CANDIDATE),
}


def documents(route: Route) -> dict[str, Any]:
    backends = [route.stable, *([route.candidate] if route.candidate else [])]
    return {
        "listener": resources.listener(SHOP, route.listen, route.sticky),
        "routes": resources.route_configuration(route),
        "clusters": [resources.cluster(SHOP, backend.release) for backend in backends],
        "endpoints": [resources.load_assignment(SHOP, backend) for backend in backends],
    }


def rendered(route: Route) -> str:
    return json.dumps(documents(route), indent=2) + "\n"


@pytest.mark.parametrize("name", ROUTES)
def test_documents_are_as_agreed(name: str) -> None:
    assert rendered(ROUTES[name]) == (GOLDEN / f"{name}.json").read_text()


def inlined(route: Route) -> dict[str, Any]:
    """A static configuration with the same documents: Envoy validates files that it would read later only then."""
    told = documents(route)
    listener = told["listener"]
    manager = listener["filter_chains"][0]["filters"][0]["typed_config"]
    del manager["rds"]
    manager["route_config"] = told["routes"]
    clusters = told["clusters"]
    for cluster, assignment in zip(clusters, told["endpoints"], strict=True):
        del cluster["eds_cluster_config"]
        cluster["type"] = "STATIC"
        cluster["load_assignment"] = assignment
    for document in (listener, told["routes"], *clusters, *told["endpoints"]):
        del document["@type"]
    static = bootstrap()
    del static["dynamic_resources"]["lds_config"], static["dynamic_resources"]["cds_config"]
    static["static_resources"]["clusters"] += clusters
    static["static_resources"]["listeners"] = [listener]
    return static


def validate(configuration: dict[str, Any], folder: Path) -> subprocess.CompletedProcess[str]:
    (folder / "static.json").write_text(json.dumps(configuration))
    command = [str(executable()), "--mode", "validate", "--config-path", "static.json", "--disable-hot-restart"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize("name", ROUTES)
def test_envoy_understands_the_documents(name: str, tmp_path: Path) -> None:
    outcome = validate(inlined(ROUTES[name]), tmp_path)
    assert outcome.returncode == 0, outcome.stderr


def test_envoy_would_say_so_if_it_did_not(tmp_path: Path) -> None:
    configuration = inlined(ROUTES["canary"])
    configuration["static_resources"]["clusters"].pop()
    assert validate(configuration, tmp_path).returncode == 1


@pytest.mark.parametrize("name", ROUTES)
def test_documents_can_be_read_back(name: str) -> None:
    route = ROUTES[name]
    arms = resources.arms_of(resources.route_configuration(route))
    candidate = route.candidate.release if route.candidate else None
    assert arms == Arms(OLD, candidate, route.lease, route.measure)
    assert resources.release_of(resources.cluster(SHOP, OLD)) == (SHOP, OLD)


def test_a_share_is_put_over_the_weights() -> None:
    arms = Arms(OLD, NEW, LEASE)
    keys = resources.lease_keys(SHOP, arms, 0.25)
    assert keys == {
        "lease.rollout/shop/production/3.shop.production.aaaaaaaaaaaa": 9975,
        "lease.rollout/shop/production/3.shop.production.bbbbbbbbbbbb": 25,
    }
    runtime = {key: str(value) for key, value in keys.items()}
    assert resources.weight_in_force_pct(SHOP, arms, runtime) == 0.25
    assert resources.weight_in_force_pct(SHOP, arms, {}) == 0
    assert resources.weight_in_force_pct(SHOP, Arms(OLD, NEW), runtime) == 0


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name, route in ROUTES.items():
        (GOLDEN / f"{name}.json").write_text(rendered(route))
