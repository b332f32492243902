"""The form of answers: JSON with a text, and with sources that are documents of the index.

Models differ from one time to the next, and none is here while a pipeline runs. So this asks extraction, which reads
the prompts as models do: what it cannot find in them, no model is told.
"""

import json
import sys

from bot import settings
from bot.answering import Assistant
from bot.embedding import Embedder
from bot.index import Index
from checks import GOLDEN


def wrong(answer, documents):
    """What is wrong with an answer; empty if nothing is."""
    if set(answer) != {"answer", "sources", "model"}:
        return f"it has {', '.join(sorted(answer))}"
    if not answer["answer"].strip():
        return "it is empty: does the prompt still number its passages as [1], and ask the question?"
    if not answer["sources"]:
        return "it has no sources"
    return "".join(f"its source {each} is none of the documents" for each in answer["sources"] if each not in documents)


def main():
    index = Index("index", Embedder())
    prompts, _, config = settings.read()
    assistant = Assistant(index, prompts, {"provider": "none", "name": "extraction"}, config)
    said = {question: json.loads(json.dumps(assistant.answer(question))) for question in GOLDEN}
    flaws = {question: flaw for question, answer in said.items() if (flaw := wrong(answer, index.documents()))}
    for question, flaw in flaws.items():
        print(f"  {question}: {flaw}")
    print(f"{len(flaws)} of {len(said)} answers are not of the form that we promise")
    return 1 if flaws else 0


if __name__ == "__main__":
    sys.exit(main())
