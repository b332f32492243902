"""The port `Workspaces` over bubblewrap: each step in namespaces and files of its own."""

from trimtab.adapters.sandbox.means import Means
from trimtab.adapters.sandbox.workspaces import SandboxedWorkspaces

__all__ = ["Means", "SandboxedWorkspaces"]
