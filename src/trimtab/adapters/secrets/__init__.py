"""Where the applications' secrets come from."""

from trimtab.adapters.secrets.files import FileSecrets

__all__ = ["FileSecrets"]
