"""What Envoy is started with. Everything that changes later is in files or comes through the lease."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from trimtab.adapters.envoy import mirror
from trimtab.adapters.envoy.routes import retry_policy

ADMIN_SOCKET = "admin.sock"
LEASE_SOCKET = "lease.sock"
LISTENERS_FILE = "xds/lds.json"
CLUSTERS_FILE = "xds/cds.json"
LEASE_LAYER = "lease"

_CONTROLLER = "trimtab-controller"
_CONCURRENCY = 2
_LOG_FLUSH_MS = 200
# An open stream on a listener that was changed or removed is cut when this time is over.
_DRAIN_TIME_S = 3600


def file_source(path: str) -> dict[str, Any]:
    """A configuration source: the file at `path`, read again when another file is renamed to it."""
    return {"path_config_source": {"path": path}, "resource_api_version": "V3"}


def bootstrap() -> dict[str, Any]:
    """The bootstrap document.

    Paths are relative to Envoy's working directory: a socket's path may not be longer than 107 bytes.
    """
    return {
        "node": {"id": "gateway", "cluster": "trimtab"},
        "admin": {"address": {"pipe": {"path": ADMIN_SOCKET, "mode": 0o600}}},
        "dynamic_resources": {
            "lds_config": file_source(LISTENERS_FILE),
            "cds_config": file_source(CLUSTERS_FILE),
            "ads_config": {
                "api_type": "GRPC",
                "transport_api_version": "V3",
                "grpc_services": [{"envoy_grpc": {"cluster_name": _CONTROLLER, "retry_policy": _reconnect()}}],
            },
        },
        "layered_runtime": {
            "layers": [
                {
                    "name": LEASE_LAYER,
                    "rtds_layer": {
                        "name": LEASE_LAYER,
                        # Without it an Envoy that starts while no controller is there serves nothing for 15 s.
                        "rtds_config": {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0.2s"},
                    },
                }
            ]
        },
        "static_resources": {
            "listeners": [mirror.listener(retry_policy())],
            "clusters": [_controller_cluster(), mirror.cluster()],
        },
    }


def _reconnect() -> dict[str, Any]:
    """A controller that comes back is found within a second, however long it was away."""
    return {"retry_back_off": {"base_interval": "0.1s", "max_interval": "0.5s"}}


def _controller_cluster() -> dict[str, Any]:
    endpoint = {"endpoint": {"address": {"pipe": {"path": LEASE_SOCKET}}}}
    return {
        "name": _CONTROLLER,
        "type": "STATIC",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": _CONTROLLER, "endpoints": [{"lb_endpoints": [endpoint]}]},
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
                # A controller that is paused keeps its connection: only its silence tells.
                "explicit_http_config": {
                    "http2_protocol_options": {"connection_keepalive": {"interval": "1s", "timeout": "1s"}}
                },
            }
        },
    }


def arguments(executable: Path, bootstrap_file: str) -> tuple[str, ...]:
    """The command line."""
    return (
        str(executable),
        "--config-path",
        bootstrap_file,
        # Two Envoys on one machine would otherwise fight over a shared memory region.
        "--disable-hot-restart",
        "--concurrency",
        str(_CONCURRENCY),
        "--file-flush-interval-msec",
        str(_LOG_FLUSH_MS),
        "--drain-time-s",
        str(_DRAIN_TIME_S),
        "--drain-strategy",
        "immediate",
        "--log-level",
        "warning",
    )
