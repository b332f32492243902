"""The only place where concrete things meet: ports get their adapters, the engine its ports, the API its services."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trimtab.app.serving import Settings, serve
    from trimtab.app.stopping import down

__all__ = ["Settings", "down", "serve"]
_PLACES = {"Settings": "serving", "down": "stopping", "serve": "serving"}


def __getattr__(name: str) -> Any:
    """Imported when it is called for: `trimtab run` needs no web server."""
    from importlib import import_module

    if name not in _PLACES:
        raise AttributeError(name)
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
