"""The settings of an application's service."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator

from trimtab.config.defaults import SERVICE
from trimtab.config.fields import Command, Duration, EnvName, UrlPath, Variables
from trimtab.config.quantities import wrong
from trimtab.config.setting import Settings, duration, group, mapping, required, setting


class Health(Settings):
    """When an instance is ready. `health: PATH` is short for `health: {path: PATH}`."""

    path: UrlPath | None = setting(
        None,
        "Ready when GET on this path answers 2xx or 3xx. Left out: ready when the port accepts a connection.",
        "/healthz",
    )
    timeout: Duration = duration(
        SERVICE.health_timeout_s,
        "An instance that is not ready this long after its start has failed.",
        "2m",
        ge=1,
        le=3600,
    )


def _health(value: Any) -> Any:
    if isinstance(value, str):
        return {"path": value}
    return mapping(value, "a path, or a mapping with `path` and `timeout`", "for example `health: /healthz`")


def _port_variable(value: Any) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        raise wrong(
            "config-fixed-port",
            f"must be the name of an environment variable, but it is the number {value}: several releases run side by"
            " side, so every instance gets a port of its own",
            "remove this line and use `$PORT` in `service.command`; where users connect is `environments.NAME.port`",
        )
    return value


class Service(Settings):
    """How an instance of a release is started, found ready and stopped."""

    command: Command = required(
        "Shell command that starts one instance, run in a folder with the release's files. It must listen on"
        " 127.0.0.1 at the port that `$PORT` holds.",
        "python -m shop --port $PORT",
    )
    health: Annotated[Health, BeforeValidator(_health, json_schema_input_type=UrlPath | Health)] = group(
        Health,
        "How an instance shows that it is ready. Left out: its port accepts a connection.",
        "/healthz",
        {"path": "/healthz", "timeout": "2m"},
    )
    port: Annotated[EnvName, BeforeValidator(_port_variable)] = setting(
        SERVICE.port_env, "Name of the environment variable that tells an instance its port.", "HTTP_PORT"
    )
    env: Variables = setting({}, "Environment variables of every instance.", {"LOG_LEVEL": "info"})
    replicas: int = setting(SERVICE.replicas, "How many instances of a release run.", 2, ge=1, le=100)
    drain: Duration = duration(
        SERVICE.drain_timeout_s,
        "How long requests in flight may take to end before an instance that gets no new ones is told to stop.",
        "5m",
        ge=0,
        le=86_400,
    )
    stop_timeout: Duration = duration(
        SERVICE.stop_timeout_s,
        "How long an instance may take to end after SIGTERM before SIGKILL.",
        "30s",
        ge=0,
        le=3600,
    )
