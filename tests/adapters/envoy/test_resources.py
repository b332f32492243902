"""What Envoy is told, word for word, and that Envoy understands it.

The documents in `golden/` are written anew by `python -m tests.adapters.envoy.test_resources`: read the difference.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from trimtab.adapters.envoy import resources, routes
from trimtab.adapters.envoy.binary import executable
from trimtab.adapters.envoy.bootstrap import bootstrap
from trimtab.adapters.envoy.routes import Arms
from trimtab.core.model.identity import BASELINE, EnvironmentId, arm
from trimtab.core.model.specification import StickySpec
from trimtab.core.model.strategy import Match, MirrorSpec
from trimtab.core.model.traffic import NO_SHARE, Backend, Endpoint, Route, Share

GOLDEN = Path(__file__).parent / "golden"
OLD, NEW = "sha256:" + "a" * 64, "sha256:" + "b" * 64
SHOP = EnvironmentId("shop", "production")
STABLE = Backend(OLD, (Endpoint("127.0.0.1", 9002), Endpoint("127.0.0.1", 9001)))
CANDIDATE = Backend(NEW, (Endpoint("127.0.0.1", 9003),))
LISTEN = Endpoint("127.0.0.1", 8080)
LEASE = "rollout/shop/production/3"
OTHERS = tuple(Backend(name, (Endpoint("127.0.0.1", 9009),)) for name in (arm(NEW, "short"), arm(OLD, BASELINE)))
SEGMENTS = (
    (Match("header", "x-beta", "exact", "1"), Match("query", "version", "prefix", "2.")),
    (Match("cookie", "staff", "regex", "a|b"),),
    (Match("cookie", "team", "present"), Match("header", "x-user")),
)

ROUTES = {
    "stable-only": Route(SHOP, LISTEN, STABLE),
    "canary": Route(SHOP, LISTEN, STABLE, CANDIDATE, LEASE, measure="first_byte"),
    "canary-sticky-header": Route(SHOP, LISTEN, STABLE, CANDIDATE, LEASE, StickySpec("header", "x-user")),
    "canary-sticky-cookie": Route(SHOP, LISTEN, STABLE, CANDIDATE, LEASE, StickySpec("cookie", "arm.id")),
    "candidate-without-lease": Route(SHOP, LISTEN, STABLE, CANDIDATE),
    "mirror": Route(
        SHOP, LISTEN, STABLE, CANDIDATE, LEASE, StickySpec("cookie", "arm.id"), mirror=MirrorSpec(50.0, "json", ("id",))
    ),
    "experiment": Route(SHOP, LISTEN, STABLE, CANDIDATE, LEASE, others=OTHERS),
    "segments": Route(SHOP, LISTEN, STABLE, CANDIDATE, LEASE, segments=SEGMENTS),
    "rolling": Route(SHOP, LISTEN, Backend(OLD, STABLE.endpoints[:1], STABLE.endpoints[1:]), CANDIDATE, LEASE),
}


def documents(route: Route) -> dict[str, Any]:
    backends = [route.stable, *([route.candidate] if route.candidate else []), *route.others]
    return {
        "listener": resources.listener(SHOP, route.listen, route.sticky),
        "routes": routes.route_configuration(route),
        "clusters": [resources.cluster(SHOP, backend.arm) for backend in backends],
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
    static["static_resources"]["listeners"].append(listener)
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
    assert routes.arms_of(routes.route_configuration(route)) == routes.arms(route)
    assert resources.arm_of(resources.cluster(SHOP, OLD)) == (SHOP, OLD)


def test_a_share_is_put_over_the_weights() -> None:
    arms = Arms(OLD, NEW, LEASE)
    keys = routes.lease_keys(SHOP, arms, Share(0.25))
    assert keys == {
        "lease.rollout/shop/production/3.shop.production.aaaaaaaaaaaa": 9975,
        "lease.rollout/shop/production/3.shop.production.bbbbbbbbbbbb": 25,
    }
    runtime = {key: str(value) for key, value in keys.items()}
    assert routes.share_in_force(SHOP, arms, runtime) == Share(0.25)
    assert routes.share_in_force(SHOP, arms, {}) == NO_SHARE
    assert routes.share_in_force(SHOP, Arms(OLD, NEW), runtime) == NO_SHARE


def test_several_arms_and_a_mirror_have_keys_of_their_own() -> None:
    short, baseline = (other.arm for other in OTHERS)
    arms = Arms(OLD, NEW, LEASE, others=(short, baseline), mirror=MirrorSpec())
    wanted = Share(10.0, {short: 10.0, baseline: 20.0}, 50.0)
    keys = routes.lease_keys(SHOP, arms, wanted)
    assert sorted(keys.values()) == [1000, 1000, 2000, 5000, 6000]
    assert routes.share_in_force(SHOP, arms, {key: str(value) for key, value in keys.items()}) == wanted


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for name, route in ROUTES.items():
        (GOLDEN / f"{name}.json").write_text(rendered(route))
