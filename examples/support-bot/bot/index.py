"""The index: what `embed.py` wrote for each document, searched by the cosine between question and passage."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from bot.passages import Passage

PASSAGES, VECTORS = "passages.json", "vectors.f32"


def write(folder, passages, vectors):
    """One document's part of the index."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps([asdict(passage) for passage in passages], ensure_ascii=False, indent=1)
    (folder / PASSAGES).write_text(f"{text}\n", "utf-8")
    (folder / VECTORS).write_bytes(b"".join(vector.astype("<f4").tobytes() for vector in vectors))


class Index:
    """All passages below a folder. `embed`: text -> vector of length 1."""

    def __init__(self, folder, embed):
        self._embed = embed
        self.passages, vectors = [], []
        for file in sorted(Path(folder).rglob(PASSAGES)):
            self.passages += [Passage(**each) for each in json.loads(file.read_text("utf-8"))]
            vectors.append(np.frombuffer(file.with_name(VECTORS).read_bytes(), dtype="<f4"))
        self._vectors = np.concatenate(vectors).reshape(len(self.passages), -1) if self.passages else np.zeros((0, 1))

    def documents(self):
        return {passage.document for passage in self.passages}

    def find(self, question, number):
        """The nearest passages, nearest first, each with its cosine."""
        if not self.passages:
            return []
        cosines = self._vectors @ self._embed(question)
        return [(self.passages[at], float(cosines[at])) for at in np.argsort(-cosines, kind="stable")[:number]]
