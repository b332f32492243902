"""The only place where concrete things meet: ports get their adapters, the engine its ports, the API its services."""

from trimtab.app.serving import Settings, serve
from trimtab.app.stopping import down

__all__ = ["Settings", "down", "serve"]
