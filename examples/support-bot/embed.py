"""The pipeline's step `embed`: passages and vectors of each document that is new, below index/DOCUMENT/."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bot.embedding import Embedder
from bot.index import write
from bot.passages import split

embed = Embedder()
names = Path(os.environ["TRIMTAB_DOCUMENTS"]).read_text("utf-8").split("\n")[:-1]
with ThreadPoolExecutor(os.cpu_count()) as threads:
    for name in names:
        passages = split(name, Path(name).read_text("utf-8"))
        vectors = threads.map(embed, [f"{passage.heading}\n{passage.text}" for passage in passages])
        write(Path("index", name), passages, list(vectors))
        print(f"{name}: {len(passages)} passages")
