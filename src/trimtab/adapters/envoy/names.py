"""The names by which Envoy and Trimtab mean the same thing."""

from __future__ import annotations

from trimtab.core.model.identity import ArmId, EnvironmentId, short


def environment_name(environment: EnvironmentId) -> str:
    """The name of an environment's listener and route configuration. Names hold no dots, so it can be read back."""
    return f"{environment.app}.{environment.name}"


def cluster_name(environment: EnvironmentId, arm: ArmId) -> str:
    """The name of an arm's cluster; stands in the access log for the arm."""
    return f"{environment_name(environment)}.{short(arm)}"


def routes_file(environment: EnvironmentId) -> str:
    return f"xds/rds/{environment_name(environment)}.json"


def endpoints_file(environment: EnvironmentId, arm: ArmId) -> str:
    return f"xds/eds/{cluster_name(environment, arm)}.json"
