"""Looks at all files that a release names, one after the other."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

from trimtab.core.errors import Problem
from trimtab.core.model.specification import ReleaseSpec
from trimtab.parts import files
from trimtab.parts.files import Absent, Refused, read_text
from trimtab.parts.looked import CONFIG, FLAGS, MODEL, Looked, file_of
from trimtab.parts.prompts import Prompts


def look(folder: Path, release: ReleaseSpec, wanted: Sequence[str], most_output_bytes: int) -> Iterator[Looked]:
    """What is wrong with each of `wanted`."""
    prompts = Prompts(folder, release.prompts, most_output_bytes)
    for what in wanted:
        try:
            if what == MODEL:
                yield Looked(what, absent=tuple(path for path in release.model_files if not (folder / path).is_file()))
            elif what == CONFIG:
                _config(folder, release.config_file)
                yield Looked(what)
            elif what == FLAGS:
                _flags(folder, release.flags)
                yield Looked(what)
            else:
                variables, problems = prompts.check(what)
                yield Looked(what, problems, variables)
        except Refused as refused:
            yield Looked(what, (refused.problem,))
        except Absent:
            yield Looked(what, absent=(file_of(release, what),))


def _config(folder: Path, path: str) -> None:
    text, code = read_text(folder, path, files.CONFIG), "release-config"
    try:
        if path.endswith(".toml"):
            tomllib.loads(text)
        elif path.endswith(".json") and not isinstance(json.loads(text), dict):
            raise Refused(Problem(code, "it is JSON, but no object", "write `{...}`", path))
    except tomllib.TOMLDecodeError as error:
        raise Refused(Problem(code, f"it is not TOML: {error}", "correct it", path)) from None
    except json.JSONDecodeError as error:
        raise Refused(_json_problem(code, error, path)) from None
    except RecursionError:
        raise Refused(Problem(code, "it is nested too deeply", "make it flatter", path)) from None


def _flags(folder: Path, path: str) -> None:
    text, code = read_text(folder, path, files.FLAGS), "release-flags"
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise Refused(_json_problem(code, error, path)) from None
    except RecursionError:
        raise Refused(Problem(code, "it is nested too deeply", "make it flatter", path)) from None
    if not isinstance(found, dict) or not isinstance(found.get("flags"), dict):
        hint = 'flagd\'s format is `{"flags": {"NAME": {...}}}`'
        raise Refused(Problem(code, "it has no object `flags`", hint, path))


def _json_problem(code: str, error: json.JSONDecodeError, path: str) -> Problem:
    return Problem(code, f"it is not JSON: {error.msg}", "correct it", f"{path}:{error.lineno}:{error.colno}")
