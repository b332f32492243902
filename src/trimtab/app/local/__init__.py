"""The pipeline of a working tree, run here and now: no server, no gateway, nothing that is deployed."""

from trimtab.app.local.listing import Listed, list_steps
from trimtab.app.local.place import Place
from trimtab.app.local.reading import env_file as env_file_secrets
from trimtab.app.local.running import Outcome, Wishes, run_steps
from trimtab.app.local.watching import Watcher

__all__ = ["Listed", "Outcome", "Place", "Watcher", "Wishes", "env_file_secrets", "list_steps", "run_steps"]
