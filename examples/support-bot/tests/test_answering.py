import tempfile
import unittest
from pathlib import Path

import numpy as np

from bot.answering import UNKNOWN, Assistant, sources
from bot.index import Index, write
from bot.passages import Passage

WORDS = ("price", "return", "step")
PASSAGES = [
    Passage("documents/prices.md", "Prices", "The price is 3 euros."),
    Passage("documents/returns.md", "Returns", "You may return it."),
]


class Numbered:
    """A prompt as small as one can be."""

    def render(self, question="", passages=()):
        numbered = (f"[{number}]\n{passage.text}\n" for number, passage in enumerate(passages, start=1))
        return "\n".join([*numbered, f"Question: {question}"])


PROMPTS = {"system": Numbered(), "answer": Numbered()}
MODEL = {"provider": "none", "name": "extraction"}


def embed(text):
    """One dimension for each word that we know."""
    vector = np.array([float(word in text.lower()) for word in WORDS], dtype=np.float32)
    return vector / (np.linalg.norm(vector) or 1)


class Answering(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        for passage in PASSAGES:
            write(Path(folder.name, passage.document), [passage], [embed(passage.text)])
        self.index = Index(folder.name, embed)
        self.assistant = Assistant(self.index, PROMPTS, MODEL, {"passages": 2, "least_similarity": 0.5})

    def test_the_nearest_passage_is_found_and_answers(self):
        answer = self.assistant.answer("What is the price?")
        self.assertIn("The price is 3 euros.", answer["answer"])
        self.assertEqual(answer["sources"], ["documents/prices.md"])

    def test_what_no_document_is_about_is_not_asked_of_a_model(self):
        answer = self.assistant.answer("What is a step?")
        self.assertEqual(answer, {"answer": UNKNOWN, "sources": [], "model": "none was asked"})

    def test_an_empty_index_finds_nothing(self):
        with tempfile.TemporaryDirectory() as empty:
            self.assertEqual(Index(empty, embed).find("price", 3), [])

    def test_sources_are_the_passages_that_a_text_cites_or_all_that_it_was_made_from(self):
        self.assertEqual(sources("Yes [2], yes [2].", PASSAGES), ["documents/returns.md"])
        for text in ("No citation.", "A wrong one [7], [0]."):
            self.assertEqual(sources(text, PASSAGES), [passage.document for passage in PASSAGES])


if __name__ == "__main__":
    unittest.main()
