"""Releases and their bytes, in a folder."""

from trimtab.adapters.artifacts.file_artifacts import FileArtifacts

__all__ = ["FileArtifacts"]
