"""Looking at the files that a release names: the contract on both adapters, and what a process of its own is for."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from trimtab.adapters.parts import LimitedPartFiles
from trimtab.core.errors import TrimtabError
from trimtab.core.model.specification import PromptSpec, ReleaseSpec
from trimtab.parts import Limits, check
from trimtab.ports.parts import PartFiles
from trimtab.testing.memory_parts import MemoryPartFiles
from trimtab.testing.parts_contract import CHECKS, check_prompt, prompt, told

ADAPTERS: dict[str, Callable[[], PartFiles]] = {"memory": MemoryPartFiles, "limited": LimitedPartFiles}
TIGHT = Limits(cpu_s=1, memory_bytes=256 * 1024**2)


@pytest.mark.parametrize("case", CHECKS, ids=lambda case: case.__name__)
@pytest.mark.parametrize("make", ADAPTERS.values(), ids=ADAPTERS)
async def test_contract(
    case: Callable[[PartFiles, Path], object], make: Callable[[], PartFiles], tmp_path: Path
) -> None:
    await case(make(), tmp_path)  # type: ignore[misc]


@pytest.mark.parametrize(
    "text",
    [
        "{{ 'a' * 10**10 }}",
        "{{ 10 ** (10 ** 10) }}",
        "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
        "{% set a = namespace(x=['x' * 1000000]) %}{% for i in range(99) %}{% set a.x = a.x + a.x %}{% endfor %}",
    ],
)
async def test_what_takes_too_much_takes_nothing_of_ours(text: str, tmp_path: Path) -> None:
    (tmp_path / "good.txt").write_text("Be kind.")
    good = prompt(file="good.txt")
    checked = await check_prompt(LimitedPartFiles(TIGHT), tmp_path, text, prompt(), good=good)
    assert told(checked) == [("prompt-endless", "p.txt")]
    assert checked.problems[0].hint
    assert checked.variables == {"good": ()}


def test_it_sees_nothing_of_our_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Mapping[str, str]] = []
    run = subprocess.run

    def remember(*args: Any, **more: Any) -> Any:
        given.append(more["env"])
        return run(*args, **more)

    monkeypatch.setenv("TRIMTAB_SECRET_KEY", "s3cret")
    monkeypatch.setattr(subprocess, "run", remember)
    (tmp_path / "p.txt").write_text("Be kind.")
    assert check(tmp_path, ReleaseSpec(prompts={"p": PromptSpec("p.txt")})).problems == ()
    assert [set(variables) for variables in given] == [{"PATH", "PYTHONPATH"}]


def test_what_a_step_makes_may_be_absent(tmp_path: Path) -> None:
    release = ReleaseSpec(prompts={"p": PromptSpec("made/p.txt")}, flags="made/flags.json", model={"file": "made/m"})
    checked = check(tmp_path, release, may_be_absent=True)
    assert (checked.problems, set(checked.absent)) == ((), {"made/p.txt", "made/flags.json", "made/m"})


async def test_without_processes_it_is_the_machines_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    with pytest.raises(TrimtabError) as caught:
        await check_prompt(LimitedPartFiles(), tmp_path, "", prompt())
    assert caught.value.problem.code == "release-check-io"
