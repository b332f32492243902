"""The port `Measurements` on Prometheus, databases, JSON endpoints, Datadog and CloudWatch."""

from trimtab.adapters.measurements.reader import MeasurementReader

__all__ = ["MeasurementReader"]
