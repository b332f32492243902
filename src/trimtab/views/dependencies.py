"""Which packages a file names, as far as its format is known."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

Found = Iterator[tuple[str, str]]
_REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:\[[^\]]*\])?\s*(.*)")


def names_dependencies(path: str) -> bool:
    """Whether the file is of a kind that names packages."""
    return _reader(path) is not None


def dependencies(path: str, text: str) -> Mapping[str, str] | None:
    """Package -> version or range as it is written; None: the file cannot be read."""
    read = _reader(path)
    if read is None:
        return None
    try:
        found: dict[str, list[str]] = {}
        for name, version in read(text):
            if version not in found.setdefault(name, []):
                found[name].append(version)
    except (ValueError, RecursionError, AttributeError, TypeError, KeyError):
        return None
    return {name: ", ".join(sorted(versions)) for name, versions in found.items()}


def _reader(path: str) -> Callable[[str], Found] | None:
    name = path.rpartition("/")[2]
    return next((read for pattern, read in _READERS if fnmatchcase(name, pattern)), None)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _requirement(text: str) -> Found:
    match = _REQUIREMENT.fullmatch(text.strip())
    if match:
        version = re.split(r"\s*;|\s+--", match[2])[0].strip()
        yield _normal(match[1]), version.removeprefix("==").strip()


def _requirements(text: str) -> Found:
    for line in text.replace("\\\n", " ").splitlines():
        plain = re.sub(r"(^|\s)#.*", "", line).strip()
        if plain and not plain.startswith("-"):
            yield from _requirement(plain)


def _pyproject(text: str) -> Found:
    file = tomllib.loads(text)
    project = file.get("project", {})
    groups = [project.get("dependencies", []), *project.get("optional-dependencies", {}).values()]
    groups += file.get("dependency-groups", {}).values()
    for group in groups:
        for one in group:
            if isinstance(one, str):
                yield from _requirement(one)
    poetry = file.get("tool", {}).get("poetry", {})
    for table in (poetry, *poetry.get("group", {}).values()):
        for name, said in table.get("dependencies", {}).items():
            yield _normal(name), said if isinstance(said, str) else str(said.get("version", said))


def _package_json(text: str) -> Found:
    file = json.loads(text)
    for kind in ("dependencies", "devDependencies", "peerDependencies", "optionalDependencies"):
        yield from ((name, str(version)) for name, version in file.get(kind, {}).items())


def _package_lock(text: str) -> Found:
    file = json.loads(text)
    for place, package in file.get("packages", {}).items():
        if place:
            yield place.rpartition("node_modules/")[2], str(package.get("version", ""))
    if "packages" not in file:
        for name, package in file.get("dependencies", {}).items():
            yield name, str(package.get("version", ""))


def _lock(text: str) -> Found:
    """Of uv, Poetry, PDM and Cargo (TOML), Pipenv and Composer (JSON), Yarn and Bundler (their own)."""
    start = text.lstrip()[:1]
    if start == "{":
        return _json_lock(json.loads(text))
    if "[[package]]" in text:
        return _toml_lock(tomllib.loads(text))
    return _plain_lock(text)


def _toml_lock(file: Mapping[str, Any]) -> Found:
    for package in file.get("package", ()):
        yield str(package["name"]), str(package.get("version", ""))


def _json_lock(file: Mapping[str, Any]) -> Found:
    for kind in ("default", "develop"):
        for name, package in file.get(kind, {}).items():
            yield name, str(package.get("version", "")).removeprefix("==")
    for kind in ("packages", "packages-dev"):
        for package in file.get(kind, ()):
            yield str(package["name"]), str(package.get("version", ""))


def _plain_lock(text: str) -> Found:
    name = ""
    for line in text.splitlines():
        if match := re.fullmatch(r'"?(@?[^@\s"]+)@.*:', line):
            name = match[1]
        elif name and (match := re.fullmatch(r'  version:? "?([^"]+)"?', line)):
            yield name, match[1]
            name = ""
        elif match := re.fullmatch(r"    ([A-Za-z0-9_.-]+) \(([0-9][^)]*)\)", line):
            yield match[1], match[2]


_READERS: tuple[tuple[str, Callable[[str], Found]], ...] = (
    ("requirements*.txt", _requirements),
    ("requirements*.in", _requirements),
    ("constraints*.txt", _requirements),
    ("pyproject.toml", _pyproject),
    ("package.json", _package_json),
    ("package-lock.json", _package_lock),
    ("*.lock", _lock),
)
