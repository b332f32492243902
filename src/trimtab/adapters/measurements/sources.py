"""Which kind of source is read by what."""

from __future__ import annotations

from collections.abc import Mapping

from trimtab.adapters.measurements.cloudwatch import CloudWatch
from trimtab.adapters.measurements.datadog import Datadog
from trimtab.adapters.measurements.http_json import HttpJson
from trimtab.adapters.measurements.json_endpoint import JsonEndpoint
from trimtab.adapters.measurements.prometheus import Prometheus
from trimtab.adapters.measurements.question import Source
from trimtab.adapters.measurements.sql import Sql


def sources(http: HttpJson) -> Mapping[str, Source]:
    """A source for each kind of `SourceSpec`."""
    return {
        "prometheus": Prometheus(http),
        "sql": Sql(),
        "json": JsonEndpoint(http),
        "datadog": Datadog(http),
        "cloudwatch": CloudWatch(http),
    }
