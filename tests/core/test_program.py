"""Which releases are the same program: those that differ in nothing but the content of hot parts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.core.model.contents import settings_of, version_of
from trimtab.core.model.identity import Digest
from trimtab.core.model.program import program_of
from trimtab.core.model.release import FileVersion, Manifest, Part, PromptVersion, digest_of
from trimtab.core.model.specification import EnvironmentSpec, PromptSpec, ReleaseSpec, ServiceSpec, Specification

RELEASE = ReleaseSpec(
    parts={"code": (".",), "prompts": ("prompts/",), "flags": ("flags.json",), "weights": ("models/",)},
    model={"name": "gpt-x", "file": "models/x.gguf"},
    prompts={
        "answer": PromptSpec("prompts/answer.txt", ("question",)),
        "judge": PromptSpec("judge.txt", ()),
    },
    flags="flags.json",
    hot=("flags", "prompts"),
)


def digest(text: str) -> Digest:
    return digest_of(text.encode())


def prompt(file: str, text: str, *variables: str) -> PromptVersion:
    return PromptVersion(version_of(digest(text), variables), file, digest(text), len(text), variables)


MANIFEST = Manifest(
    "shop",
    {name: Part(digest(name), 1, len(name)) for name in RELEASE.parts},
    Specification("shop", ServiceSpec("serve"), (EnvironmentSpec("production", 8080),), release=RELEASE),
    prompts={
        "answer": prompt("prompts/answer.txt", "Be kind. {{ question }}", "question"),
        "judge": prompt("judge.txt", "Is it true?"),
    },
    model_files={"models/x.gguf": FileVersion(digest("weights"), 7)},
)


def said(**changes: Any) -> Manifest:
    return replace(MANIFEST, specification=replace(MANIFEST.specification, **changes))


def with_release(**changes: Any) -> Manifest:
    return said(release=replace(RELEASE, **changes))


def with_part(name: str, content: str) -> Manifest:
    return replace(MANIFEST, parts={**MANIFEST.parts, name: Part(digest(content), 9, 99)})


def with_prompt(name: str, version: PromptVersion) -> Manifest:
    return replace(MANIFEST, prompts={**MANIFEST.prompts, name: version})


def test_without_hot_parts_nothing_is_a_program() -> None:
    assert program_of(with_release(hot=())) == ""
    assert program_of(MANIFEST).startswith("sha256:")


@given(st.sampled_from(RELEASE.hot), st.text(min_size=1), st.integers(1, 9), st.integers(0, 10**9))
def test_the_content_of_hot_parts_is_no_part_of_it(name: str, text: str, files: int, size_bytes: int) -> None:
    changed = replace(MANIFEST, parts={**MANIFEST.parts, name: Part(digest(text), files, size_bytes)})
    changed = replace(changed, prompts={**MANIFEST.prompts, "answer": prompt("prompts/answer.txt", text, "question")})
    assert changed.digest != MANIFEST.digest
    assert program_of(changed) == program_of(MANIFEST)


OTHERS = {
    "code": with_part("code", "other"),
    "another hot part": with_release(hot=("prompts",)),
    "a prompt in another part": with_prompt("judge", prompt("judge.txt", "Is it false?")),
    "a prompt's variables": with_prompt("answer", prompt("prompts/answer.txt", "{{ question }} {{ tone }}", "tone")),
    "a prompt's file": with_prompt("answer", prompt("prompts/more.txt", "Be kind. {{ question }}", "question")),
    "one prompt more": with_prompt("tone", prompt("prompts/tone.txt", "Be brief.")),
    "the model's file": replace(MANIFEST, model_files={"models/x.gguf": FileVersion(digest("others"), 7)}),
    "the model": with_release(model={"name": "gpt-y", "file": "models/x.gguf"}),
    "configuration": with_release(config={"passages": 4}),
    "the command": said(service=ServiceSpec("serve --fast")),
    "a variable": said(environments=(EnvironmentSpec("production", 8080, env={"A": "1"}),)),
    "instances": said(environments=(EnvironmentSpec("production", 8080, replicas=2),)),
    "the application": replace(MANIFEST, app="cart"),
}


@pytest.mark.parametrize("what", OTHERS)
def test_everything_else_makes_another_program(what: str) -> None:
    assert program_of(OTHERS[what]) != program_of(MANIFEST)
    assert len({program_of(manifest) for manifest in OTHERS.values()}) == len(OTHERS)


def test_what_instances_are_started_by_counts() -> None:
    preview = replace(MANIFEST.specification, environments=(EnvironmentSpec("preview-7", 9000, env={"A": "1"}),))
    assert program_of(MANIFEST, preview) not in (program_of(MANIFEST), "")
    assert program_of(MANIFEST, MANIFEST.specification) == program_of(MANIFEST)


def test_how_a_manifest_was_read_makes_no_difference() -> None:
    assert program_of(replace(MANIFEST, read_as=digest("older bytes"))) == program_of(MANIFEST)


def test_what_has_no_hot_parts_is_named_as_before_there_were_any() -> None:
    old = with_release(hot=())
    assert b'"hot"' not in old.content()
    assert b'"hot"' in MANIFEST.content()
    assert settings_of(old)["trimtab.yaml"] != settings_of(MANIFEST)["trimtab.yaml"]
    assert settings_of(Manifest("a", {}, Specification("a", ServiceSpec("b"), ())))["trimtab.yaml"] == BEFORE


BEFORE = "sha256:3ba4ac34d5fdbb98557ec7875a17d39cb7ccd3406814eabbc73ac53228402a3f"
"""As it was computed before."""
