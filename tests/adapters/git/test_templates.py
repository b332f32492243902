"""Templates from other repositories: what whoever may push cannot make Trimtab do."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.adapters.git.labs import GitSourceLab
from trimtab.adapters.git import GitSource, templates
from trimtab.core.model.template import TemplateAt, template_digest
from trimtab.testing.memory_source import File
from trimtab.testing.source_contract import problem_of


@pytest.mark.parametrize(
    "url", ["file:///etc", "/etc", "http://127.0.0.1:1/x.git", "ext::sh -c true", "git://127.0.0.1/x", "FILE:///etc"]
)
async def test_only_addresses_elsewhere_are_read(url: str, tmp_path: Path) -> None:
    problem = await problem_of(GitSource(tmp_path).template("shop", TemplateAt("a.yaml", url)))
    assert problem.code == "template-refused"
    assert not (tmp_path / "templates").exists(), "nobody has tried"


async def test_what_is_too_large_is_refused(tmp_path: Path) -> None:
    lab = GitSourceLab(tmp_path)
    await lab.source.create("steps")
    await lab.commit("steps", {"a.yaml": File(b"#" * (templates.MOST_BYTES + 1))})
    problem = await problem_of(lab.source.template("shop", TemplateAt("a.yaml", lab.template_address("steps"))))
    assert problem.code == "template-refused"
    assert [path.name for path in (tmp_path / "home" / "templates").iterdir()] == [], "nothing is left behind"


async def test_what_was_kept_and_is_damaged_is_fetched_anew(tmp_path: Path) -> None:
    lab = GitSourceLab(tmp_path)
    await lab.source.create("steps")
    await lab.commit("steps", {"a.yaml": File(b"step: {run: make}\n")})
    at = TemplateAt("a.yaml", lab.template_address("steps"), template_digest(b"step: {run: make}\n"))
    assert await lab.source.template("shop", at) is not None
    (kept,) = (tmp_path / "home" / "templates").iterdir()
    kept.write_bytes(b"step: {run: steal}\n")
    assert await lab.source.template("shop", at) == b"step: {run: make}\n"
    assert kept.read_bytes() == b"step: {run: make}\n"


async def test_a_password_in_an_address_is_not_said(tmp_path: Path) -> None:
    at = TemplateAt("a.yaml", "file://user:hunter2@/nowhere.git")
    problem = await problem_of(GitSource(tmp_path, template_protocols="file").template("shop", at))
    assert "hunter2" not in str(problem)
