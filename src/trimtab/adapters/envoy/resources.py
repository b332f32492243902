"""What Envoy is told, as pure functions: a Route becomes listener, route, cluster and endpoint documents.

The documents are also the only record of what was applied: what Envoy does not need but a restarted controller does
stands in their metadata under the name `trimtab`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from trimtab.adapters.envoy.bootstrap import file_source
from trimtab.core.model.identity import Digest, EnvironmentId, short
from trimtab.core.model.specification import LatencyMeasure, StickySpec
from trimtab.core.model.traffic import Backend, Endpoint, Route

Document = dict[str, Any]

ARM_HEADER = "x-trimtab-arm"
VISIT_HEADER = "x-trimtab-visit"
TOTAL_WEIGHT = 10_000
ACCESS_LOG = "access.log"
ACCESS_LOG_LINE = (
    "%EMIT_TIME(%s)%\t%UPSTREAM_CLUSTER_RAW%\t%RESPONSE_CODE%\t%RESPONSE_FLAGS%"
    "\t%COMMON_DURATION(DS_RX_BEG:DS_TX_END:us)%\t%COMMON_DURATION(DS_RX_BEG:DS_TX_BEG:us)%\t%DURATION%"
    "\t%UPSTREAM_HOST%\n"
)

_HCM = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_EARLY_MUTATION = "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_NO_LIMIT = 100_000
# Below the keep-alive time of every common server (gunicorn 2 s, uvicorn and Node 5 s): a pooled connection is never
# used in the moment in which the server closes it.
_UPSTREAM_IDLE = "1.5s"


@dataclass(frozen=True, slots=True)
class Arms:
    """What a route document says: which releases, under which lease, and which latency counts."""

    stable: Digest
    candidate: Digest | None = None
    lease: str | None = None
    measure: LatencyMeasure = "total"


def environment_name(environment: EnvironmentId) -> str:
    """The name of an environment's listener and route configuration. Names hold no dots, so it can be read back."""
    return f"{environment.app}.{environment.name}"


def cluster_name(environment: EnvironmentId, release: Digest) -> str:
    """The name of a release's cluster; stands in the access log for the arm."""
    return f"{environment_name(environment)}.{short(release)}"


def routes_file(environment: EnvironmentId) -> str:
    return f"xds/rds/{environment_name(environment)}.json"


def endpoints_file(environment: EnvironmentId, release: Digest) -> str:
    return f"xds/eds/{cluster_name(environment, release)}.json"


def listener(environment: EnvironmentId, listen: Endpoint, sticky: StickySpec | None) -> Document:
    """The environment's listener: HTTP/1.1, HTTP/2 without TLS and WebSockets, streams never cut while they live."""
    name = environment_name(environment)
    manager: Document = {
        "@type": f"type.googleapis.com/{_HCM}",
        "stat_prefix": name,
        "codec_type": "AUTO",
        "rds": {"route_config_name": name, "config_source": file_source(routes_file(environment))},
        "use_remote_address": True,
        # Nobody is trusted to steer retries and timeouts of others with x-envoy-... headers.
        "internal_address_config": {"cidr_ranges": [{"address_prefix": "255.255.255.255", "prefix_len": 32}]},
        "preserve_external_request_id": True,
        "request_id_extension": {"typed_config": _request_id()},
        "server_header_transformation": "PASS_THROUGH",
        "stream_idle_timeout": "3600s",
        "request_headers_timeout": "60s",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "access_log": [_access_log()],
        "http_filters": [_router()],
    }
    if sticky is not None and sticky.kind == "cookie":
        manager["early_header_mutation_extensions"] = [_visit_header()]
    return {
        "@type": "type.googleapis.com/envoy.config.listener.v3.Listener",
        "name": name,
        "address": _address(listen),
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }


def _request_id() -> Document:
    """Request ids pass through as they are: no trace flag is written into them."""
    return {
        "@type": "type.googleapis.com/envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig",
        "pack_trace_reason": False,
        "use_request_id_for_trace_sampling": False,
    }


def _access_log() -> Document:
    return {
        "name": "envoy.access_loggers.file",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": ACCESS_LOG,
            "log_format": {"text_format_source": {"inline_string": ACCESS_LOG_LINE}},
        },
    }


