"""The ports `Secrets` and `SecretStore`: our own files and environment, SOPS files of the commit, Vault."""

from trimtab.adapters.secrets.files import FileSecrets
from trimtab.adapters.secrets.places import SecretPlaces
from trimtab.adapters.secrets.sops import SopsSecrets
from trimtab.adapters.secrets.vault import VaultSecrets, vault_of

__all__ = ["FileSecrets", "SecretPlaces", "SopsSecrets", "VaultSecrets", "vault_of"]
