"""Signatures by keys that are kept in files."""

from trimtab.adapters.signing.file_keys import FileKeys

__all__ = ["FileKeys"]