def _router() -> Document:
    return {
        "name": "envoy.filters.http.router",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
            "suppress_envoy_headers": True,
        },
    }


def _visit_header() -> Document:
    """A fresh id on every request, before the route is chosen: what a new visitor's cookie will be.

    Not the request id: a client may send one, and what it sends may not survive in a cookie.
    """
    header = {"header": {"key": VISIT_HEADER, "value": "%UNIQUE_ID%"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
    return {
        "name": "envoy.http.early_header_mutation.header_mutation",
        "typed_config": {
            "@type": f"type.googleapis.com/{_EARLY_MUTATION}",
            "mutations": [{"append": header}],
        },
    }


def route_configuration(route: Route) -> Document:
    """All traffic to stable; the candidate by header, and by the share that a lease puts over its weight of 0."""
    name = environment_name(route.environment)
    arms = Arms(
        route.stable.release,
        route.candidate.release if route.candidate else None,
        route.lease if route.candidate else None,
        route.measure,
    )
    return {
        "@type": "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
        "name": name,
        "validate_clusters": True,
        "metadata": _metadata(stable=arms.stable, candidate=arms.candidate, lease=arms.lease, measure=arms.measure),
        "virtual_hosts": [
            {"name": name, "domains": ["*"], "retry_policy": _retry_policy(), "routes": _routes(route, arms)}
        ],
    }


def _routes(route: Route, arms: Arms) -> list[Document]:
    stable = cluster_name(route.environment, arms.stable)
    if arms.candidate is None:
        return [_to({}, {"cluster": stable})]
    candidate = cluster_name(route.environment, arms.candidate)
    by_header = [
        _to({"headers": [_header_is(ARM_HEADER, "candidate")]}, {"cluster": candidate}),
        _to({"headers": [_header_is(ARM_HEADER, "stable")]}, {"cluster": stable}),
    ]
    return [*by_header, *_weighted(stable, candidate, arms.lease, route.sticky)]


def _weighted(stable: str, candidate: str, lease: str | None, sticky: StickySpec | None) -> list[Document]:
    # The weights always add up to the same total: with a hash, a growing share then keeps everybody it had.
    clusters: Document = {"clusters": [{"name": stable, "weight": TOTAL_WEIGHT}, {"name": candidate, "weight": 0}]}
    if lease is not None:
        clusters["runtime_key_prefix"] = lease_prefix(lease)
    action: Document = {"weighted_clusters": clusters}
    if sticky is None:
        return [_to({}, action)]
    clusters["use_hash_policy"] = True
    if sticky.kind == "header":
        return [_to({}, action | {"hash_policy": [{"header": {"header_name": sticky.name}}]})]
    # The first request is hashed by the same bytes that its cookie will carry: a visitor stays from then on.
    known = _to({"headers": [_has_cookie(sticky.name)]}, action | {"hash_policy": [{"cookie": {"name": sticky.name}}]})
    unknown = _to({}, action | {"hash_policy": [{"header": {"header_name": VISIT_HEADER}}]})
    unknown["response_headers_to_add"] = [_set_cookie(sticky.name)]
    return [known, unknown]


def _to(match: Document, action: Document) -> Document:
    """A route without a time limit: streams of language models are long."""
    return {"match": {"prefix": "/", **match}, "route": {"timeout": "0s", **action}}


def _header_is(name: str, value: str) -> Document:
    return {"name": name, "string_match": {"exact": value}}


def _has_cookie(name: str) -> Document:
    return {
        "name": "cookie",
        "string_match": {"safe_regex": {"regex": rf"(?:.*;)?\s*{re.escape(name)}=[^;\s].*"}},
    }


def _set_cookie(name: str) -> Document:
    value = f"{name}=%REQ({VISIT_HEADER})%; Path=/; HttpOnly; SameSite=Lax"
    return {"header": {"key": "set-cookie", "value": value}, "append_action": "APPEND_IF_EXISTS_OR_ADD"}


def _retry_policy() -> Document:
    """Only what never reached an instance is tried again, so no request runs twice; bridges a restart of 1 to 2 s."""
    return {
        "retry_on": "connect-failure,refused-stream,reset-before-request",
        "num_retries": 9,
        "retry_back_off": {"base_interval": "0.05s", "max_interval": "0.4s"},
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
                },
            }
        ],
        "host_selection_retry_max_attempts": 3,
    }


