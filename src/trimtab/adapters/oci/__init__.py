"""Releases for the world outside: as OCI image layouts, and in OCI registries."""

from trimtab.adapters.oci.image import Image, PartFiles, image_of
from trimtab.adapters.oci.layout import write_layout
from trimtab.adapters.oci.registry import Progress, Registry

__all__ = ["Image", "PartFiles", "Progress", "Registry", "image_of", "write_layout"]
