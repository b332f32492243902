"""Git: the applications' repositories, the state repository, and both over HTTP."""

from trimtab.adapters.git.hooks import configure_hooks
from trimtab.adapters.git.http import GitHttpBackend
from trimtab.adapters.git.source import GitSource
from trimtab.adapters.git.state_repository import GitStateRepository
from trimtab.adapters.git.working_tree import WorkingTree

__all__ = ["GitHttpBackend", "GitSource", "GitStateRepository", "WorkingTree", "configure_hooks"]
