"""Every code of a problem that a user can meet has a line in the troubleshooting guide."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "guides" / "troubleshooting.md"
CODE = re.compile(r"[a-z]+(-[a-z]+)*")
MAKERS = {"failure": 0, "Problem": 0, "PydanticCustomError": 0, "wrong": 0, "_refused": 0, "Flaw": 1}
"""What makes a problem, and which of its arguments is the code."""
NOT_SHIPPED_TO_USERS = ("testing", "demo")


def codes() -> Iterator[str]:
    for path in (ROOT / "src" / "trimtab").rglob("*.py"):
        if path.relative_to(ROOT / "src" / "trimtab").parts[0] not in NOT_SHIPPED_TO_USERS:
            yield from _codes_in(ast.parse(path.read_text()))


def _codes_in(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            place = MAKERS.get(getattr(node.func, "id", ""))
            arguments = [] if place is None else node.args[place : place + 1]
            arguments += [each.value for each in node.keywords if each.arg == "code"]
            yield from (text for each in arguments if (text := _text(each)) and CODE.fullmatch(text))
        elif (text := _text(node)) and re.fullmatch(r"config(-[a-z]+)+", text):
            yield text  # chosen first, made into a problem elsewhere


def _text(node: ast.AST) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def explained() -> set[str]:
    """The codes in the first cells of the guide's tables."""
    rows = re.findall(r"^\| (`[^|]+`) \|", GUIDE.read_text().partition("## Every code")[2], re.MULTILINE)
    return {code for row in rows for code in re.findall(r"`([a-z-]+)`", row)}


def test_every_code_is_explained() -> None:
    assert set(codes()) - explained() == set()


def test_nothing_is_explained_that_is_not_there() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    assert [code for code in explained() if f'"{code}"' not in source] == []
