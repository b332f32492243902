"""The state repository's files: `APP/ENVIRONMENT.yaml`, which say what should run in an environment.

Such a file has one key, ``release: sha256:...``, and may have comments. It is a small part of YAML, read by rules that
fit on this page, so that whatever reads it (the repository, the push hook, the API) agrees to the letter.
"""

from __future__ import annotations

import re

from trimtab.core.errors import failure
from trimtab.core.model.identity import Digest, EnvironmentId, is_digest, is_name

MAX_BYTES = 64 * 1024
"""A state file longer than this is refused unread."""

_HINT = "the file must have the one line `release: sha256:<64 hex digits>`; `trimtab releases` lists them"
_LINE = re.compile(r"(?P<key>[^\s:#'\"][^:#]*?|'[^']*'|\"[^\"]*\")[ \t]*:(?:[ \t]+(?P<value>.*))?")
_COMMENT = re.compile(r"(^|[ \t]+)#.*$")


def desired_path(environment: EnvironmentId) -> str:
    """The environment's file: ``shop/production.yaml``."""
    return f"{environment.app}/{environment.name}.yaml"


def environment_of(path: str) -> EnvironmentId | None:
    """The environment whose file `path` is; None for any other file."""
    app, _, file = path.partition("/")
    name = file.removesuffix(".yaml")
    return EnvironmentId(app, name) if file.endswith(".yaml") and is_name(app) and is_name(name) else None


def render_desired(environment: EnvironmentId, release: Digest) -> bytes:
    """The file's content for `release`."""
    return (
        f"# The release that should run in {environment}. An edit pushed here is carried out.\nrelease: {release}\n"
    ).encode()


def parse_desired(content: bytes, where: str) -> Digest:
    """The release that a state file names. Raises `TrimtabError` (`state-invalid`) that names `where` and the line."""
    if len(content) > MAX_BYTES:
        raise failure("state-invalid", f"the file has {len(content)} bytes, more than {MAX_BYTES}", _HINT, where)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise failure("state-invalid", f"the file is not UTF-8 at byte {error.start}", _HINT, where) from None
    found: Digest | None = None
    for number, raw in enumerate(text.splitlines(), start=1):
        line = _COMMENT.sub("", raw).rstrip()
        if not line or line == "---":
            continue
        release = _release_of(line, f"{where}:{number}")
        if found is not None:
            raise failure("state-invalid", "`release` is given twice", _HINT, f"{where}:{number}")
        found = release
    if found is None:
        raise failure("state-invalid", "the file names no release", _HINT, where)
    return found


def _release_of(line: str, where: str) -> Digest:
    match = _LINE.fullmatch(line)
    if match is None:
        raise failure("state-invalid", f"`{line.strip()[:80]}` is not a line of the form `key: value`", _HINT, where)
    key, value = _unquoted(match["key"]), _unquoted((match["value"] or "").strip())
    if key != "release":
        raise failure("state-invalid", f"unknown key `{key[:80]}`; the only key is `release`", _HINT, where)
    if not is_digest(value):
        raise failure("state-invalid", f"`{value[:80]}` is not the whole digest of a release", _HINT, where)
    return value


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) >= 2 and text[0] == text[-1] and text[0] in "'\"" else text
