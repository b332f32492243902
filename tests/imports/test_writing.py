"""What is written is read back as what was meant."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab.config.nodes import plain
from trimtab.config.syntax import read
from trimtab.imports.argo_rollouts.draft import Draft
from trimtab.imports.argo_rollouts.writing import scalar, write

WORDS = [
    "on",
    "null",
    "~",
    "1",
    "1.5",
    "1e3",
    "0x1f",
    "a: b",
    "a #b",
    "- a",
    "5m",
    "5%",
    "{a}",
    "[a]",
    "*a",
    "&a",
    "!a",
]
WORDS += [
    "a, b",
    "http://a.example:80/x y",
    "it's",
    'a "b"',
    "a\\b",
    "a\nb",
    " a",
    "a ",
    "a:",
    "%a",
    "@a",
    "\ufeff",
    "\x85",
]
TEXTS = st.one_of(st.sampled_from(WORDS), st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
VALUES = st.recursive(
    st.one_of(TEXTS, st.booleans(), st.integers(-(10**9), 10**9)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
calm = settings(deadline=None, max_examples=300)


def read_back(text: str) -> Any:
    root, flaws = read(text)
    assert not flaws
    return plain(root)


@calm
@given(TEXTS)
def test_any_text_is_read_back_as_it_is(text: str) -> None:
    shown = scalar(text)
    assert read_back(f"a: {shown}\nb: [{shown}, {shown}]\nc: {{{shown}: {shown}}}\n") == {
        "a": text,
        "b": [text, text],
        "c": {text: text},
    }


@calm
@given(st.dictionaries(TEXTS, VALUES, min_size=1, max_size=3), st.lists(TEXTS, max_size=2))
def test_any_draft_is_read_back_as_it_is(values: dict[str, Any], comments: list[str]) -> None:
    draft = Draft()
    draft.settings = values
    for comment in comments:
        draft.comment((), comment)
        draft.comment((next(iter(values)),), comment)
    assert read_back(write(draft)) == values


def test_commands_of_several_lines_are_readable() -> None:
    draft = Draft()
    draft.put("service", "command", "set -e\nif a; then\n  b\nfi")
    draft.comment(("service", "command"), "CHECK: this.")
    assert write(draft) == "service:\n  # CHECK: this.\n  command: |-\n    set -e\n    if a; then\n      b\n    fi\n"
