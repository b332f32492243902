"""What one release changes against another: nothing against itself, and exactly what changed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from trimtab.core.model.contents import model_file_versions, prompt_versions, with_named_files
from trimtab.core.model.identity import Digest
from trimtab.core.model.pipeline import ForEachSpec, StepSpec
from trimtab.core.model.release import Manifest, Part, digest_of
from trimtab.core.model.specification import EnvironmentSpec, PromptSpec, ReleaseSpec, ServiceSpec, Specification
from trimtab.core.model.tree import Mode, TreeEntry, encode_tree, part_of
from trimtab.views import diffing
from trimtab.views.diffing import Side, diff, to_read
from trimtab.views.model import ReleaseView
from trimtab.views.release_diff import DependencyChange, DiffLine, DocumentChange, ReleaseDiffView, SettingChange
from trimtab.views.releases import with_changes
from trimtab.views.text_diff import MOST_LINES, Comparer

Files = Mapping[str, bytes]
SPECIFICATION = Specification("shop", ServiceSpec("run"), (EnvironmentSpec("production", 8080),))


def side(
    files: Files, release: ReleaseSpec | None = None, modes: Mapping[str, Mode] | None = None, **specification: Any
) -> tuple[Side, dict[Digest, bytes]]:
    """A release of these files, as the artifact store would have it."""
    release = release or ReleaseSpec()
    parts = with_named_files(release)
    owners = {path: part for part, paths in parts.items() for path in paths}
    trees: dict[str, list[TreeEntry]] = {part: [] for part in parts}
    for path, content in sorted(files.items()):
        part = part_of(path, owners, tracked=True)
        assert part is not None
        trees[part].append(TreeEntry(path, (modes or {}).get(path, "644"), digest_of(content), len(content)))
    sealed = {part: tuple(entries) for part, entries in trees.items()}
    everything = [entry for entries in sealed.values() for entry in entries]
    manifest = Manifest(
        "shop",
        {
            part: Part(digest_of(encode_tree(tree)), len(tree), sum(entry.size_bytes for entry in tree))
            for part, tree in sealed.items()
        },
        replace(SPECIFICATION, release=replace(release, parts=parts), **specification),
        prompts=prompt_versions(release, everything),
        model_files=model_file_versions(release, everything),
    )
    return Side(manifest, sealed), {digest_of(content): content for content in files.values()}


def compare(
    old: tuple[Side, dict[Digest, bytes]], new: tuple[Side, dict[Digest, bytes]], *, full: bool = False
) -> ReleaseDiffView:
    """With no more contents than are asked for."""
    wanted = to_read(old[0], new[0])
    contents = {digest: content for digest, content in {**old[1], **new[1]}.items() if digest in wanted[0] | wanted[1]}
    return diff(old[0], new[0], contents, full=full)


def named(found: ReleaseDiffView) -> list[str]:
    """Every file that is told of."""
    files = [file.path for part in found.parts for file in part.files]
    return sorted([*files, *(prompt.file for prompt in found.prompts)])


PATHS = st.sampled_from(
    ["a.py", "b/c.py", "prompts/x.txt", "prompts/y.txt", "requirements.txt", "flags.json", "c.toml"]
)
CONTENTS = st.sampled_from(
    [b"", b"one\n", b"one\ntwo", b"\0", b"\xff", b"{}", b'{"flags": {"a": 1}}', b"k = 1\n", b"x==1\n"]
)
SOME_FILES = st.dictionaries(PATHS, CONTENTS, min_size=1)


def release_of(files: Files) -> ReleaseSpec:
    """It names what there is."""
    prompts = {path[8]: PromptSpec(path, ()) for path in files if path.startswith("prompts/")}
    return ReleaseSpec(
        prompts=prompts,
        flags="flags.json" if "flags.json" in files else "",
        config_file="c.toml" if "c.toml" in files else "",
        model={"name": "m"},
    )


@given(SOME_FILES)
def test_a_release_changes_nothing_against_itself(files: Files) -> None:
    made = side(files, release_of(files))
    assert compare(made, made, full=True).is_empty


@given(SOME_FILES, SOME_FILES, st.booleans())
def test_exactly_the_files_that_changed_are_named(old: Files, new: Files, full: bool) -> None:
    found = compare(side(old, release_of(old)), side(new, release_of(new)), full=full)
    assert named(found) == sorted(path for path in {*old, *new} if old.get(path) != new.get(path))
    assert found.is_empty == (old == new)


@given(st.lists(st.sampled_from("abcd"), max_size=12), st.lists(st.sampled_from("abcd"), max_size=12), st.booleans())
def test_a_text_diff_leads_from_the_one_to_the_other(old: list[str], new: list[str], ends: bool) -> None:
    texts = ["\n".join(lines) + ("\n" if ends and lines else "") for lines in (old, new)]
    found = Comparer().compare(*texts)
    kept = [line for line in found.lines if line.op != "~"]
    if not any(line.op == "~" for line in found.lines) and texts[0] != texts[1]:
        for ops, text in ((" -", texts[0]), (" +", texts[1])):
            lines = [line.text for line in kept if line.op in ops and not line.text.startswith("\\")]
            assert "\n".join(lines) == text.removesuffix("\n")
    assert found.added == sum(line.op == "+" for line in kept)
    assert found.removed == sum(line.op == "-" for line in kept)
    assert bool(found.added or found.removed) == (texts[0] != texts[1])


def test_a_change_of_nothing_but_the_last_line_end_is_seen() -> None:
    found = Comparer().compare("one\n", "one")
    assert [line.text for line in found.lines if line.op == "+"] == ["\\ no newline at the end"]


def test_large_texts_are_counted_and_not_shown() -> None:
    old, new = ("".join(f"{word} {number}\n" for number in range(MOST_LINES + 1)) for word in ("a", "b"))
    found = Comparer().compare(old, new)
    assert (found.added, found.removed, found.lines) == (MOST_LINES + 1, MOST_LINES + 1, ())
    assert found.hidden
    only_new = Comparer().compare("", new)
    assert (only_new.added, only_new.removed, only_new.lines) == (MOST_LINES + 1, 0, ())
    tired = Comparer(lines_left=1)
    assert tired.compare("a\nb\n", "c\nd\n").lines == ()


def test_prompts_are_told_one_by_one() -> None:
    old = side(
        {"a.txt": b"Be kind.\nAsk {{ q }}\n", "b.txt": b"B", "c.txt": b"C"},
        ReleaseSpec(prompts={"a": PromptSpec("a.txt", ("q",)), "b": PromptSpec("b.txt"), "gone": PromptSpec("c.txt")}),
    )
    new = side(
        {"a.txt": b"Be brief.\nAsk {{ q }} {{ p }}\n", "b2.txt": b"B", "c.txt": b"C"},
        ReleaseSpec(prompts={"a": PromptSpec("a.txt", ("p",)), "b": PromptSpec("b2.txt"), "new": PromptSpec("c.txt")}),
    )
    found = {prompt.name: prompt for prompt in compare(old, new).prompts}
    assert {name: prompt.change for name, prompt in found.items()} == {
        "a": "changed",
        "b": "changed",
        "gone": "removed",
        "new": "added",
    }
    assert (found["a"].variables_added, found["a"].variables_removed) == (("p",), ("q",))
    assert [line.op for line in found["a"].text.lines] == ["-", "-", "+", "+"]
    assert (found["b"].moved_from, found["b"].text.lines) == ("b.txt", ())
    assert found["new"].text.lines[0] == DiffLine("+", "C")
    assert found["gone"].text.removed == 2


def test_model_configuration_and_flags_are_told_by_their_keys() -> None:
    def release(temperature: float, **more: Any) -> ReleaseSpec:
        model = {"name": "m", "parameters": {"temperature": temperature}, "file": "m.bin", **more}
        return ReleaseSpec(model=model, config={"k": {"a": 1}}, flags="f.json")

    old = side({"f.json": b'{"flags": {"a": {"state": "ON"}}}', "m.bin": b"1"}, release(0.2))
    new = side({"f.json": b'{"flags": {"a": {"state": "OFF"}, "b": {}}}', "m.bin": b"22"}, release(0.3, revision="2"))
    found = compare(old, new)
    assert found.flags == (SettingChange("a.state", '"ON"', '"OFF"'), SettingChange("b", None, "{}"))
    assert found.config == ()
    assert [change.path for change in found.model] == ["file m.bin", "parameters.temperature", "revision"]
    assert found.model[1] == SettingChange("parameters.temperature", "0.2", "0.3")
    assert found.settings == ()
    other = side({"f.json": b"", "m.bin": b""}, replace(release(0.3), config={"k": {"a": 2}, "z": []}))
    assert compare(new, other).config == (SettingChange("k.a", "1", "2"), SettingChange("z", None, "[]"))


def test_what_else_the_specification_says_is_told_by_its_path() -> None:
    changed = (EnvironmentSpec("staging", 8081), replace(SPECIFICATION.environments[0], port=9090))
    found = compare(side({"a": b""}), side({"a": b""}, environments=changed))
    told = {change.path: (change.old, change.new) for change in found.settings}
    assert told["environments.production.port"] == ("8080", "9090")
    assert told["environments.staging.port"] == (None, "8081")
    assert not any("production.strategy" in path for path in told)


def test_another_example_is_told() -> None:
    old, new = (ReleaseSpec(prompts={"p": PromptSpec("p", (), {"n": number})}) for number in (1, 2))
    found = compare(side({"p": b""}, old), side({"p": b""}, new))
    assert found.settings == (SettingChange("release.prompts.p.example", '{"n": 1}', '{"n": 2}'),)


def test_permissions_are_told() -> None:
    prompts = ReleaseSpec(prompts={"p": PromptSpec("run")})
    for release in (ReleaseSpec(), prompts):
        found = compare(side({"run": b""}, release), side({"run": b""}, release, {"run": "755"}))
        assert [file.note for part in found.parts for file in part.files] == ["now executable, before a plain file"]
        assert found.prompts == ()
    found = compare(side({"run": b"1"}, prompts), side({"run": b"2"}, prompts, {"run": "755"}))
    assert [prompt.name for prompt in found.prompts] == ["p"]
    assert [file.note for part in found.parts for file in part.files] == ["now executable, before a plain file"]


def test_dependencies_are_told_by_name() -> None:
    cases: dict[str, tuple[str, str]] = {
        "requirements-dev.txt": ("a==1 # why\nB_b[x]>=2,<3 ; python_version > '3'\n-r x\n", "a==2\nc\n"),
        "pyproject.toml": (
            '[project]\ndependencies = ["a==1", "b-b>=2,<3"]',
            '[project]\ndependencies = ["a==2"]\n[project.optional-dependencies]\nx = ["c"]',
        ),
        "package.json": (
            json.dumps({"dependencies": {"a": "1", "b-b": ">=2,<3"}}),
            json.dumps({"dependencies": {"a": "2"}, "devDependencies": {"c": ""}}),
        ),
        "uv.lock": (
            '[[package]]\nname = "a"\nversion = "1"\n[[package]]\nname = "b-b"\nversion = ">=2,<3"\n',
            '[[package]]\nname = "a"\nversion = "2"\n[[package]]\nname = "c"\n',
        ),
        "Pipfile.lock": (
            json.dumps({"default": {"a": {"version": "==1"}, "b-b": {"version": ">=2,<3"}}}),
            json.dumps({"default": {"a": {"version": "==2"}}, "develop": {"c": {}}}),
        ),
        "yarn.lock": ('a@^1:\n  version "1"\n\nb-b@x:\n  version ">=2,<3"\n', 'a@^1:\n  version "2"\n'),
        "package-lock.json": (
            json.dumps(
                {"packages": {"": {}, "node_modules/a": {"version": "1"}, "node_modules/b-b": {"version": ">=2,<3"}}}
            ),
            json.dumps({"packages": {"node_modules/a": {"version": "2"}, "node_modules/c": {}}}),
        ),
    }
    for path, (old, new) in cases.items():
        found = compare(side({path: old.encode()}), side({path: new.encode()})).dependencies
        expected = [DependencyChange(path, "a", "1", "2"), DependencyChange(path, "b-b", ">=2,<3", None)]
        assert list(found[:2]) == expected, path
        assert path == "yarn.lock" or found[2] == DependencyChange(path, "c", None, ""), path
    broken = compare(side({"uv.lock": b"[[package]]\nname ="}), side({"uv.lock": b"[[package]]\n"}))
    assert broken.dependencies == ()


def test_what_is_too_large_is_not_read(monkeypatch: Any) -> None:
    monkeypatch.setattr(diffing, "MOST_BYTES", 10)
    monkeypatch.setattr(diffing, "MOST_BYTES_IN_ALL", 20)
    old = side(
        {"a": b"1" * 11, "b": b"1" * 8, "c": b"1" * 9, "p": b"x" * 6}, ReleaseSpec(prompts={"p": PromptSpec("p")})
    )
    new = side({"a": b"2", "b": b"2", "c": b"2", "p": b"y" * 3}, ReleaseSpec(prompts={"p": PromptSpec("p")}))
    found = compare(old, new, full=True)
    assert found.prompts[0].text.lines
    hidden = {file.path: file.text.hidden for part in found.parts for file in part.files}
    assert hidden == {"a": "too large to show (11 bytes)", "b": "", "c": "too large to show (9 bytes)"}


def test_binaries_are_named_only() -> None:
    found = compare(side({"a": b"\0"}), side({"a": b"\0\0"}), full=True)
    assert found.parts[0].files[0].text.hidden == "binary"


def test_the_board_compares_with_the_release_before() -> None:
    def view(number: int, code: str, **settings: Digest) -> ReleaseView:
        return ReleaseView(f"sha256:{number}", "shop", number, "c", "s", number, {"code": code}, settings=settings)

    first, second, third = view(1, "a"), view(2, "a", model="m"), view(3, "b", model="n", config="k")
    # What an older version cut does not say what its settings were.
    assert [one.changed for one in with_changes([third, second, first])] == [("code", "config", "model"), (), ()]
    assert with_changes([]) == ()


def test_an_index_is_told_document_by_document() -> None:
    steps = (StepSpec("embed", "embed", outputs=("index/",), for_each=ForEachSpec(("docs",))),)
    kept = {"index/docs/kept.md/vectors": b"1", "index/version": b"1"}
    before = {
        **kept,
        "index/docs/a.md/text": b"a",
        "index/docs/a.md/more/vectors": b"1",
        "index/docs/old.md/text": b"o",
    }
    after = {**kept, "index/docs/a.md/text": b"b", "index/docs/new.md/text": b"n", "index/version": b"2"}
    found = compare(side(before, steps=steps), side(after, steps=steps))
    assert found.documents == (
        DocumentChange("index/", "docs/a.md", "changed"),
        DocumentChange("index/", "docs/new.md", "added"),
        DocumentChange("index/", "docs/old.md", "removed"),
    )
    assert named(found) == ["index/version"], "what is of no document is a file like any other"
    assert found.settings == ()
