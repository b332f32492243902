"""The port `PartFiles`."""

from trimtab.adapters.parts.limited import LimitedPartFiles

__all__ = ["LimitedPartFiles"]
