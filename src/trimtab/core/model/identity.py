"""Names of things. Every object the engine keeps has an id that reads like a path."""

from __future__ import annotations

import re
from dataclasses import dataclass

Digest = str
"""``sha256:<64 hex digits>``: the name of immutable bytes."""

ArmId = str
"""What gets traffic: a release (its digest), or a release in another guise (``sha256:...@baseline``): instances of its
own, maybe with other environment variables."""

ObjectId = str
"""``app/shop``, ``run/shop/12``, ``turn/shop/database``, ``env/shop/production``, ``rollout/shop/production/3``."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
NAME_PATTERN = r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?"
_NAME = re.compile(NAME_PATTERN)


def is_digest(text: str) -> bool:
    """Whether `text` is a whole digest."""
    return _DIGEST.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Whether `text` can name an application, an environment, a step or a part."""
    return _NAME.fullmatch(text) is not None


def release_in(folder: str) -> Digest | None:
    """The release whose files are in the folder: it is named by the hex digits of the release's digest."""
    digest = f"sha256:{folder.rstrip('/').rpartition('/')[2]}"
    return digest if is_digest(digest) else None


def short(digest: ArmId) -> str:
    """The first 12 hex digits, with the guise of an arm: what people see and type."""
    release, at, guise = digest.partition("@")
    return f"{release.removeprefix('sha256:')[:12]}{at}{guise}"


PREVIEW = "preview-"
"""What names of environments begin with that are there for as long as a pull request is. Nothing else is named so."""

BASELINE = "baseline"
"""The guise of fresh instances of the stable release that an experiment compares with."""


def arm(release: Digest, guise: str = "") -> ArmId:
    """The release in a guise; without one it is the release itself."""
    return f"{release}@{guise}" if guise else release


def release_of(arm: ArmId) -> Digest:
    """The release that an arm runs."""
    return arm.partition("@")[0]


@dataclass(frozen=True, slots=True, order=True)
class EnvironmentId:
    """An environment of an application; prints as ``shop/production``."""

    app: str
    name: str

    def __str__(self) -> str:
        return f"{self.app}/{self.name}"

    @property
    def object_id(self) -> ObjectId:
        return f"env/{self.app}/{self.name}"

    @property
    def is_preview(self) -> bool:
        return self.name.startswith(PREVIEW)


def parse_environment(text: str) -> EnvironmentId:
    """Read ``shop/production`` or ``env/shop/production``."""
    app, _, name = text.removeprefix("env/").partition("/")
    return EnvironmentId(app, name)


def app_object(app: str) -> ObjectId:
    return f"app/{app}"


def run_object(app: str, number: int) -> ObjectId:
    return f"run/{app}/{number}"


def rollout_object(environment: EnvironmentId, number: int) -> ObjectId:
    return f"rollout/{environment}/{number}"


def turn_object(app: str, group: str) -> ObjectId:
    return f"turn/{app}/{group}"


def kind_of(object_id: ObjectId) -> str:
    """``run`` of ``run/shop/12``."""
    return object_id.partition("/")[0]


def app_of(object_id: ObjectId) -> str:
    """``shop`` of ``run/shop/12``."""
    return object_id.split("/")[1]
