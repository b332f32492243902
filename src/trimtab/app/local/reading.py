"""What is asked for on the command line: trimtab.yaml, steps by their names, secrets in a file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from trimtab.config.loading import load as load_configuration
from trimtab.core.errors import TrimtabError, failure
from trimtab.core.model.pipeline import with_variants
from trimtab.core.model.specification import Specification
from trimtab.engine.pipeline import CONFIGURATION
from trimtab.parts import check

_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r"}


def configuration(top: Path) -> Specification:
    """The specification in the working tree. Raises `TrimtabError`: `config-missing`, and whatever is wrong with it or
    with the files that its release names, as far as they are there already."""
    path = top / CONFIGURATION
    try:
        text = path.read_bytes()
    except OSError as error:
        hint = "write one with `trimtab init`, or go to the folder that has one"
        raise failure("config-missing", f"{CONFIGURATION} cannot be read: {error.strerror}", hint, str(path)) from None
    specification = load_configuration(text, CONFIGURATION)
    if problems := check(top, specification.release, may_be_absent=True).problems:
        raise TrimtabError(*problems)
    return specification


def steps_named(specification: Specification, names: Sequence[str]) -> tuple[str, ...]:
    """The steps that are meant: a name means all variants of its matrix. Raises `TrimtabError` (`step-unknown`)."""
    known = [step.name for step in specification.steps]
    found = with_variants(known, names)
    if found is None:
        name = next(name for name in names if with_variants(known, [name]) is None)
        hint = f"its steps: {', '.join(known) or 'none'}"
        if name.isdigit():
            hint = f"`trimtab runs {name}` shows run {name} of the server; {hint}"
        raise failure("step-unknown", f"there is no step {name}", hint, CONFIGURATION)
    return found


def env_file(path: Path) -> dict[str, str]:
    """Variables of a file with lines ``NAME=VALUE``: with ``export`` before them if you like, values in single quotes
    (as they are) or double quotes (with ``\\n``, ``\\"``), comments after ``#``. Raises `TrimtabError` (`env-file`)."""
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise failure("env-file", f"it cannot be read: {error}", "name a text file", str(path)) from None
    found: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        match = _LINE.fullmatch(text)
        if match is None:
            # The line itself is not shown: it may well be a secret.
            hint = "write NAME=VALUE, one a line"
            raise failure("env-file", "the line is no variable", hint, f"{path}:{number}")
        found[match[1]] = _value(match[2])
    return found


def _value(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] == "'":
        return text[1:-1]
    if len(text) >= 2 and text[0] == text[-1] == '"':
        return re.sub(r"\\(.)", lambda match: _ESCAPES.get(match[1], match[1]), text[1:-1])
    return re.sub(r"\s+#.*", "", text)
