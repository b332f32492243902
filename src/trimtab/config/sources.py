"""Where the template of a step is: by what stands in `uses`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import AfterValidator, Field

from trimtab.config.fields import RepositoryPath
from trimtab.config.flaws import Flaw
from trimtab.config.nodes import MappingNode, Node, ScalarNode
from trimtab.config.own_templates import PREFIX
from trimtab.config.quantities import wrong
from trimtab.config.setting import Settings, required, setting
from trimtab.config.validation import validate
from trimtab.core.model.template import TemplateAt

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_ADDRESS = re.compile(r"(https|ssh)://[^\s]+|[A-Za-z0-9_.-]+@[A-Za-z0-9.-]+:[^\s]+")
_PASSWORD = re.compile(r"://[^/@\s]*:[^/@\s]*@")
_REF = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+-]*")


def _digest(text: str) -> str:
    if _DIGEST.fullmatch(text):
        return text
    raise wrong("config-invalid-value", "must be `sha256:` and 64 hexadecimal digits", "as `sha256sum` prints them")


def _address(text: str) -> str:
    if _PASSWORD.search(text):
        hint = "give the user that runs Trimtab a key, or a credential helper of Git"
        raise wrong("config-invalid-value", "has a password, and everybody who reads the file would have it", hint)
    if _ADDRESS.fullmatch(text):
        return text
    hint = "for example `https://git.example.com/team/steps.git`"
    raise wrong("config-invalid-value", f"must be the address of a Git repository, but it is `{text}`", hint)


def _ref(text: str) -> str:
    if _REF.fullmatch(text) and ".." not in text:
        return text
    raise wrong("config-invalid-value", f"must be a branch, a tag or a commit, but it is `{text}`", "for example `v3`")


class Elsewhere(Settings):
    """A template in another repository, pinned: it is that file and no other."""

    repository: Annotated[str, AfterValidator(_address), Field(json_schema_extra={"minLength": 1})] = required(
        "The address of the Git repository.", "https://git.example.com/team/steps.git"
    )
    path: RepositoryPath = required("The file in it.", "python-test.yaml")
    digest: Annotated[str, AfterValidator(_digest)] | None = setting(
        None,
        "The digest of the file (`sha256sum`). It must be there; the problem that tells you so says which it is.",
        "sha256:" + "0" * 64,
        json_schema_extra={"pattern": "^sha256:[0-9a-f]{64}$"},
    )
    ref: Annotated[str, AfterValidator(_ref)] | None = setting(
        None, "The branch, tag or commit to look at. Left out: what the repository's HEAD names.", "v3"
    )


@dataclass(frozen=True, slots=True)
class Source:
    """A template's file. `own`: the name of one that comes with Trimtab."""

    at: TemplateAt
    own: str = ""


def source_of(node: Node, inside: Source | None, flaws: list[Flaw]) -> Source | None:
    """The template that `uses` means; None: none, and the flaws say why. `inside`: the template in which it stands."""
    if isinstance(node, MappingNode):
        found, invalid = validate(node, Elsewhere)
        flaws += invalid
        if found is None:
            return None
        return Source(TemplateAt(found.path, found.repository, found.digest or "", found.ref or ""))
    if not isinstance(node, ScalarNode) or not isinstance(node.value, str) or not node.value:
        message = "`uses` must be a path, or a mapping with `repository`, `path` and `digest`"
        flaws.append(Flaw(node.place, "config-wrong-type", message, "for example `uses: .trimtab/steps/test.yaml`"))
        return None
    if node.value.startswith(PREFIX):
        own = node.value.removeprefix(PREFIX)
        return Source(TemplateAt(node.value), own)
    if inside is not None and inside.at.repository:
        message = f"`{node.value}` is not pinned: a template of another repository can use files only by their digest"
        hint = "let it name `repository`, `path` and `digest`"
        flaws.append(Flaw(node.place, "template-unpinned", message, hint))
        return None
    pieces = [piece for piece in node.value.split("/") if piece not in ("", ".")]
    if node.value.startswith(("/", "~")) or ".." in pieces or not node.value.endswith((".yaml", ".yml")):
        message = f"`{node.value}` must be the path of a YAML file in the repository"
        hint = "write it from the repository's root: `.trimtab/steps/test.yaml`"
        flaws.append(Flaw(node.place, "config-invalid-value", message, hint))
        return None
    return Source(TemplateAt("/".join(pieces)))
