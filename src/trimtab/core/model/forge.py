"""Where an application's pull requests are: a repository at a forge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ForgeKind = Literal["github", "gitlab", "gitea", "bitbucket", "bitbucket-data-center"]
"""``gitea`` is Forgejo, too: both speak the same."""


@dataclass(frozen=True, slots=True)
class ForgeSpec:
    """A repository at a forge. Its token and its webhook's secret are in files, never here."""

    kind: ForgeKind
    repository: str
    """``org/shop``; at GitLab with all groups, at Bitbucket Data Center ``PROJECT/shop``."""
    api_url: str
    """Where the forge's REST API begins, without a slash at its end."""
