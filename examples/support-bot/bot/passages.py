"""Documents become passages: pieces of one section each, short enough to be embedded whole."""

import re
from dataclasses import dataclass

LONGEST = 400
"""Characters of a passage: three of them make a short prompt."""
HEADING = re.compile(r"#{1,6}\s+(.+)")
LINK = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")


@dataclass(frozen=True)
class Passage:
    """`heading`: the document's title and the section's. `text`: one line of plain sentences."""

    document: str
    heading: str
    text: str


def split(document: str, markdown: str) -> list[Passage]:
    """The passages of a Markdown document, in its order. Code is left out: it says little to whoever asks in words."""
    return [
        Passage(document, heading, text)
        for heading, paragraphs in _sections(markdown)
        for text in _packed([_plain(each) for each in paragraphs])
    ]


def sentences(text: str) -> list[str]:
    return [each.strip() for each in re.split(r"(?<=[.!?])\s+(?=[A-Z`\"(])", text) if each.strip()]


def _sections(markdown: str) -> list[tuple[str, list[str]]]:
    """(heading, paragraphs) of each section."""
    title, heading, paragraphs = "", "", [""]
    found = []
    in_code = False
    for line in markdown.splitlines():
        if line.lstrip().startswith("```"):
            in_code = not in_code
        elif in_code:
            continue
        elif match := HEADING.match(line):
            found.append((heading, paragraphs))
            title = title or match[1]
            heading = title if match[1] == title else f"{title}: {match[1]}"
            paragraphs = [""]
        elif line.strip():
            paragraphs[-1] += f"{line}\n"
        else:
            paragraphs.append("")
    return [*found, (heading, paragraphs)]


def _plain(paragraph: str) -> str:
    if paragraph.startswith("<"):  # HTML says nothing
        return ""
    text = re.sub(r"^\s*(?:[-*] |\d+\. |> )|^\|[-| ]+\|$", "", LINK.sub(r"\1", paragraph), flags=re.MULTILINE)
    return " ".join(text.replace("|", " ").replace("**", "").split())


def _packed(paragraphs: list[str]) -> list[str]:
    """Paragraphs that fit together become one passage; one that is too long is cut between sentences."""
    packed = [""]
    for piece in (piece for each in paragraphs for piece in _pieces(each) if piece):
        if packed[-1] and len(packed[-1]) + len(piece) >= LONGEST:
            packed.append("")
        packed[-1] = f"{packed[-1]} {piece}".strip()
    return [each for each in packed if each]


def _pieces(paragraph: str) -> list[str]:
    if len(paragraph) <= LONGEST:
        return [paragraph]
    return [each[at : at + LONGEST] for each in sentences(paragraph) for at in range(0, len(each), LONGEST)]
