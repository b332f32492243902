"""What a template of a step says: its parameters, and the step that is made of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from trimtab.config.fields import Name, PlainData, plain_data
from trimtab.config.setting import Settings, required, setting
from trimtab.core.model.template import TemplateAt

Files = Callable[[TemplateAt], bytes | None]
"""How templates are read: None where there is no such file. Raises `NotRead` where nobody can look, and `TrimtabError`
where something is in the way."""


class NotRead(Exception):
    """The template cannot be looked at from here: whatever it says is taken for good."""


def unread(_: TemplateAt) -> bytes | None:
    """`Files` that nobody can look at."""
    raise NotRead


class Parameter(Settings):
    """What a step that uses the template may say in `with`."""

    description: str = setting("", "What it means.", "The interpreter that runs the tests.")
    default: Annotated[Any, AfterValidator(plain_data)] = setting(None, "What it is when nothing is said.", "python3")
    required: bool = setting(False, "Whether it must be said.", True)


class StepTemplate(Settings):
    """A file that describes a step for others to use."""

    description: str = setting("", "What the step does.", "Tests with pytest.")
    parameters: dict[Name, Parameter] = setting({}, "What may be said in `with`.", {"python": {"default": "python3"}})
    step: Annotated[PlainData, Field(min_length=1)] = required(
        "The step: settings as in `pipeline`, with `${{ NAME }}` where parameters go.", {"run": "make ${{ target }}"}
    )
