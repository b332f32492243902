"""Which server, application and environment a command talks about, when it does not say so in full."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from trimtab.core.errors import failure
from trimtab.views.model import AppView

FOLDER = ".trimtab"
CONFIGURATION = "trimtab.yaml"
_APP_KEY = re.compile(r"""^app:[ \t]*["']?([a-z0-9-]+)""", re.MULTILINE)


class Server(NamedTuple):
    url: str
    token: str


def find_server(
    url: str | None, token: str | None, home: str | None, variables: Mapping[str, str], folder: Path
) -> Server:
    """By the options, else the variables TRIMTAB_URL and TRIMTAB_TOKEN, else Trimtab's folder. Raises `not-running`."""
    url = url or (None if home else variables.get("TRIMTAB_URL"))
    token = token or variables.get("TRIMTAB_TOKEN")
    if url and token:
        return Server(url, token)
    found = _of_home(home or variables.get("TRIMTAB_HOME"), folder, required=url is None)
    if url is None:
        return Server(found.url, token or found.token)
    # The folder's token is for the folder's server only: it is not shown to any other.
    return Server(url, token or (found.token if _same_server(url, found.url) else ""))


def _same_server(url: str, other: str) -> bool:
    return url.rstrip("/") == other.rstrip("/")


def _of_home(home: str | None, folder: Path, required: bool) -> Server:
    place = Path(home) if home else next((f / FOLDER for f in _upwards(folder) if (f / FOLDER).is_dir()), None)
    try:
        said = json.loads((place / "api.json").read_text()) if place else None
        return Server(said["url"], said["token"]) if said else _none(required, f"no {FOLDER} folder was found", folder)
    except FileNotFoundError:
        return _none(required, "Trimtab is not running", place or folder)
    except (OSError, ValueError, KeyError, TypeError) as error:
        return _none(required, f"api.json cannot be read: {error}", place or folder)


def _none(required: bool, what: str, where: Path) -> Server:
    if not required:
        return Server("", "")
    hint = "start it with `trimtab up`, or say where it is with --url or --home; `trimtab doctor` tells why"
    raise failure("not-running", what, hint, str(where))


def configured_app(folder: Path) -> str | None:
    """`app:` of the nearest trimtab.yaml upwards. Reads that one key: the whole file may well be wrong."""
    found = next((f / CONFIGURATION for f in _upwards(folder) if (f / CONFIGURATION).is_file()), None)
    match = _APP_KEY.search(found.read_text(errors="replace")) if found else None
    return match[1] if match else None


def choose_app(apps: Sequence[str]) -> str:
    """The only application there is. Raises `which-app` when there are several, or none."""
    if len(apps) == 1:
        return apps[0]
    if not apps:
        hint = "push to Trimtab's Git remote, or add one with `trimtab apps add NAME`"
        raise failure("which-app", "there is no application yet", hint)
    raise failure("which-app", f"there are several applications: {', '.join(apps)}", "say which one with --app")


def choose_environment(wanted: str | None, app: AppView) -> str:
    """`wanted`, else the only one with a rollout under way, else the last. Raises when there is no such environment."""
    names = [place.name for place in app.environments]
    if not names and wanted is None:
        hint = "a run that passes brings its environments with it; see `trimtab runs`"
        raise failure("which-environment", f"{app.name} has no environment yet", hint)
    if wanted is not None and wanted in [place.name for place in app.previews]:
        return wanted
    if wanted is not None and wanted not in names:
        raise failure(
            "which-environment", f"{app.name} has no environment {wanted}", f"it has: {', '.join(names) or 'none'}"
        )
    moving = [place.name for place in app.environments if place.rollout and not place.rollout.ended]
    return wanted or (moving[0] if len(moving) == 1 else names[-1])


def existing_home(folder: Path) -> Path:
    """The nearest Trimtab folder upwards. Raises `not-found`."""
    found = next((f / FOLDER for f in _upwards(folder) if (f / FOLDER).is_dir()), None)
    if found is None:
        raise failure("not-found", f"no {FOLDER} folder was found", "say where it is with --home", str(folder))
    return found


def here(folder: Path) -> Path:
    """The folder that `trimtab up` uses when none is named: at the top of the repository, else in this one."""
    return (git_top_level(folder) or folder) / FOLDER


def git_top_level(folder: Path) -> Path | None:
    """The top of the Git working tree that `folder` is in."""
    return next((f for f in _upwards(folder) if (f / ".git").exists()), None)


def _upwards(folder: Path) -> Iterator[Path]:
    absolute = folder.absolute()
    yield absolute
    yield from absolute.parents