def cluster(environment: EnvironmentId, release: Digest) -> Document:
    """The release's cluster; its endpoints are in a file of their own, so that they change without rebuilding it."""
    name = cluster_name(environment, release)
    limits = {
        "max_connections": _NO_LIMIT,
        "max_pending_requests": _NO_LIMIT,
        "max_requests": _NO_LIMIT,
        "max_retries": _NO_LIMIT,
    }
    return {
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": name,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": file_source(endpoints_file(environment, release))},
        "connect_timeout": "1s",
        "lb_policy": "LEAST_REQUEST",
        "circuit_breakers": {"thresholds": [limits]},
        "metadata": _metadata(environment=str(environment), release=release),
        "typed_extension_protocol_options": {
            _HTTP_OPTIONS: {
                "@type": f"type.googleapis.com/{_HTTP_OPTIONS}",
                "common_http_protocol_options": {"idle_timeout": _UPSTREAM_IDLE},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }


def load_assignment(environment: EnvironmentId, backend: Backend) -> Document:
    """Where the instances of a release listen."""
    endpoints = [{"endpoint": {"address": _address(endpoint)}} for endpoint in sorted(backend.endpoints)]
    return {
        "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": cluster_name(environment, backend.release),
        "endpoints": [{"lb_endpoints": endpoints}],
    }


def _address(endpoint: Endpoint) -> Document:
    return {"socket_address": {"address": endpoint.host, "port_value": endpoint.port}}


def endpoint_of(address: Mapping[str, Any]) -> Endpoint:
    """The inverse of what stands under `address` in a document."""
    socket_address = address["socket_address"]
    return Endpoint(socket_address["address"], socket_address["port_value"])


def _metadata(**entries: str | None) -> Document:
    known = {name: value for name, value in entries.items() if value is not None}
    return {"filter_metadata": {"trimtab": known}}


def _ours(document: Mapping[str, Any]) -> Mapping[str, str]:
    return cast("Mapping[str, str]", document["metadata"]["filter_metadata"]["trimtab"])


def arms_of(route_document: Mapping[str, Any]) -> Arms:
    """What a route configuration says, whether read from a file or from Envoy."""
    ours = _ours(route_document)
    return Arms(
        stable=ours["stable"],
        candidate=ours.get("candidate"),
        lease=ours.get("lease"),
        measure=cast("LatencyMeasure", ours["measure"]),
    )


def release_of(cluster_document: Mapping[str, Any]) -> tuple[EnvironmentId, Digest]:
    """Which release of which environment a cluster stands for."""
    ours = _ours(cluster_document)
    app, _, name = ours["environment"].partition("/")
    return EnvironmentId(app, name), ours["release"]


def lease_prefix(lease: str) -> str:
    return f"lease.{lease}"


def lease_keys(environment: EnvironmentId, arms: Arms, weight_pct: float) -> dict[str, int]:
    """The runtime keys that put a share over the weights of the route document; empty without a lease to put it on."""
    if arms.lease is None or arms.candidate is None:
        return {}
    candidate_weight = round(weight_pct / 100 * TOTAL_WEIGHT)
    prefix = lease_prefix(arms.lease)
    return {
        f"{prefix}.{cluster_name(environment, arms.stable)}": TOTAL_WEIGHT - candidate_weight,
        f"{prefix}.{cluster_name(environment, arms.candidate)}": candidate_weight,
    }


def weight_in_force_pct(environment: EnvironmentId, arms: Arms, runtime: Mapping[str, str]) -> float:
    """The candidate's share, given Envoy's runtime keys: what the keys do not say, the route document does."""
    keys = lease_keys(environment, arms, 0.0)
    weights = [float(runtime.get(key, default)) for key, default in keys.items()]
    return 100.0 * weights[1] / sum(weights) if weights else 0.0


def named(resources: Iterable[Document], name: str) -> Document | None:
    """The resource of this name."""
    return next((resource for resource in resources if resource["name"] == name), None)
