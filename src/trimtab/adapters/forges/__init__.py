"""GitHub, GitLab, Gitea and Forgejo, Bitbucket: their webhooks, commit statuses and pull requests."""

from trimtab.adapters.forges.forges import HttpForges
from trimtab.adapters.forges.patience import Patience
from trimtab.adapters.forges.secrets import FileForgeSecrets

__all__ = ["FileForgeSecrets", "HttpForges", "Patience"]
