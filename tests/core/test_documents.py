"""Steps that work document by document: what is known by which key, and one tree whatever was built when."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.core.model.documents import (
    by_document,
    composed,
    document_key,
    listing,
    plan,
    refused_by_name,
    select,
    whole_key,
    why_no_text,
)
from trimtab.core.model.pipeline import ForEachSpec, InputFile, StepSpec
from trimtab.core.model.release import digest_of
from trimtab.core.model.step_key import step_key
from trimtab.core.model.tree import TreeEntry, are_apart, encode_tree

MARKDOWN = ForEachSpec(("docs/**/*.md", "!docs/drafts/"))


def file(path: str, content: str = "1") -> InputFile:
    return InputFile(path, "100644", content)


def result(path: str, text: str = "") -> TreeEntry:
    return TreeEntry(path, "644", digest_of(text.encode()), len(text))


FILES = tuple(
    map(file, ("docs/a.md", "docs/drafts/x.md", "docs/logo.png", "docs/sub/b c.md", "embed.py", "trimtab.yaml"))
)


def paths(files: tuple[InputFile, ...]) -> list[str]:
    return [each.path for each in files]


def test_what_is_a_document_is_no_input_besides() -> None:
    chosen = select(FILES, (), MARKDOWN)
    assert paths(chosen.documents) == ["docs/a.md", "docs/sub/b c.md"]
    assert paths(chosen.others) == ["docs/drafts/x.md", "docs/logo.png", "embed.py", "trimtab.yaml"]
    chosen = select(FILES, ("embed.py", "docs/"), MARKDOWN)
    assert paths(chosen.others) == ["docs/drafts/x.md", "docs/logo.png", "embed.py"]


def test_how_git_writes_documents_is_part_of_what_decides() -> None:
    inputs = {select((*FILES, *more), ("embed.py",), MARKDOWN).inputs for more in ([], [file(".gitattributes")])}
    assert len(inputs) == 2


@pytest.mark.parametrize("other", [file("docs/b.md"), file("docs/a.md", "2"), InputFile("docs/a.md", "100755", "1")])
def test_a_document_is_known_by_its_path_its_mode_and_its_bytes(other: InputFile) -> None:
    assert document_key(other) != document_key(file("docs/a.md"))


def test_only_what_is_not_known_is_built() -> None:
    chosen = select(FILES, (), MARKDOWN)
    known = {chosen.keys[1]: (result("vector"),), "sha256:gone": (result("other"),)}
    todo = plan(chosen, known)
    assert paths(todo.build) == ["docs/a.md"]
    assert todo.taken == {"docs/sub/b c.md": (result("vector"),)}
    assert (todo.count.built, todo.count.taken, todo.count.all) == (1, 1, 2)


def test_the_whole_is_known_by_all_documents_and_by_the_step() -> None:
    known = {whole_key(key, documents) for key in "xy" for documents in ((), ("1",), ("2",), ("1", "2"))}
    assert len(known) == 8


def test_what_is_refused_is_part_of_what_the_step_is_known_by() -> None:
    def key(spec: ForEachSpec | None) -> str:
        return step_key(StepSpec("embed", "run", for_each=spec), {}, "sha256:1", (), "")

    specs = [None, MARKDOWN, replace(MARKDOWN, text=False), replace(MARKDOWN, limit_bytes=5)]
    assert len({key(spec) for spec in specs}) == 4
    assert key(MARKDOWN) == key(replace(MARKDOWN, documents=("docs/",)))


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (InputFile("docs/link.md", "120000", "1"), "symbolic link"),
        (file("docs/two\nlines.md"), "line break"),
        (file("docs/two\u2028lines.md"), "line break"),
        (file("docs/\udcff.md"), "not UTF-8"),
    ],
)
def test_documents_that_no_line_can_name_are_refused(document: InputFile, why: str) -> None:
    ((_, said),) = refused_by_name([file("docs/a b ü.md"), document])
    assert why in said


def test_what_is_no_text() -> None:
    assert why_no_text("grün\n".encode()) == ""
    assert why_no_text(b"%PDF\0") == "it is binary"
    assert why_no_text("grün".encode("latin-1")) == "it is not UTF-8 (byte 3)"


def test_a_listing_has_a_line_for_each() -> None:
    assert listing([file("docs/a b.md"), file("docs/ü.md")]) == "docs/a b.md\ndocs/ü.md\n".encode()
    assert listing([]) == b""


def test_what_belongs_to_no_document_is_astray() -> None:
    entries = [result(path) for path in ("index/all.json", "index/docs/a.md", "index/docs/a.md/v", "other/docs/a.md/v")]
    found, astray = by_document(entries, "index", ["docs/a.md"])
    assert found == {"docs/a.md": (result("v"),)}
    assert astray == ("index/all.json", "index/docs/a.md", "other/docs/a.md/v")


@pytest.mark.parametrize(
    ("together", "expected"),
    [
        (("a/b", "a/c", "ab", "a.b"), True),
        (("a/b", "a/b"), False),
        (("a/b", "a"), False),
        (("a", "x", "a/b/c"), False),
        ((), True),
    ],
)
def test_files_that_are_in_no_other_s_way(together: tuple[str, ...], expected: bool) -> None:
    assert are_apart(together) is expected
    assert are_apart(reversed(together)) is expected


NAMES = st.text("ab/.ü ", min_size=1, max_size=12).map(lambda text: "/".join(filter(None, text.split("/"))) or "a")


def _free_of_each_other(names: list[str]) -> bool:
    """As files of a commit are: none lies below another one."""
    return not any(one != other and one.startswith(f"{other}/") for one in names for other in names)


@given(st.sets(NAMES, max_size=8).map(sorted).filter(_free_of_each_other), st.data())
def test_the_tree_does_not_depend_on_when_what_was_built(documents: list[str], data: st.DataObject) -> None:
    inner = st.sets(NAMES, min_size=1, max_size=3)
    results = {name: tuple(result(path, name) for path in sorted(data.draw(inner))) for name in documents}
    before = data.draw(st.sets(st.sampled_from(documents))) if documents else set()
    whole = composed("index", results)
    early, _ = by_document(composed("index", {name: results[name] for name in before}), "index", documents)
    late, astray = by_document(
        composed("index", {n: results[n] for n in documents if n not in before}), "index", documents
    )
    assert astray == ()
    assert encode_tree(composed("index", {**late, **early})) == encode_tree(whole)
    assert by_document(whole, "index", documents) == (results, ())
