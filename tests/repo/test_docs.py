"""What the documentation says exists: links, commands, configurations, and the tests it cites."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trimtab.cli.catalogue import SECTIONS
from trimtab.config import load

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
COMMANDS = {name for section in SECTIONS.values() for name in section}


@pytest.fixture(params=PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def page(request: pytest.FixtureRequest) -> Path:
    return Path(request.param)


def test_links_resolve(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text())
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing


def test_commands_exist(page: Path) -> None:
    named = set(re.findall(r"(?:^|`)trimtab ([a-z]+)", page.read_text(), re.MULTILINE))
    assert named <= COMMANDS


def test_configurations_load(page: Path) -> None:
    for block in re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL):
        if re.search(r"^app:", block, re.MULTILINE):
            load(block, str(page))


def test_the_tests_that_the_architecture_cites_exist() -> None:
    cited = re.findall(r"`(tests/[\w/.]+)`", (ROOT / "ARCHITECTURE.md").read_text())
    assert cited
    assert all((ROOT / place).exists() for place in cited)


def test_every_package_is_in_the_architecture() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    inside = [path for path in (ROOT / "src" / "trimtab").iterdir() if path.suffix == ".py" or path.is_dir()]
    names = {path.stem for path in inside} - {"__init__", "__pycache__", "py", ""}
    missing = {name for name in names if f"| `{name}" not in text}
    assert not missing
