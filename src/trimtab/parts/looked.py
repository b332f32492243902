"""What there is to look at, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass

from trimtab.core.errors import Problem
from trimtab.core.model.specification import ReleaseSpec

MODEL, CONFIG, FLAGS = "/model", "/config", "/flags"
"""What is looked at beside prompts, which have names without a slash."""


@dataclass(frozen=True, slots=True)
class Looked:
    """At one thing: a prompt by its name, or one of the others. `file`: where its problems are."""

    what: str
    problems: tuple[Problem, ...] = ()
    variables: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


def things(release: ReleaseSpec) -> tuple[str, ...]:
    """What there is to look at."""
    others = ((MODEL, release.model_files), (CONFIG, release.config_file), (FLAGS, release.flags))
    return (*release.prompts, *(name for name, named in others if named))


def file_of(release: ReleaseSpec, what: str) -> str:
    """The file that is looked at."""
    return {CONFIG: release.config_file, FLAGS: release.flags, MODEL: ""}.get(what) or release.prompts[what].file
