"""An index that is built document by document: a real builder in its sandbox, by `trimtab run`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tests.e2e.laptop import Laptop, tidied

PIPELINE = """
  embed: {run: sh embed.sh, for_each: "docs/**/*.md", inputs: [embed.sh], outputs: index/}
  assemble: {run: "mkdir all && cat index/docs/*/v > all/vectors", needs: embed, inputs: [trimtab.yaml], outputs: all/}
"""
REST = """
service: {command: python app.py}
release: {parts: {index: [index, all], code: [embed.sh]}}
environments: {production: {port: 9999}}
"""
# It leaves its folder first: the list is found from wherever it is.
BUILDER = r"""
top=$PWD; cd /tmp
while IFS= read -r name; do
    echo "built <$name>"
    mkdir -p "$top/index/$name"
    tr a-z n-za-m < "$top/$name" > "$top/index/$name/v"
done < "$TRIMTAB_DOCUMENTS"
"""


def text(number: int, version: int = 1) -> tuple[str, str]:
    return f"docs/{number:02} über 'alles'.md", f"document {number} version {version}\n"


@pytest.fixture
def laptops() -> Iterator[tuple[Laptop, Laptop]]:
    with ExitStack() as stack:
        yield tuple(  # type: ignore[misc]
            stack.enter_context(tidied(Laptop(Path(mkdtemp(prefix=f"trimtab-index-{number}-"))))) for number in range(2)
        )


def put(laptop: Laptop, documents: dict[str, str]) -> None:
    for path, content in documents.items():
        (laptop.top / path).parent.mkdir(exist_ok=True)
        (laptop.top / path).write_text(content)


def built(laptop: Laptop) -> tuple[list[str], str]:
    """What the builder was given, and the release."""
    said = laptop.fine("--release")
    (release,) = re.findall(r"^release (\S+)", said, re.MULTILINE)
    return re.findall(r"built <(.*)>", said), release


def test_two_of_thirty_documents_are_built_and_the_release_is_that_of_a_first_build(
    laptops: tuple[Laptop, Laptop],
) -> None:
    grown, new = laptops

    documents = dict(text(number) for number in range(30))
    grown.plant(PIPELINE, REST, embed_dot_sh=BUILDER)
    put(grown, documents)
    names, first = built(grown)
    assert names == sorted(documents)
    assert built(grown) == ([], first)

    changed = dict([text(3, 2), text(17, 2)])
    put(grown, changed)
    rows = {row["step"]: row["why"] for row in json.loads(grown.fine("--list", "--json"))}
    assert rows["embed"] == f"2 of 30 documents to build: {', '.join(sorted(changed))}"
    names, second = built(grown)
    assert names == sorted(changed)
    assert second != first

    gone, _ = text(29)
    (grown.top / gone).unlink()
    assert "embed  cached" in grown.fine("embed")
    names, third = built(grown)
    assert names == []
    assert len(re.findall(r"built <", grown.fine("--fresh", "embed"))) == 29

    new.plant(PIPELINE, REST, embed_dot_sh=BUILDER)
    put(new, {path: content for path, content in (documents | changed).items() if path != gone})
    names, whole = built(new)
    assert len(names) == 29
    assert whole == third != second


def test_documents_that_a_builder_leaves_out_are_named(laptops: tuple[Laptop, Laptop]) -> None:
    laptop, _ = laptops
    laptop.plant(PIPELINE, REST, embed_dot_sh="mkdir -p index/docs/a.md; touch index/docs/a.md/v")
    put(laptop, {"docs/a.md": "a", "docs/b.md": "b"})
    done = laptop.run("embed")
    assert done.returncode == 1
    assert "it wrote nothing for `docs/b.md`" in done.stdout
