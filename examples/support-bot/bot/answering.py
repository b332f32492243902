"""A question becomes an answer: passages are found, a model is asked, what it cites becomes the sources."""

import re

from bot.models import ask

UNKNOWN = "I do not know: none of the documents seems to be about that."


class Assistant:
    """`index` finds passages, `prompts` are by name, `model` and `config` are what the release says of them."""

    def __init__(self, index, prompts, model, config):
        self._index, self._prompts, self._model, self._config = index, prompts, model, config

    def answer(self, question):
        """{"answer": text, "sources": documents, "model": who answered}"""
        near = self._index.find(question, self._config["passages"])
        passages = [passage for passage, cosine in near if cosine >= self._config["least_similarity"]]
        if not passages:
            return {"answer": UNKNOWN, "sources": [], "model": "none was asked"}
        messages = [
            {"role": "system", "content": self._prompts["system"].render()},
            {"role": "user", "content": self._prompts["answer"].render(question=question, passages=passages)},
        ]
        reply = ask(self._model, messages)
        return {"answer": reply.text, "sources": sources(reply.text, passages), "model": reply.model}


def sources(text, passages):
    """The documents that a text cites as `[1]`; if it cites none, those of all passages that it was written from."""
    cited = [int(number) for number in re.findall(r"\[(\d+)\]", text)]
    chosen = [passages[number - 1] for number in cited if 1 <= number <= len(passages)] or passages
    return list(dict.fromkeys(passage.document for passage in chosen))
