"""recall@3: of how many golden questions is the document among the three passages that are nearest?"""

import sys

from bot.embedding import Embedder
from bot.index import Index
from checks import GOLDEN

NEAREST = 3
LEAST = 0.8


def main():
    index = Index("index", Embedder())
    missed = []
    for question, document in GOLDEN.items():
        found = [passage.document for passage, _ in index.find(question, NEAREST)]
        if document not in found:
            missed.append(f"  {question} must find {document}, found {', '.join(found) or 'nothing'}")
    recall = 1 - len(missed) / len(GOLDEN)
    print(*missed, sep="\n")
    print(f"recall@{NEAREST} is {recall:.2f} of {len(GOLDEN)} questions, at least {LEAST} is asked for")
    return 0 if recall >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
