"""An index of 10,000 documents, built from nothing and then with 10 of them changed.

The builder is a stand-in for a model: it spends a stated time of a processor on each document and writes a vector of
384 numbers. A small model takes 8 to 40 times as long, so what Trimtab adds weighs less than here.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Awaitable, Callable, Mapping

from benchmarks._report import Value
from trimtab.core.model.facts import Goal

DOCUMENTS = 10_000
CHANGED = 10
WORDS = 150
MS_PER_DOCUMENT = 1.5
GOAL_RATIO = 0.03
_BUILDER = f"""
import hashlib, os, struct, time

with open(os.environ["TRIMTAB_DOCUMENTS"], encoding="utf-8") as listing:
    paths = listing.read().split("\\n")[:-1]
for path in paths:
    until = time.process_time() + {MS_PER_DOCUMENT / 1000}
    with open(path, "rb") as document:
        seed = hashlib.sha256(document.read()).digest()
    bytes_ = hashlib.shake_256(seed).digest(384)
    os.makedirs(f"index/{{path}}")
    with open(f"index/{{path}}/vector", "wb") as vector:
        vector.write(struct.pack("384f", *(byte / 255 for byte in bytes_)))
    while time.process_time() < until:
        pass
print(len(paths), "documents")
"""
_VOCABULARY = [f"word{number}" for number in range(2000)]

Commit = Callable[[Mapping[str, str]], Awaitable[None]]
Run = Callable[[Goal], Awaitable[float]]


def configuration(app: str) -> str:
    step = (
        f'run: {sys.executable} embed.py, for_each: "docs/**/*.txt", inputs: [embed.py], outputs: index/, timeout: 5m'
    )
    parts = "{index: [index], code: [embed.py]}"
    return f"app: {app}\nservice: {{command: serve}}\nrelease: {{parts: {parts}}}\npipeline:\n  embed: {{{step}}}\n"


def documents(version: int, number: int, first: int = 0) -> dict[str, str]:
    """Texts that the seed decides, spread over folders of 100."""
    return {
        f"docs/{place // 100:03}/{place:05}.txt": _text(random.Random(version * DOCUMENTS + place))
        for place in range(first, first + number)
    }


def _text(dice: random.Random) -> str:
    return " ".join(dice.choices(_VOCABULARY, k=WORDS)) + "\n"


async def measure(app: str, commit: Commit, run: Run, *, releases: bool) -> dict[str, Value]:
    """`commit`: files that are to differ; `run`: a run of the newest commit, and its seconds. `releases`:
    whether it is measured, too, how long the same takes when the release is cut."""
    await commit({"trimtab.yaml": configuration(app), "embed.py": _BUILDER, **documents(0, DOCUMENTS)})
    first_s = await run("steps")
    await commit(documents(1, CHANGED, first=5_000))
    again_s = await run("steps")
    results: dict[str, Value] = {
        "index_documents": DOCUMENTS,
        "index_changed": CHANGED,
        "index_stand_in_builder_cpu_ms_per_document": MS_PER_DOCUMENT,
        "index_first_build_s": first_s,
        "index_incremental_build_s": again_s,
        "index_incremental_ratio": again_s / first_s,
        "index_incremental_ratio_goal": GOAL_RATIO,
    }
    if releases:
        results["index_first_release_s"] = await run("release")
        await commit(documents(2, CHANGED, first=6_000))
        results["index_incremental_build_and_release_s"] = await run("release")
    return results
