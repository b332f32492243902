"""What an application that Trimtab runs reads of its release: prompts, model, configuration, flags.

Where `release.hot` names parts, one process serves several releases, and each request says in its header
`x-trimtab-release` which one it is for: give `headers` wherever something is read for a request. Without them, or where
the header names no release that is here, everything is read of the release that the process was started as.

This file needs nothing but the standard library (and Jinja2, once a prompt is rendered), and nothing of Trimtab: where
Trimtab is not installed beside the application, copy it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from jinja2 import nodes
    from jinja2.sandbox import SandboxedEnvironment


class SdkError(Exception):
    """Why something cannot be read, and what to do about it."""


class Headers(Protocol):
    """The headers of a request, or WSGI's environ: whatever a web framework has, or a plain `dict`."""

    def get(self, key: str, /) -> Any: ...


@dataclass(frozen=True)
class Prompt:
    """A prompt of the release. `file` is absolute; `text` is the template as it stands in it."""

    name: str
    file: Path
    variables: tuple[str, ...]
    _of: _Files | None = field(default=None, repr=False, compare=False)

    @property
    def text(self) -> str:
        return (self._of or _FRESH).text(self.file)

    @property
    def version(self) -> str:
        """What `trimtab releases RELEASE` calls its version: good for traces, since it changes only when this prompt
        does."""
        content = "sha256:" + hashlib.sha256((self._of or _FRESH).content(self.file)).hexdigest()
        return "sha256:" + hashlib.sha256(_canonical([content, sorted(self.variables)])).hexdigest()

    def render(self, **values: Any) -> str:
        """The text with its variables filled in: exactly those that it has. Raises `SdkError`."""
        missing, strange = set(self.variables) - set(values), set(values) - set(self.variables)
        if missing or strange:
            wrong = [f"needs {_listed(missing)}"] if missing else []
            wrong += [f"has no {_listed(strange)}"] if strange else []
            known = f"its variables: {_listed(self.variables)}" if self.variables else "it has no variables"
            raise SdkError(f"the prompt `{self.name}` {' and '.join(wrong)}; {known}")
        templates = self._of.templates if self._of else _shared(os.environ.get("TRIMTAB_PROMPTS", ""))
        try:
            return templates.get_template(self.name).render(values)
        except (SdkError, ImportError):
            raise
        except Exception as error:
            raise SdkError(f"the prompt `{self.name}` cannot be rendered: {type(error).__name__}: {error}") from error


def release(headers: Headers | None = None) -> str:
    """The digest of the release that the request is for, or that this instance was started as (`sha256:...`)."""
    files = _meant(headers)
    return f"sha256:{files.folder.name}" if files else _variable("TRIMTAB_RELEASE")


def folder(headers: Headers | None = None) -> Path:
    """The folder with the release's files: where `release.hot` names a part, also those of the request's release."""
    files = _meant(headers)
    if files is None:
        _variable("TRIMTAB_RELEASES", "release.hot")
        raise SdkError("TRIMTAB_RELEASES has no folder of this instance's own release")
    return files.folder


def prompts(headers: Headers | None = None) -> dict[str, Prompt]:
    """All prompts of the release, by name."""
    files = _meant(headers)
    return dict(files.prompts) if files else _prompts(None)


def prompt(name: str, headers: Headers | None = None) -> Prompt:
    """The prompt that `release.prompts` calls so."""
    files = _meant(headers)
    known = files.prompts if files else _prompts(None)
    if name not in known:
        raise SdkError(f"the release has no prompt `{name}`; it has {_listed(known)}")
    return known[name]


def model(headers: Headers | None = None) -> dict[str, Any]:
    """What `release.model` says; each `file` is an absolute path."""
    said, files = _json("TRIMTAB_MODEL", "release.model"), _meant(headers)
    if files is None:
        return said
    fallback = said.get("fallback")
    for one in (said, *(fallback if isinstance(fallback, list) else ())):
        if isinstance(one, dict) and isinstance(one.get("file"), str):
            one["file"] = str(files.at(Path(one["file"])))
    return said


