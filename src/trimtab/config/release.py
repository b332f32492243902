"""The settings that say what a release is made of: parts, prompts, model, configuration, flags."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from trimtab.config.defaults import RELEASE
from trimtab.config.fields import HttpUrl, Name, PlainData, RepositoryPath, RepositoryPaths, plain_data, repository_path
from trimtab.config.quantities import wrong, wrong_type
from trimtab.config.setting import Settings, group, mapping, required, setting
from trimtab.core.model.contents import with_named_files
from trimtab.core.model.specification import PromptSpec, ReleaseSpec

MOST_DATA_BYTES = 64 * 1024
"""Of what instances get in a variable of their environment."""
_PARTS = {name: list(paths) for name, paths in RELEASE.parts.items()}
_VARIABLE = r"[A-Za-z][A-Za-z0-9_]*"
_RESERVED = ("and", "if", "in", "is", "loop", "none", "not", "or", "self", "true", "false", "None", "True", "False")


def _file(text: str) -> str:
    path = repository_path(text)
    if path == ".":
        raise wrong("config-invalid-value", "must be a file, but it is the whole repository", "name the file")
    return path


def _variable(text: str) -> str:
    if re.fullmatch(_VARIABLE, text) and text not in _RESERVED and len(text) <= 60:
        return text
    hint = "such names have letters, digits and underscores, and are no words of the template language"
    raise wrong("config-invalid-name", f"must be the name of a variable, but it is `{text}`", hint)


def _different(names: list[str]) -> list[str]:
    twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if twice is not None:
        raise wrong("config-duplicate", f"has `{twice}` twice", "remove one of them")
    return names


def _small(value: Mapping[str, Any]) -> Mapping[str, Any]:
    size_bytes = len(json.dumps(value, ensure_ascii=False).encode())
    if size_bytes <= MOST_DATA_BYTES:
        return value
    message = f"has {size_bytes:,} bytes, and at most {MOST_DATA_BYTES:,} can be handed to an instance"
    raise wrong("config-invalid-value", message, "put it in a file and name that")


def _prompt(value: Any) -> Any:
    return {"file": value} if isinstance(value, str) else mapping(value, "a path, or a mapping with `file`", _PROMPT)


_PROMPT = "for example `answer: prompts/answer.txt`"
FilePath = Annotated[str, AfterValidator(_file), Field(json_schema_extra={"minLength": 1})]
PromptVariable = Annotated[str, AfterValidator(_variable), Field(json_schema_extra={"pattern": f"^{_VARIABLE}$"})]


class Prompt(Settings):
    """A prompt: a template of Jinja2 in a file. `NAME: PATH` is short for `NAME: {file: PATH}`."""

    file: FilePath = required("The template: a text in UTF-8, at most 1 MiB.", "prompts/answer.txt")
    variables: Annotated[list[PromptVariable], Field(max_length=100), AfterValidator(_different)] | None = setting(
        None,
        "What the application fills in: each must be used, and no other. Left out: whatever the template uses.",
        ["question", "passages"],
    )
    example: PlainData = setting(
        {},
        "Values to render it with when a release is checked. A variable without one gets made-up text, and then only"
        " that rendering ends is checked.",
        {"question": "May I return it?"},
    )


class ModelChoice(Settings):
    """A model that answers when those before it do not."""

    unknown_hint: ClassVar[str] = "put it under `parameters`"

    provider: str | None = setting(None, "Who runs it.", "openai", min_length=1, max_length=200)
    name: str | None = setting(None, "What the provider calls it.", "gpt-x", min_length=1, max_length=200)
    revision: str | None = setting(None, "Which version of it.", "2026-05-01", min_length=1, max_length=200)
    url: HttpUrl | None = setting(None, "Where it is asked.", "https://models.example/v1")
    file: FilePath | None = setting(
        None,
        "A file of the workspace with its weights. It is part of the release, whose manifest has its digest.",
        "models/x.gguf",
    )
    parameters: PlainData = setting({}, "Whatever else it is asked with.", {"temperature": 0.2})

    @model_validator(mode="after")
    def _something(self) -> Self:
        if self.name is None and self.file is None:
            raise wrong("config-missing-setting", "has neither `name` nor `file`", "for example `name: gpt-x`")
        return self

    def data(self) -> dict[str, Any]:
        """What is given, as applications read it."""
        given = {name: getattr(self, name) for name in ("provider", "name", "revision", "url", "file", "parameters")}
        return {name: value for name, value in given.items() if value not in (None, {})}


class Model(ModelChoice):
    """The language model that answers."""

    fallback: Annotated[list[ModelChoice], Field(max_length=20)] = setting(
        [], "Models to ask when this one does not answer, in order.", [{"provider": "local", "file": "models/x.gguf"}]
    )

    def data(self) -> dict[str, Any]:
        others = [choice.data() for choice in self.fallback]
        return {**ModelChoice.data(self), **({"fallback": others} if others else {})}

    @model_validator(mode="after")
    def _fits(self) -> Self:
        _small(self.data())
        return self


def _parts(value: Any) -> Any:
    return {"code": value} if isinstance(value, (str, list)) else value


def _config(value: Any) -> Any:
    if isinstance(value, str):
        return _file(value)
    if isinstance(value, dict):
        return _small(plain_data(value))
    raise wrong_type("a mapping, or a path", value, "for example `config: config/production.toml`")


class Release(Settings):
    """What goes into a release."""

    parts: Annotated[
        dict[Name, RepositoryPaths],
        Field(min_length=1),
        BeforeValidator(_parts, json_schema_input_type=RepositoryPaths | dict[Name, RepositoryPaths]),
    ] = group(
        lambda: dict(_PARTS),
        "The parts of a release and their paths; `.` means every file that Git tracks. A file belongs to the"
        " part that names it most closely. A path or a list of paths alone is the part `code`.",
        {"code": ["."], "prompts": ["prompts/"]},
        ["src/", "pyproject.toml"],
        shown=_PARTS,
    )
    prompts: Annotated[
        dict[Name, Annotated[Prompt, BeforeValidator(_prompt, json_schema_input_type=RepositoryPath | Prompt)]],
        Field(max_length=100),
    ] = setting(
        {},
        "The prompts by name, each a template in a file. A file that no part names is in the part `prompts`.",
        {"answer": "prompts/answer.txt"},
        {"answer": {"file": "prompts/answer.txt", "variables": ["question"], "example": {"question": "Why?"}}},
    )
    model: Model | None = setting(
        None,
        "The language model and its parameters: a change of them is a new release.",
        {"provider": "openai", "name": "gpt-x", "parameters": {"temperature": 0.2}},
    )
    config: Annotated[Any, BeforeValidator(_config, json_schema_input_type=dict[str, Any] | RepositoryPath)] = setting(
        None,
        "Plain data that the application reads, or the file that has them (JSON, TOML or YAML).",
        {"passages": 4},
        "config.toml",
    )
    flags: FilePath | None = setting(None, "A file with feature flags in flagd's format.", "flags.json")
    hot: Annotated[list[str], Field(max_length=100), AfterValidator(_different)] = setting(
        [],
        "Parts of which a change needs no restart. Releases that differ in nothing else share their instances, and each"
        " request says which of them it is for.",
        ["prompts", "flags"],
    )

    @model_validator(mode="after")
    def _knows_hot_parts(self) -> Self:
        known = self._with_parts().parts
        strange = next((name for name in self.hot if name not in known), None)
        if strange is not None:
            hint = f"its parts: {', '.join(sorted(known))}"
            raise wrong("config-unknown-part", f"has `{strange}` in `hot`, which is no part of it", hint)
        return self

    def compiled(self) -> ReleaseSpec:
        """With every file that is named by itself in one of the parts."""
        return replace(self._with_parts(), hot=tuple(sorted(self.hot)))

    def _with_parts(self) -> ReleaseSpec:
        release = ReleaseSpec(
            parts={name: tuple(paths) for name, paths in self.parts.items()},
            model=self.model.data() if self.model is not None else None,
            prompts={name: _prompt_spec(prompt) for name, prompt in self.prompts.items()},
            config=self.config if isinstance(self.config, dict) and self.config else None,
            config_file=self.config if isinstance(self.config, str) else "",
            flags=self.flags or "",
        )
        return replace(release, parts=with_named_files(release))


def _prompt_spec(prompt: Prompt) -> PromptSpec:
    variables = None if prompt.variables is None else tuple(prompt.variables)
    return PromptSpec(prompt.file, variables, prompt.example)
