"""Reports read with limits: the large ones in a process of their own."""

from trimtab.adapters.reports.limited import LimitedReports

__all__ = ["LimitedReports"]