def config(headers: Headers | None = None) -> dict[str, Any]:
    """What `release.config` says, or the file that it names: JSON or TOML; YAML where PyYAML is installed."""
    said = _variable("TRIMTAB_CONFIG", "release.config")
    if said.startswith("{"):
        return _parsed(json.loads, said, "TRIMTAB_CONFIG")
    return _of_file(Path(said), headers, _reader(Path(said)))


def flags(headers: Headers | None = None) -> dict[str, Any]:
    """The file that `release.flags` names, parsed."""
    return _of_file(Path(_variable("TRIMTAB_FLAGS", "release.flags")), headers, json.loads)


# --- the release that a request is for ---

RELEASE_HEADER = "x-trimtab-release"
_KNOWN_RELEASES = 8
"""Of how many releases files and compiled templates are kept in memory: a rollout has two or three at a time."""
_RELEASE = re.compile(r"(?:sha256:)?([0-9a-f]{64})")


class _Files:
    """The files of one release as they were first read: a release does not change."""

    def __init__(self, folder: Path, own: Path) -> None:
        """`own`: the folder of the release that this process was started as, in which its variables name files."""
        self.folder, self._own = folder, own
        self._read: dict[Path, bytes] = {}

    def at(self, file: Path) -> Path:
        """Where a file of the own release is in this one."""
        return self.folder / file.relative_to(self._own) if file.is_relative_to(self._own) else file

    def content(self, file: Path) -> bytes:
        if file not in self._read:
            self._read[file] = _bytes(file)
        return self._read[file]

    def text(self, file: Path) -> str:
        return _decoded(self.content(file), file)

    @cached_property
    def prompts(self) -> dict[str, Prompt]:
        return _prompts(self)

    @cached_property
    def templates(self) -> SandboxedEnvironment:
        def source(name: str) -> Source:
            known = self.prompts.get(name)
            return None if known is None else (known.text, None, lambda: True)

        return environment(source)


class _Fresh(_Files):
    """Files that may change: they are read each time."""

    def content(self, file: Path) -> bytes:
        return _bytes(file)


_FRESH = _Fresh(Path("/"), Path("/"))


def _meant(headers: Headers | None) -> _Files | None:
    """The files of the release that the request is for; None: this process serves no release but its own."""
    releases, own = os.environ.get("TRIMTAB_RELEASES", ""), _RELEASE.fullmatch(os.environ.get("TRIMTAB_RELEASE", ""))
    if not releases or own is None:
        return None
    asked = _RELEASE.fullmatch(_asked(headers))
    said = os.environ.get("TRIMTAB_PROMPTS", "")
    for name in ([asked[1]] if asked else []) + [own[1]]:
        try:
            return _files(releases, name, own[1], said)
        except LookupError:
            continue  # no such release here
    return None


def _asked(headers: Headers | None) -> str:
    if headers is None:
        return ""
    names = (RELEASE_HEADER, "X-Trimtab-Release", "HTTP_X_TRIMTAB_RELEASE")
    said = next((value for name in names if (value := headers.get(name))), "")
    return said.decode("ascii", "replace") if isinstance(said, bytes) else str(said)


@lru_cache(maxsize=_KNOWN_RELEASES)
def _files(releases: str, name: str, own: str, _said: str) -> _Files:
    """Raises LookupError, which is not kept: what is not there yet may be there for the next request."""
    folder = Path(releases, name)
    if not folder.is_dir():
        raise LookupError(name)
    return _Files(folder, Path(releases, own))


def _of_file(file: Path, headers: Headers | None, parse: Callable[[str], Any]) -> dict[str, Any]:
    files = _meant(headers) or _FRESH
    file = files.at(file)
    return _parsed(parse, files.text(file), str(file))


def _prompts(files: _Files | None) -> dict[str, Prompt]:
    said = _json("TRIMTAB_PROMPTS", "release.prompts")
    at = files.at if files is not None else lambda file: file
    try:
        return {name: Prompt(name, at(Path(o["file"])), tuple(o["variables"]), files) for name, o in said.items()}
    except (TypeError, KeyError):
        raise SdkError("TRIMTAB_PROMPTS must have a `file` and `variables` for each prompt") from None


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
    known = _prompts(None)
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
    return _decoded(_bytes(file), file)


def _decoded(content: bytes, file: Path) -> str:
    try:
        return content.decode()
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
