"""Bad files of a release and what is said about them, as a user sees it: `golden.txt`.

To add a case, write it here and run `python -m tests.parts.golden`; then read what it wrote.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from trimtab.core.model.specification import PromptSpec, ReleaseSpec
from trimtab.parts import check

FILE = Path(__file__).with_name("golden.txt")
P = PromptSpec("p.txt", ("q",))
PROMPT = ReleaseSpec(prompts={"p": P})
TWO = ReleaseSpec(prompts={"p": P, "tone": PromptSpec("tone.txt", ())})
CONFIG, FLAGS = ReleaseSpec(config_file="c.json"), ReleaseSpec(flags="f.json")

CASES: Mapping[str, tuple[ReleaseSpec, Mapping[str, bytes]]] = {
    "missing": (PROMPT, {}),
    "not UTF-8": (PROMPT, {"p.txt": b"one\ncaf\xe9 {{ q }}"}),
    "binary": (PROMPT, {"p.txt": b"\x7fELF\0"}),
    "too large": (PROMPT, {"p.txt": b"x" * 2_000_000}),
    "line ends of Windows": (PROMPT, {"p.txt": b"{{ q }}\r\n"}),
    "open tag": (PROMPT, {"p.txt": b"one\n{% if q %}\ntwo"}),
    "open expression": (PROMPT, {"p.txt": b"one\n{{ q "}),
    "unknown tag": (PROMPT, {"p.txt": b"{% loop %}{{ q }}"}),
    "unknown filter": (PROMPT, {"p.txt": b"one\ntwo\n{{ q | shout }}"}),
    "undeclared and unused": (PROMPT, {"p.txt": b"one\n{{ question }}"}),
    "example of something else": (
        ReleaseSpec(prompts={"p": PromptSpec("p.txt", ("q",), {"question": "Why?"})}),
        {"p.txt": b"{{ q }}"},
    ),
    "example that does not fit": (
        ReleaseSpec(prompts={"p": PromptSpec("p.txt", ("q",), {"q": {}})}),
        {"p.txt": b"one\n{{ q.title.text }}"},
    ),
    "takes in a file": (TWO, {"p.txt": b"{{ q }}{% include 'tone.txt' %}", "tone.txt": b""}),
    "takes in what it is told": (TWO, {"p.txt": b"{% include q %}", "tone.txt": b""}),
    "takes in itself": (PROMPT, {"p.txt": b"{{ q }}{% include 'p' %}"}),
    "takes in what is not there": (TWO, {"p.txt": b"{{ q }}{% include 'tone' %}"}),
    "reaches out of the sandbox": (PROMPT, {"p.txt": b"{{ q.__class__ }}"}),
    "counts for ever": (PROMPT, {"p.txt": b"{{ q }}{% for a in range(10**9) %}x{% endfor %}"}),
    "writes for ever": (PROMPT, {"p.txt": b"{% for a in range(99999) %}{{ 'x' * 1000 }}{{ q }}{% endfor %}"}),
    "multiplies a text": (PROMPT, {"p.txt": b"{{ q }}{{ 'a' * 10**10 }}"}),
    "a macro that calls itself": (PROMPT, {"p.txt": b"{{ q }}{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"}),
    "model missing": (ReleaseSpec(model={"file": "models/x.gguf"}), {}),
    "configuration missing": (CONFIG, {}),
    "configuration no JSON": (CONFIG, {"c.json": b'{\n  "a" 1\n}'}),
    "configuration no object": (CONFIG, {"c.json": b"[]"}),
    "configuration no TOML": (ReleaseSpec(config_file="c.toml"), {"c.toml": b"a = \n"}),
    "configuration no text": (ReleaseSpec(config_file="c.yaml"), {"c.yaml": b"\0"}),
    "flags missing": (FLAGS, {}),
    "flags no JSON": (FLAGS, {"f.json": b"flags: {}"}),
    "flags without flags": (FLAGS, {"f.json": b'{"features": {}}'}),
}


def pictures() -> Iterator[str]:
    for name, (release, files) in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            for path, content in files.items():
                (Path(folder) / path).write_bytes(content)
            problems = check(Path(folder), release).problems
        told = "".join(f"{each.where}  {each.code}\n  {each.message}\n  -> {each.hint}\n" for each in problems)
        yield f"=== {name}\n{told or 'no problem'}"


def picture() -> str:
    return "\n".join(pictures())


if __name__ == "__main__":
    FILE.write_text(picture())
