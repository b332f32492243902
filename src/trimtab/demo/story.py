"""The demo's application, and the changes that its team pushes."""

from __future__ import annotations

from importlib.resources import as_file, files
from pathlib import Path
from shutil import copytree

from trimtab.demo.show import Chapter, Edit, commit_all, git

REQUESTS_PER_S = 100.0

_CASUAL = Edit("prompts/system.txt", "Thank you for asking.", "Hey!")
_POLITE = Edit("prompts/system.txt", "Hey!", "Thank you for asking.")
_FAILS_MORE = Edit("app.py", "random.random() < 0.003", "random.random() < 0.05")
_FAILS_LESS = Edit("app.py", "random.random() < 0.05", "random.random() < 0.003")
_SLOWER = Edit("app.py", "(2 if random.random() < 0.03 else 1)", "(8 if random.random() < 0.15 else 1)")
_SAYS_WHERE = Edit("prompts/facts.txt", "within 30 days.", "within 30 days, says our returns policy.")

CHAPTERS = (
    Chapter("Answer questions from the facts", "promoted"),
    Chapter("Say where the facts come from", "promoted", (_SAYS_WHERE,)),
    Chapter("Be more casual", "failed", (_CASUAL,)),
    Chapter("Be polite again, with a new model client", "rolled_back", (_POLITE, _FAILS_MORE)),
    Chapter("Ask the model again when it is unsure", "rolled_back", (_FAILS_LESS, _SLOWER)),
)


class Assistant:
    """`make demo`: a small program that takes its time as a language model would."""

    app = "assistant"
    chapters: tuple[Chapter, ...] = CHAPTERS
    chapter_within_s = 150.0

    def prepare(self, folder: Path) -> None:
        """It needs nothing."""

    def plant(self, repository: Path, staging_port: int, production_port: int) -> None:
        with as_file(files("trimtab.demo") / "assistant") as template:
            copytree(template, repository)
        configuration = repository / "trimtab.yaml"
        text = configuration.read_text().replace("{staging}", str(staging_port))
        configuration.write_text(text.replace("{production}", str(production_port)))
        git(repository, "init", "--quiet", "--initial-branch=main")

    def commit(self, repository: Path, number: int) -> str:
        chapter = self.chapters[number]
        for edit in chapter.edits:
            path = repository / edit.file
            text = path.read_text()
            if edit.old not in text:
                raise ValueError(f"{edit.file} has no {edit.old!r}")
            path.write_text(text.replace(edit.old, edit.new))
        return commit_all(repository, chapter.subject)

    def users(self, address: str, seconds: float) -> list[str]:
        return ["-m", "trimtab.demo.traffic", f"{address}/ask", str(REQUESTS_PER_S), str(seconds)]

    def ask(self, address: str) -> str:  # noqa: ARG002
        return ""

    def how_to_ask(self, address: str) -> str:
        return f"curl '{address}/ask?q=when+is+delivery'"

    def close(self) -> None:
        """It has started nothing."""
