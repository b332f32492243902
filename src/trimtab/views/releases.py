"""Releases beside each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

from trimtab.core.model.identity import Digest
from trimtab.core.model.release import Manifest
from trimtab.views.flat import flat
from trimtab.views.model import ReleaseView
from trimtab.views.release_diff import ReleaseDetailView


def with_changes(newest_first: Sequence[ReleaseView]) -> tuple[ReleaseView, ...]:
    """Each with what it changes against the one that was cut before it."""
    changed = [_changed(before, release) for release, before in pairwise(newest_first)]
    said = [replace(release, changed=words) for release, words in zip(newest_first, changed, strict=False)]
    return (*said, *newest_first[len(said) :])


def _changed(before: ReleaseView, release: ReleaseView) -> tuple[str, ...]:
    settings = _others(before.settings, release.settings) if before.settings and release.settings else []
    return tuple(dict.fromkeys((*_others(before.parts, release.parts), *settings)))


def _others(before: Mapping[str, Digest], now: Mapping[str, Digest]) -> list[str]:
    return [name for name in sorted({*before, *now}) if before.get(name) != now.get(name)]


def detail(release: ReleaseView, manifest: Manifest) -> ReleaseDetailView:
    """The release with all that its manifest says."""
    spec = manifest.specification.release
    return ReleaseDetailView(
        release=release,
        parts=manifest.parts,
        prompts=manifest.prompts,
        model=flat(spec.model or {}),
        model_files=manifest.model_files,
        config=spec.config_file or ("trimtab.yaml" if spec.config is not None else ""),
        flags=spec.flags,
        size_bytes=sum(part.size_bytes for part in manifest.parts.values()),
    )
