"""Where Envoy listens and where it sends requests, as pure functions: listener, cluster and endpoint documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from trimtab.adapters.envoy.access_log import Document, access_logs, keeping_filter
from trimtab.adapters.envoy.bootstrap import file_source
from trimtab.adapters.envoy.names import cluster_name, endpoints_file, environment_name, routes_file
from trimtab.adapters.envoy.routes import VISIT_HEADER
from trimtab.core.model.identity import ArmId, EnvironmentId
from trimtab.core.model.specification import StickySpec
from trimtab.core.model.traffic import Backend, Endpoint

_HCM = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_EARLY_MUTATION = "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
_HEADER_TO_METADATA = "envoy.extensions.filters.http.header_to_metadata.v3.Config"
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_NO_LIMIT = 100_000
# Below the keep-alive time of every common server (gunicorn 2 s, uvicorn and Node 5 s): a pooled connection is never
# used in the moment in which the server closes it.
_UPSTREAM_IDLE = "1.5s"


def listener(environment: EnvironmentId, listen: Endpoint, sticky: StickySpec | None) -> Document:
    """The environment's listener: HTTP/1.1, HTTP/2 without TLS and WebSockets, streams never cut while they live."""
    name = environment_name(environment)
    by_cookie = sticky is not None and sticky.kind == "cookie"
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
        "access_log": access_logs(),
        "http_filters": [*([_user_of(sticky)] if sticky and by_cookie else []), keeping_filter(), _router()],
    }
    if by_cookie:
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


def _router() -> Document:
    return {
        "name": "envoy.filters.http.router",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
            "suppress_envoy_headers": True,
        },
    }


def _user_of(sticky: StickySpec) -> Document:
    """Who came, by the cookie alone: a route can pass on a header, but not one of several cookies."""
    rule = {
        "cookie": sticky.name,
        "on_header_present": {"metadata_namespace": "trimtab", "key": "user", "type": "STRING"},
    }
    return {
        "name": "envoy.filters.http.header_to_metadata",
        "typed_config": {"@type": f"type.googleapis.com/{_HEADER_TO_METADATA}", "request_rules": [rule]},
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


def cluster(environment: EnvironmentId, arm: ArmId) -> Document:
    """The arm's cluster; its endpoints are in a file of their own, so that they change without rebuilding it."""
    limits = {
        "max_connections": _NO_LIMIT,
        "max_pending_requests": _NO_LIMIT,
        "max_requests": _NO_LIMIT,
        "max_retries": _NO_LIMIT,
    }
    return {
        "@type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": cluster_name(environment, arm),
        "type": "EDS",
        "eds_cluster_config": {"eds_config": file_source(endpoints_file(environment, arm))},
        "connect_timeout": "1s",
        "lb_policy": "LEAST_REQUEST",
        # Instances that drain get nothing new, however few are left beside them.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "circuit_breakers": {"thresholds": [limits]},
        "metadata": {"filter_metadata": {"trimtab": {"environment": str(environment), "arm": arm}}},
        "typed_extension_protocol_options": {
            _HTTP_OPTIONS: {
                "@type": f"type.googleapis.com/{_HTTP_OPTIONS}",
                "common_http_protocol_options": {"idle_timeout": _UPSTREAM_IDLE},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }


def arm_of(cluster_document: Mapping[str, Any]) -> tuple[EnvironmentId, ArmId]:
    """Which arm of which environment a cluster stands for."""
    ours = cast("Mapping[str, str]", cluster_document["metadata"]["filter_metadata"]["trimtab"])
    app, _, name = ours["environment"].partition("/")
    return EnvironmentId(app, name), ours["arm"]


def load_assignment(environment: EnvironmentId, backend: Backend) -> Document:
    """Where the instances of an arm listen."""
    endpoints: list[Document] = [{"endpoint": {"address": _address(one)}} for one in sorted(backend.endpoints)]
    endpoints += [
        {"endpoint": {"address": _address(one)}, "health_status": "DRAINING"} for one in sorted(backend.draining)
    ]
    return {
        "@type": "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
        "cluster_name": cluster_name(environment, backend.arm),
        "endpoints": [{"lb_endpoints": endpoints}],
    }


def _address(endpoint: Endpoint) -> Document:
    return {"socket_address": {"address": endpoint.host, "port_value": endpoint.port}}


def endpoint_of(address: Mapping[str, Any]) -> Endpoint:
    """The inverse of what stands under `address` in a document."""
    socket_address = address["socket_address"]
    return Endpoint(socket_address["address"], socket_address["port_value"])


def named(resources: Iterable[Document], name: str) -> Document | None:
    """The resource of this name."""
    return next((resource for resource in resources if resource["name"] == name), None)
