"""A whole installation in one file, and back. See `contents` for what is in it, and in which order it is read."""

from trimtab.app.backup.restoring import restore
from trimtab.app.backup.writing import backup

__all__ = ["backup", "restore"]
