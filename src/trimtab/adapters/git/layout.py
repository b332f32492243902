"""Where repositories are: in one folder, `APP.git` for every application and `state.git` for what should run."""

from __future__ import annotations

from pathlib import Path

from trimtab.core.errors import failure
from trimtab.core.model.identity import is_name

STATE = "state"
"""The state repository's name; no application can have it."""
STATE_BRANCH = "main"


def repository_path(home: Path, name: str) -> Path:
    """Where the repository is. Raises `TrimtabError` (`git-name`) for what cannot be a repository's name."""
    if not is_name(name):
        raise failure(
            "git-name",
            f"`{name[:80]}` cannot be an application's name",
            "use lower-case letters, digits and inner dashes, at most 40 of them",
        )
    return home / f"{name}.git"


def app_path(home: Path, app: str) -> Path:
    """Where the application's repository is. Raises `TrimtabError` (`git-name`)."""
    if app == STATE:
        raise failure(
            "git-name",
            f"an application cannot be named `{STATE}`",
            f"`{STATE}.git` is where Trimtab keeps what should run",
        )
    return repository_path(home, app)


def repository_names(home: Path) -> tuple[str, ...]:
    """The names of all repositories there are, sorted."""
    found = (path.name.removesuffix(".git") for path in home.glob("*.git"))
    return tuple(sorted(name for name in found if is_name(name)))
