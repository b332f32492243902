"""Mirrored requests: their copies come back to Envoy through a socket of its own, where they are counted like others.

Envoy writes nothing down about the copies that it sends; so it sends them to itself, to a listener that nobody else
reaches, which passes them on to the candidate.
"""

from __future__ import annotations

from typing import Any

from trimtab.adapters.envoy.access_log import MIRROR, PAIR_HEADER, access_logs, keep_answers, keeping_filter
from trimtab.adapters.envoy.names import cluster_name
from trimtab.core.model.identity import ArmId, EnvironmentId, release_of
from trimtab.core.model.strategy import MirrorSpec

Document = dict[str, Any]

MIRROR_SOCKET = "mirror.sock"
MIRROR_CLUSTER = "trimtab-mirror"
CANDIDATE_HEADER = "x-trimtab-mirror"
"""The cluster that a copy is for. Only requests that the stable release gets carry it."""

COPY_HEADER = "x-trimtab-copy"
"""Tells an application that a request is a copy: it may leave out what must not be done twice."""

RELEASE_HEADER = "x-trimtab-release"
"""The digest of the release that a request is for."""

_COPY_RELEASE_HEADER = "x-trimtab-mirror-release"
_HCM = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = "envoy.extensions.filters.http.router.v3.Router"


def policy(runtime_key: str) -> Document:
    """Copy a part of the route's requests: as much as the lease says, without one nothing."""
    return {
        "cluster": MIRROR_CLUSTER,
        "runtime_fraction": {
            "default_value": {"numerator": 0, "denominator": "TEN_THOUSAND"},
            "runtime_key": runtime_key,
        },
        "disable_shadow_host_suffix_append": True,
    }


def marks(environment: EnvironmentId, candidate: ArmId) -> list[Document]:
    """Headers of a request that the stable release gets: whom its copy is for, and by what both answers are matched."""
    return [
        overwriting(CANDIDATE_HEADER, cluster_name(environment, candidate)),
        overwriting(_COPY_RELEASE_HEADER, release_of(candidate)),
        overwriting(PAIR_HEADER, "%UNIQUE_ID%"),
    ]


def overwriting(name: str, value: str) -> Document:
    """A header that is ours, whatever the client sent under its name."""
    return {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}


def per_route(mirror: MirrorSpec | None) -> Document:
    """What a route says in addition when the answers are to be compared."""
    compares = mirror is not None and mirror.compare != "none"
    return {"typed_per_filter_config": keep_answers()} if compares else {}


def cluster() -> Document:
    """Envoy's own socket. A candidate that hangs makes copies wait here, and only so many of them."""
    endpoint = {"endpoint": {"address": {"pipe": {"path": MIRROR_SOCKET}}}}
    return {
        "name": MIRROR_CLUSTER,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": MIRROR_CLUSTER, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def listener(retry_policy: Document) -> Document:
    """Copies for the candidate go to it; those of requests that the candidate itself got are dropped."""
    to_candidate = {
        "name": MIRROR,
        "match": {"prefix": "/", "headers": [{"name": CANDIDATE_HEADER, "present_match": True}]},
        "route": {"cluster_header": CANDIDATE_HEADER, "timeout": "0s"},
        "request_headers_to_add": [
            {"header": {"key": COPY_HEADER, "value": "true"}},
            overwriting(RELEASE_HEADER, f"%REQ({_COPY_RELEASE_HEADER})%"),
        ],
        "request_headers_to_remove": [CANDIDATE_HEADER],
        "typed_per_filter_config": keep_answers(),
    }
    dropped = {"name": "dropped", "match": {"prefix": "/"}, "direct_response": {"status": 204}}
    manager: Document = {
        "@type": f"type.googleapis.com/{_HCM}",
        "stat_prefix": MIRROR_CLUSTER,
        "skip_xff_append": True,
        "preserve_external_request_id": True,
        "stream_idle_timeout": "3600s",
        "access_log": access_logs(),
        "http_filters": [
            keeping_filter(),
            {"name": "envoy.filters.http.router", "typed_config": {"@type": f"type.googleapis.com/{_ROUTER}"}},
        ],
        "route_config": {
            "virtual_hosts": [
                {"name": MIRROR, "domains": ["*"], "retry_policy": retry_policy, "routes": [to_candidate, dropped]}
            ]
        },
    }
    return {
        "name": MIRROR_CLUSTER,
        "address": {"pipe": {"path": MIRROR_SOCKET, "mode": 0o600}},
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }
