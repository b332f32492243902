"""What an application that Trimtab runs reads of its release: prompts, model, configuration, flags.

This file needs nothing but the standard library (and Jinja2, once a prompt is rendered), and nothing of Trimtab: where
Trimtab is not installed beside the application, copy it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import nodes
    from jinja2.sandbox import SandboxedEnvironment


class SdkError(Exception):
    """Why something cannot be read, and what to do about it."""


@dataclass(frozen=True)
class Prompt:
    """A prompt of the release. `file` is absolute; `text` is the template as it stands in it."""

    name: str
    file: Path
    variables: tuple[str, ...]

    @property
    def text(self) -> str:
        return _text(self.file)

    @property
    def version(self) -> str:
        """What `trimtab releases RELEASE` calls its version: good for traces, since it changes only when this prompt
        does."""
        content = "sha256:" + hashlib.sha256(_bytes(self.file)).hexdigest()
        return "sha256:" + hashlib.sha256(_canonical([content, sorted(self.variables)])).hexdigest()

    def render(self, **values: Any) -> str:
        """The text with its variables filled in: exactly those that it has. Raises `SdkError`."""
        missing, strange = set(self.variables) - set(values), set(values) - set(self.variables)
        if missing or strange:
            wrong = [f"needs {_listed(missing)}"] if missing else []
            wrong += [f"has no {_listed(strange)}"] if strange else []
            known = f"its variables: {_listed(self.variables)}" if self.variables else "it has no variables"
            raise SdkError(f"the prompt `{self.name}` {' and '.join(wrong)}; {known}")
        try:
            return _shared(os.environ.get("TRIMTAB_PROMPTS", "")).get_template(self.name).render(values)
        except (SdkError, ImportError):
            raise
        except Exception as error:
            raise SdkError(f"the prompt `{self.name}` cannot be rendered: {type(error).__name__}: {error}") from error


def release() -> str:
    """The digest of the release that this instance runs (`sha256:...`)."""
    return _variable("TRIMTAB_RELEASE")


def prompts() -> dict[str, Prompt]:
    """All prompts of the release, by name."""
    said = _json("TRIMTAB_PROMPTS", "release.prompts")
    try:
        return {name: Prompt(name, Path(one["file"]), tuple(one["variables"])) for name, one in said.items()}
    except (TypeError, KeyError):
        raise SdkError("TRIMTAB_PROMPTS must have a `file` and `variables` for each prompt") from None


def prompt(name: str) -> Prompt:
    """The prompt that `release.prompts` calls so."""
    known = prompts()
    if name not in known:
        raise SdkError(f"the release has no prompt `{name}`; it has {_listed(known)}")
    return known[name]


def model() -> dict[str, Any]:
    """What `release.model` says; each `file` is an absolute path."""
    return _json("TRIMTAB_MODEL", "release.model")


def config() -> dict[str, Any]:
    """What `release.config` says, or the file that it names: JSON or TOML; YAML where PyYAML is installed."""
    said = _variable("TRIMTAB_CONFIG", "release.config")
    if said.startswith("{"):
        return _parsed(json.loads, said, "TRIMTAB_CONFIG")
    return _parsed(_reader(Path(said)), _text(Path(said)), said)


def flags() -> dict[str, Any]:
    """The file that `release.flags` names, parsed."""
    file = _variable("TRIMTAB_FLAGS", "release.flags")
    return _parsed(json.loads, _text(Path(file)), file)


# --- templates ---


Source = str | tuple[str, str | None, Callable[[], bool] | None] | None
"""A template: its text, maybe with its file, and with what tells whether it is still the same."""


def environment(source: Callable[[str], Source]) -> SandboxedEnvironment:
    """How prompts are rendered, here and when a release is checked: in Jinja2's sandbox; what is not given is an error,
    and no space is added or taken away. `source`: the text of a prompt by its name; None: there is no such prompt."""
    from jinja2 import FunctionLoader, StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    made = ImmutableSandboxedEnvironment(
        loader=FunctionLoader(source), undefined=StrictUndefined, keep_trailing_newline=True, autoescape=False
    )
    # The same values must give the same text.
    made.globals.pop("lipsum", None)
    made.filters.pop("random", None)
    return made


def used(env: SandboxedEnvironment, tree: nodes.Template) -> tuple[set[str], set[str | None]]:
    """The variables that a template uses by itself, and the prompts that it takes in with all they use; None: one whose
    name is known only when it is rendered."""
    from jinja2 import meta, nodes

    taken: set[str | None] = set()
    for node in tree.find_all((nodes.Include, nodes.Extends, nodes.Import, nodes.FromImport)):
        names = list(_names(node.template))  # type: ignore[attr-defined]
        taken |= set(names)
    return meta.find_undeclared_variables(tree) - set(env.globals), taken


def _names(node: nodes.Node) -> Iterator[str | None]:
    from jinja2 import nodes

    if isinstance(node, nodes.Const):
        values = node.value if isinstance(node.value, tuple | list) else (node.value,)
        yield from (value if isinstance(value, str) else None for value in values)
    elif isinstance(node, nodes.Tuple | nodes.List):
        for item in node.items:
            yield from _names(item)
    else:
        yield None


@lru_cache(maxsize=4)
def _shared(_: str) -> SandboxedEnvironment:
    """One for all prompts that TRIMTAB_PROMPTS names, so that a template is compiled once."""
    return environment(_source)


def _source(name: str) -> Source:
    known = prompts()
    if name not in known:
        return None
    file, state = known[name].file, _state(known[name].file)
    return _text(file), None, lambda: _state(file) == state


def _state(file: Path) -> tuple[int, int] | None:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


# --- the environment's variables and files ---


def _variable(name: str, setting: str = "") -> str:
    value = os.environ.get(name, "")
    if value:
        return value
    if not os.environ.get("TRIMTAB_RELEASE"):
        raise SdkError(f"{name} is not set: this process was not started by Trimtab; set it yourself to run it alone")
    raise SdkError(f"{name} is not set: the release has no `{setting}` in its trimtab.yaml")


def _json(name: str, setting: str) -> dict[str, Any]:
    return _parsed(json.loads, _variable(name, setting), name)


def _parsed(parse: Callable[[str], Any], text: str, where: str) -> dict[str, Any]:
    try:
        value = parse(text)
    except Exception as error:
        if isinstance(error, SdkError):
            raise
        raise SdkError(f"{where} cannot be read: {error}") from error
    if not isinstance(value, dict):
        raise SdkError(f"{where} is no mapping of names to values")
    return value


def _reader(file: Path) -> Callable[[str], Any]:
    match file.suffix:
        case ".toml":
            import tomllib

            return tomllib.loads
        case ".yaml" | ".yml":
            try:
                import yaml  # type: ignore[import-untyped, unused-ignore]
            except ImportError:
                raise SdkError(f"{file} is YAML: install PyYAML to read it, or write it as JSON or TOML") from None
            load: Callable[[str], Any] = yaml.safe_load
            return load
        case _:
            return json.loads


def _text(file: Path) -> str:
    try:
        return _bytes(file).decode()
    except UnicodeDecodeError as error:
        raise SdkError(f"{file} is not UTF-8") from error


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise SdkError(f"{file} cannot be read: {error.strerror}") from error


def _canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def _listed(names: Mapping[str, Any] | set[str] | tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in sorted(names)) or "none"
