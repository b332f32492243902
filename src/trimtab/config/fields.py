"""The kinds of values that settings take, each with its check and its JSON Schema."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema

from trimtab.config.nodes import Empty, Table
from trimtab.config.quantities import (
    DURATION_PATTERN,
    PERCENT_PATTERN,
    SIZE_PATTERN,
    parse_duration,
    parse_listen,
    parse_percent,
    parse_size,
    wrong,
    wrong_type,
)
from trimtab.core.model.identity import NAME_PATTERN, is_name

_NAME_HINT = "names have small letters, digits and hyphens inside, at most 40 characters"
_ENV_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"


def _name(text: str) -> str:
    if is_name(text):
        return text
    tamed = re.sub(r"[^a-z0-9]+", "-", text.lower())[:40].strip("-")
    hint = f"{_NAME_HINT}: `{tamed}`" if is_name(tamed) else _NAME_HINT
    raise wrong("config-invalid-name", "is not a valid name", hint)


def _env_name(text: str) -> str:
    if re.fullmatch(_ENV_NAME, text):
        return text
    tamed = re.sub(r"[^A-Za-z0-9_]+", "_", text).strip("_")
    hint = f": `{tamed}`" if re.fullmatch(_ENV_NAME, tamed) else ""
    raise wrong(
        "config-invalid-name",
        "cannot be the name of an environment variable",
        f"such names have letters, digits and underscores, and do not begin with a digit{hint}",
    )


def _as_written(value: Any) -> Any:
    """Numbers and booleans become the text that stands in the file: `1.10` stays `1.10`, `off` stays `off`."""
    return {key: value.written.get(key, child) for key, child in value.items()} if isinstance(value, Table) else value


def _variable(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise wrong_type("text, a number or a boolean", value, 'for no text at all write `""`')


def _command(text: str) -> str:
    if text.strip():
        return text
    raise wrong("config-invalid-value", "must be a shell command, but it is empty", "for example `python -m shop`")


def repository_path(text: str) -> str:
    """A path inside the repository, without `./` in front or `/` behind."""
    pieces = [piece for piece in text.split("/") if piece not in ("", ".")]
    if not text.strip() or text.startswith(("/", "~")) or ".." in pieces:
        raise wrong(
            "config-invalid-value",
            f"must be a path inside the repository, but it is `{text}`",
            "write it from the repository's root: `prompts/`; `.` is everything that Git tracks",
        )
    return "/".join(pieces) or "."


def _pattern(text: str) -> str:
    """A path that may have wildcards, with or without `!` in front."""
    path = text.removeprefix("!")
    if not path.strip() or path.startswith(("/", "~", "!")) or ".." in path.split("/"):
        raise wrong(
            "config-invalid-value",
            f"must be a path inside the repository, or a pattern of such paths, but it is `{text}`",
            "write it from the repository's root: `src/`, `**/*.py`, `!docs`",
        )
    return text


def _output(text: str) -> str:
    path = repository_path(text)
    if path == "." or "*" in path:
        raise wrong(
            "config-invalid-value",
            f"must be a file or a folder, but it is `{text}`",
            "name what is to be kept: `dist/`, `report.xml`",
        )
    return path


def _folder(text: str) -> str:
    if text.startswith("/") and ".." not in text.split("/") and text.strip("/"):
        return "/" + "/".join(piece for piece in text.split("/") if piece not in ("", "."))
    raise wrong("config-invalid-value", f"must be a folder of the machine, but it is `{text}`", "begin it with `/`")


def _tool(text: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,60}", text):
        return text
    raise wrong("config-invalid-value", f"must be the name of a program, but it is `{text}`", "for example `python3`")


def _paths(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _url_path(text: str) -> str:
    if re.fullmatch(r"/[!-~]*", text):
        return text
    raise wrong("config-invalid-value", f"must be a path such as `/healthz`, but it is `{text}`", "begin it with `/`")


def plain_data(value: Any) -> Any:
    """Plain dicts and lists, with None for what is left empty."""
    if isinstance(value, dict):
        return {key: plain_data(child) for key, child in value.items()}
    if isinstance(value, list):
        return [plain_data(child) for child in value]
    return None if isinstance(value, Empty) else value


def _listen(text: str) -> str:
    parse_listen(text)
    return text


def _http_url(text: str) -> str:
    if re.fullmatch(r"https?://[^\s/?#]+[^\s]*", text):
        return text
    raise wrong("config-invalid-value", "must be a URL", "begin it with `http://` or `https://`")


def _header_value(text: str) -> str:
    if re.search(r"[\x00-\x08\x0a-\x1f]", text):
        raise wrong("config-invalid-value", "has characters that no header can have", "write it in one line")
    for found in re.finditer(r"\$\{([^}]*)\}?", text):
        if not re.fullmatch(_ENV_NAME, found[1]) or not found[0].endswith("}"):
            hint = "`${NAME}` is replaced by a variable of Trimtab's environment"
            raise wrong("config-invalid-value", f"has `{found[0]}`, which names no variable", hint)
    return text


Name = Annotated[str, AfterValidator(_name), Field(json_schema_extra={"pattern": f"^{NAME_PATTERN}$"})]
EnvName = Annotated[str, AfterValidator(_env_name), Field(json_schema_extra={"pattern": f"^{_ENV_NAME}$"})]
Command = Annotated[str, AfterValidator(_command), Field(json_schema_extra={"pattern": r"\S"})]
UrlPath = Annotated[str, AfterValidator(_url_path), Field(json_schema_extra={"pattern": "^/[!-~]*$"})]
RepositoryPath = Annotated[str, AfterValidator(repository_path), Field(json_schema_extra={"minLength": 1})]
Listen = Annotated[str, AfterValidator(_listen), Field(json_schema_extra={"pattern": "^.+:[0-9]{1,5}$"})]
HttpUrl = Annotated[str, AfterValidator(_http_url), Field(json_schema_extra={"pattern": "^https?://[^/]"})]
HeaderValue = Annotated[str, StringConstraints(max_length=4000), AfterValidator(_header_value)]
HeaderName = Annotated[str, StringConstraints(pattern=f"^{_TOKEN}$", max_length=100)]

Variable = Annotated[str, BeforeValidator(_variable, json_schema_input_type=str | float | bool)]
Variables = Annotated[
    dict[EnvName, Variable], BeforeValidator(_as_written, json_schema_input_type=dict[EnvName, Variable])
]
RepositoryPaths = Annotated[
    list[RepositoryPath],
    Field(min_length=1),
    BeforeValidator(
        _paths, json_schema_input_type=RepositoryPath | Annotated[list[RepositoryPath], Field(min_length=1)]
    ),
]
FilePatterns = Annotated[
    list[Annotated[str, AfterValidator(_pattern), Field(json_schema_extra={"minLength": 1})]],
    Field(min_length=1),
    BeforeValidator(_paths, json_schema_input_type=str | Annotated[list[str], Field(min_length=1)]),
]
OutputPath = Annotated[str, AfterValidator(_output), Field(json_schema_extra={"minLength": 1})]
OutputPaths = Annotated[
    list[OutputPath],
    BeforeValidator(_paths, json_schema_input_type=str | list[str]),
]
FolderPaths = Annotated[
    list[Annotated[str, AfterValidator(_folder), Field(json_schema_extra={"pattern": "^/"})]],
    BeforeValidator(_paths, json_schema_input_type=str | list[str]),
]
ToolNames = Annotated[
    list[Annotated[str, AfterValidator(_tool)]], BeforeValidator(_paths, json_schema_input_type=str | list[str])
]
PlainData = Annotated[dict[str, Any], AfterValidator(plain_data)]

Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": DURATION_PATTERN}]}),
]
"""In seconds."""

Percent = Annotated[
    float,
    BeforeValidator(parse_percent),
    WithJsonSchema({"anyOf": [{"type": "number", "minimum": 0}, {"type": "string", "pattern": PERCENT_PATTERN}]}),
]
"""In percent."""

Size = Annotated[
    int,
    BeforeValidator(parse_size),
    WithJsonSchema({"type": "string", "pattern": SIZE_PATTERN}),
]
"""In bytes."""
