"""What a release's manifest says of single files: its prompts, one by one, and those of its model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace

from trimtab.core.errors import Problem, TrimtabError, failure
from trimtab.core.model.identity import Digest
from trimtab.core.model.release import FileVersion, Manifest, PromptVersion, canonical_json, digest_of
from trimtab.core.model.specification import ReleaseSpec
from trimtab.core.model.tree import TreeEntry


@dataclass(frozen=True, slots=True)
class CheckedFiles:
    """What became of looking at the files that a release names. `variables`: what each prompt has that could be read.
    `absent`: files that are not there, where they need not be yet."""

    problems: tuple[Problem, ...] = ()
    variables: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    absent: tuple[str, ...] = ()


def with_variables(release: ReleaseSpec, variables: Mapping[str, tuple[str, ...]]) -> ReleaseSpec:
    """The release with the variables of all prompts written out."""
    prompts = {
        name: prompt if prompt.variables is not None else replace(prompt, variables=variables.get(name, ()))
        for name, prompt in release.prompts.items()
    }
    return replace(release, prompts=prompts)


def version_of(content: Digest, variables: Sequence[str]) -> Digest:
    """The version of a prompt whose file has this digest. `trimtab.sdk` computes the same."""
    return digest_of(canonical_json([content, sorted(variables)]))


def named_files(release: ReleaseSpec) -> Mapping[str, tuple[str, ...]]:
    """The files that the release names one by one, by the part that takes those that no part names."""
    return {
        "prompts": tuple(dict.fromkeys(prompt.file for prompt in release.prompts.values())),
        "model": release.model_files,
        "config": (release.config_file,) if release.config_file else (),
        "flags": (release.flags,) if release.flags else (),
    }


def with_named_files(release: ReleaseSpec) -> Mapping[str, tuple[str, ...]]:
    """The parts, with each named file in one: a part that names the file, or a folder above it, keeps it; `.` does
    not name it."""
    parts = dict(release.parts)
    named = {path.removeprefix("./").rstrip("/") for paths in parts.values() for path in paths}
    for part, files in named_files(release).items():
        alone = [file for file in files if not any(place in named for place in _places(file))]
        if alone:
            parts[part] = (*parts.get(part, ()), *alone)
            named |= set(alone)
    return parts


def prompt_versions(release: ReleaseSpec, entries: Iterable[TreeEntry]) -> Mapping[str, PromptVersion]:
    """Each prompt as it is in the release with these files. Raises `TrimtabError` (`prompt-missing`)."""
    files = _plain_files(entries)
    found = {}
    for name, prompt in sorted(release.prompts.items()):
        entry, variables = files.get(prompt.file), tuple(sorted(prompt.variables or ()))
        if entry is None:
            raise _missing("prompt-missing", prompt.file, f"release.prompts.{name}")
        version = version_of(entry.digest, variables)
        found[name] = PromptVersion(version, prompt.file, entry.digest, entry.size_bytes, variables)
    return found


def model_file_versions(release: ReleaseSpec, entries: Iterable[TreeEntry]) -> Mapping[str, FileVersion]:
    """The model's files. Raises `TrimtabError` (`model-file`)."""
    files = _plain_files(entries)
    for path in release.model_files:
        if path not in files:
            raise _missing("model-file", path, "release.model.file")
    return {path: FileVersion(files[path].digest, files[path].size_bytes) for path in release.model_files}


def settings_of(manifest: Manifest) -> Mapping[str, Digest]:
    """What the release is besides its files, each by its digest: its model and its configuration where it has them,
    and all else that `trimtab.yaml` says."""
    release = manifest.specification.release
    rest = replace(release, model=None, config=None, prompts={})
    whole = asdict(replace(manifest.specification, release=rest))
    if not rest.hot:
        # It came later: who does not say it says what was said before.
        del whole["release"]["hot"]
    settings: dict[str, object] = {
        "model": dict(release.model) if release.model is not None else None,
        "config": dict(release.config) if release.config is not None else None,
        "trimtab.yaml": whole,
    }
    return {name: digest_of(canonical_json(value)) for name, value in settings.items() if value is not None}


def _plain_files(entries: Iterable[TreeEntry]) -> dict[str, TreeEntry]:
    return {entry.path: entry for entry in entries if entry.mode != "link"}


def _places(file: str) -> Iterable[str]:
    while file:
        yield file
        file = file.rpartition("/")[0]


def _missing(code: str, path: str, where: str) -> TrimtabError:
    hint = "name a file, or add the pipeline step that makes it"
    return failure(code, f"`{path}` is no plain file of the release", hint, where)
