"""The demo's application, and the changes that its team pushes."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from shutil import copytree

AUTHOR = ("-c", "user.name=Trimtab demo", "-c", "user.email=demo@localhost", "-c", "commit.gpgsign=false")


@dataclass(frozen=True, slots=True)
class Edit:
    """Replace `old` by `new` in a file."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Chapter:
    """One change: what its author says, the edits, and what Trimtab should make of it."""

    subject: str
    edits: tuple[Edit, ...]
    expected: str
    """`promoted`, `rolled_back`, or `failed` (in the pipeline)."""


def plant(repository: Path, staging_port: int, production_port: int) -> None:
    """Write the application into a new Git repository."""
    with as_file(files("trimtab.demo") / "assistant") as template:
        copytree(template, repository)
    configuration = repository / "trimtab.yaml"
    text = configuration.read_text().replace("{staging}", str(staging_port))
    configuration.write_text(text.replace("{production}", str(production_port)))
    git(repository, "init", "--quiet", "--initial-branch=main")


def commit(repository: Path, subject: str) -> str:
    """Commit everything; the commit's id."""
    git(repository, "add", "--all")
    git(repository, *AUTHOR, "commit", "--quiet", "--message", subject)
    return git(repository, "rev-parse", "HEAD").strip()


def git(repository: Path, *words: str) -> str:
    done = subprocess.run(["git", "-C", str(repository), *words], check=True, capture_output=True, text=True)
    return done.stdout


def apply(repository: Path, chapter: Chapter) -> None:
    """Make the chapter's edits in the working tree."""
    for edit in chapter.edits:
        path = repository / edit.file
        text = path.read_text()
        if edit.old not in text:
            raise ValueError(f"{edit.file} has no {edit.old!r}")
        path.write_text(text.replace(edit.old, edit.new))


_CASUAL = Edit("prompts/system.txt", "Thank you for asking.", "Hey!")
_POLITE = Edit("prompts/system.txt", "Hey!", "Thank you for asking.")
_FAILS_MORE = Edit("app.py", "random.random() < 0.003", "random.random() < 0.05")
_FAILS_LESS = Edit("app.py", "random.random() < 0.05", "random.random() < 0.003")
_SLOWER = Edit("app.py", "(2 if random.random() < 0.03 else 1)", "(8 if random.random() < 0.15 else 1)")

CHAPTERS = (
    Chapter("Answer questions from the facts", (), "promoted"),
    Chapter(
        "Say where the facts come from",
        (Edit("prompts/facts.txt", "within 30 days.", "within 30 days, says our returns policy."),),
        "promoted",
    ),
    Chapter("Be more casual", (_CASUAL,), "failed"),
    Chapter("Be polite again, with a new model client", (_POLITE, _FAILS_MORE), "rolled_back"),
    Chapter("Ask the model again when it is unsure", (_FAILS_LESS, _SLOWER), "rolled_back"),
)
