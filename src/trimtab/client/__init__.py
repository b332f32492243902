"""The typed client of Trimtab's HTTP API."""

from trimtab.client.client import TrimtabClient

__all__ = ["TrimtabClient"]
