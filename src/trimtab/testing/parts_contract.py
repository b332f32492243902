"""What every PartFiles promises. Each check gets a fresh one and an empty folder."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from trimtab.core.model.contents import CheckedFiles
from trimtab.core.model.specification import PromptSpec, ReleaseSpec
from trimtab.ports.parts import PartFiles


def prompt(*variables: str, file: str = "p.txt", **example: Any) -> PromptSpec:
    return PromptSpec(file, tuple(variables), example)


async def check_prompt(
    files: PartFiles, folder: Path, text: str | bytes, spec: PromptSpec, **others: PromptSpec
) -> CheckedFiles:
    (folder / "p.txt").write_bytes(text.encode() if isinstance(text, str) else text)
    return await files.check(folder, ReleaseSpec(prompts={"p": spec, **others}))


def told(checked: CheckedFiles) -> list[tuple[str, str]]:
    """The codes and places."""
    return [(problem.code, problem.where) for problem in checked.problems]


async def check_a_release_that_names_no_files_is_fine(files: PartFiles, folder: Path) -> None:
    assert await files.check(folder, ReleaseSpec()) == CheckedFiles()


async def check_a_good_prompt_is_fine(files: PartFiles, folder: Path) -> None:
    text = "Answer {{ question }}.\n{% for p in passages %}- {{ p.title|upper }}\n{% endfor %}"
    checked = await check_prompt(files, folder, text, prompt("question", "passages"))
    assert checked == CheckedFiles(variables={"p": ("question", "passages")})
    derived = await files.check(folder, ReleaseSpec(prompts={"p": PromptSpec("p.txt")}))
    assert derived == CheckedFiles(variables={"p": ("passages", "question")})


async def check_syntax_has_its_place(files: PartFiles, folder: Path) -> None:
    for text, line in (
        ("one\n{% if x %}\ntwo", 2),
        ("a\nb\n{{ x | nosuch }}", 3),
        ("{{ 'open }}", 1),
        ("{% huh %}", 1),
    ):
        checked = await check_prompt(files, folder, text, prompt("x"))
        assert [problem.code for problem in checked.problems] == ["prompt-syntax"], text
        assert checked.problems[0].where.startswith("p.txt:"), text
        assert int(checked.problems[0].where.rpartition(":")[2]) >= line, text
        assert checked.problems[0].hint


async def check_variables_are_those_that_are_declared(files: PartFiles, folder: Path) -> None:
    checked = await check_prompt(files, folder, "Hi\n{{ used }} {{ strange }}", prompt("used", "unused", gone=1))
    assert told(checked) == [
        ("prompt-variable-undeclared", "p.txt:2"),
        ("prompt-variable-unused", "p.txt"),
        ("prompt-example", "p.txt"),
    ]
    assert "`strange`" in checked.problems[0].message
    fine = await check_prompt(
        files, folder, "{% set a = 1 %}{{ a }}{{ range(3)|list }}{% for b in c %}{{ b }}{% endfor %}", prompt("c")
    )
    assert told(fine) == []


async def check_prompts_take_in_prompts_only(files: PartFiles, folder: Path) -> None:
    (folder / "tone.txt").write_text("Be {{ mood }}.")
    (folder / "secret").write_text("s")
    tone = prompt("mood", file="tone.txt")
    checked = await check_prompt(files, folder, "{% include 'tone' %}\n{{ q }}", prompt("q", "mood"), tone=tone)
    assert checked.variables["p"] == ("q", "mood")
    checked = await check_prompt(files, folder, "{% include 'tone' %}", prompt(), tone=tone)
    assert told(checked) == [("prompt-variable-undeclared", "p.txt")]
    for text in ("{% include 'secret' %}", "{% include '../secret' %}", "{% extends name %}", "{% import 'x' as y %}"):
        checked = await check_prompt(files, folder, text, PromptSpec("p.txt"), tone=tone)
        assert told(checked) == [("prompt-include", "p.txt")], text


async def check_a_fault_of_what_is_taken_in_is_told_once(files: PartFiles, folder: Path) -> None:
    for content in (b"a\n{% if %}", b"a\n\xff"):
        (folder / "tone.txt").write_bytes(content)
        checked = await check_prompt(files, folder, "{% include 'tone' %}", prompt(), tone=prompt(file="tone.txt"))
        assert [where for _, where in told(checked)] == ["tone.txt:2"]


async def check_files_that_are_no_prompts_are_refused(files: PartFiles, folder: Path) -> None:
    cases: tuple[tuple[bytes, tuple[str, str]], ...] = (
        (b"caf\xe9", ("prompt-encoding", "p.txt:1")),
        (b"\x89PNG\0\0", ("prompt-binary", "p.txt")),
        (b"x" * (1024 * 1024 + 1), ("prompt-too-large", "p.txt")),
        (b"one\ntwo\r\n", ("prompt-line-ends", "p.txt:2")),
    )
    for content, expected in cases:
        checked = await check_prompt(files, folder, content, prompt())
        assert told(checked) == [expected]
        assert checked.problems[0].hint
    (folder / "p.txt").unlink()
    (folder / "link").symlink_to("/etc/passwd")
    os.mkfifo(folder / "pipe")
    (folder / "folder").mkdir()
    for name in ("nothing", "link", "pipe", "folder"):
        checked = await files.check(folder, ReleaseSpec(prompts={"p": prompt(file=name)}))
        assert told(checked) == [("prompt-missing", name)]


async def check_rendering_ends(files: PartFiles, folder: Path) -> None:
    """What a template itself sees to: these need no other process."""
    for text in (
        "{% for a in range(10**9) %}x{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% for a in range(99999) %}{{ 'x' * 1000 }}{% endfor %}",
        "{% include 'p' %}",
    ):
        checked = await check_prompt(files, folder, text, prompt())
        assert told(checked) == [("prompt-endless", "p.txt")], text


async def check_an_example_must_be_rendered(files: PartFiles, folder: Path) -> None:
    text = "one\n{{ q.title }}\n{{ n + 1 }}"
    assert told(await check_prompt(files, folder, text, prompt("q", "n"))) == []
    assert told(await check_prompt(files, folder, text, prompt("q", "n", q={"title": "t"}, n=1))) == []
    checked = await check_prompt(files, folder, text, prompt("q", "n", q={}, n=1))
    assert told(checked) == [("prompt-render", "p.txt:2")]
    checked = await check_prompt(files, folder, "{{ q.__class__.mro() }}", prompt("q"))
    assert told(checked) == [("prompt-render", "p.txt")]


async def check_configuration_and_flags_are_read(files: PartFiles, folder: Path) -> None:
    release = ReleaseSpec(config_file="c.toml", flags="f.json", model={"file": "m.bin"})
    checked = await files.check(folder, release)
    assert told(checked) == [
        ("model-file", "m.bin"),
        ("release-config", "c.toml"),
        ("release-flags", "f.json"),
    ]
    (folder / "m.bin").write_bytes(b"\0")
    (folder / "c.toml").write_text("a = 1\n")
    (folder / "f.json").write_text('{"flags": {"new": {"state": "ENABLED"}}}')
    assert told(await files.check(folder, release)) == []
    (folder / "c.toml").write_text("a =")
    for text, where in (
        ("[]", "f.json"),
        ('{"flags": 1}', "f.json"),
        ("{\n nope}", "f.json:2:2"),
        ("[" * 9999, "f.json"),
    ):
        (folder / "f.json").write_text(text)
        checked = await files.check(folder, release)
        assert told(checked) == [("release-config", "c.toml"), ("release-flags", where)], text[:20]


CHECKS: tuple[Callable[[PartFiles, Path], Awaitable[None]], ...] = (
    check_a_release_that_names_no_files_is_fine,
    check_a_good_prompt_is_fine,
    check_syntax_has_its_place,
    check_variables_are_those_that_are_declared,
    check_prompts_take_in_prompts_only,
    check_a_fault_of_what_is_taken_in_is_told_once,
    check_files_that_are_no_prompts_are_refused,
    check_rendering_ends,
    check_an_example_must_be_rendered,
    check_configuration_and_flags_are_read,
)
