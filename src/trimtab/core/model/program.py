"""What runs, told apart from what is only read: releases that differ in hot parts alone are the same program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any

from trimtab.core.model.identity import Digest
from trimtab.core.model.release import Manifest, canonical_json, digest_of
from trimtab.core.model.specification import Specification
from trimtab.core.model.tree import clean_parts, part_of


def program_of(manifest: Manifest, specification: Specification | None = None) -> Digest:
    """The digest of all that a running instance cannot take over from another release; empty where nothing is hot.

    That is the whole manifest but for the content of its hot parts. Which prompts there are, in which files and with
    which variables, belongs to the program: that is what it was written for. So does all else that `trimtab.yaml` says,
    strategies too, which costs a start now and then and cannot be wrong. `specification`: what instances are started
    by, where that is not the manifest's.
    """
    said = replace(manifest, specification=specification or manifest.specification, read_as="")
    hot = said.specification.release.hot
    if not hot:
        return ""
    fields = asdict(said)
    owners = {path: part for part, paths in clean_parts(said.specification.release.parts).items() for path in paths}
    for name in hot:
        fields["parts"][name] = None
    for prompt in fields["prompts"].values():
        _leave_out(prompt, prompt["file"], owners, hot)
    for path, file in fields["model_files"].items():
        _leave_out(file, path, owners, hot)
    return digest_of(canonical_json(fields))


def _leave_out(fields: dict[str, Any], path: str, owners: Mapping[str, str], hot: tuple[str, ...]) -> None:
    """Of a file in a hot part, what its content is."""
    if part_of(path, owners, tracked=True) in hot:
        for name in ("version", "digest", "size_bytes"):
            fields.pop(name, None)
