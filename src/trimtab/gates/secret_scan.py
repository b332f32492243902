"""Secrets in files: found by detect-secrets, named by place and kind, and never by their value."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from trimtab.core.errors import failure
from trimtab.core.model.report import Finding
from trimtab.core.say import count
from trimtab.gates.running import Outcome, parser, run, tool_missing

_SKIPPED_FOLDERS = (".git", ".hg", "node_modules", "__pycache__", ".venv")
_TEXT_BYTES = 8192
Known = frozenset[tuple[str, str, str]]
"""File, kind and hash of the secrets that a baseline says are none, or are known."""


def main(argv: Sequence[str]) -> int:
    words = parser("secret-scan", "Look for secrets in all files that Git tracks, or in all files of the folder.")
    words.add_argument("--baseline", type=Path, default=Path(".secrets.baseline"), metavar="FILE")
    words.add_argument("--exclude", nargs="*", default=[], metavar="PATTERN", help="files to pass over: `tests/data/*`")
    words.add_argument("folder", nargs="?", type=Path, default=Path())
    return run(words, scan, argv)


def scan(asked: argparse.Namespace) -> Outcome:
    """Raises `TrimtabError`: `gate-tool-missing`, `gate-input`."""
    try:
        from detect_secrets.core.secrets_collection import SecretsCollection
        from detect_secrets.settings import transient_settings
    except ImportError:
        raise tool_missing("detect-secrets", "detect-secrets") from None
    os.chdir(asked.folder)
    known, configuration = _baseline(asked.baseline)
    findings, scanned, binary = [], 0, 0
    with transient_settings(configuration):
        for file in _files(asked.baseline, asked.exclude):
            if not _is_text(file):
                binary += 1
                continue
            scanned += 1
            secrets = SecretsCollection()
            secrets.scan_file(str(file))
            findings += [_finding(secret) for _, secret in secrets if _key(secret) not in known]
    findings.sort(key=lambda finding: (finding.place.rpartition(":")[0], int(finding.place.rpartition(":")[2])))
    about = f"{count(scanned, 'file')} looked at" + (f", {binary} that are no text passed over" if binary else "")
    said = f"{count(len(findings), 'secret')} found in {about}" if findings else f"no secrets found: {about}"
    return Outcome(said, tuple(findings), {"files": scanned, "passed_over": binary})


def _baseline(path: Path) -> tuple[Known, dict[str, Any]]:
    """What a baseline knows, and how detect-secrets was set up when it was made. What an audit has found to be real
    (`is_secret`) is not known: it is still there."""
    configuration: dict[str, Any] = {"plugins_used": _all_plugins()}
    if not path.exists():
        return frozenset(), configuration
    try:
        said = json.loads(path.read_text())
        entries = [(file, each) for file, found in said["results"].items() for each in found]
        known = frozenset((file, each["type"], each["hashed_secret"]) for file, each in entries if not _is_real(each))
        if said.get("plugins_used"):
            configuration["plugins_used"] = said["plugins_used"]
        if "filters_used" in said:
            # Verifying asks the network whether a secret is good, which no gate may do.
            filters = [each for each in said["filters_used"] if "verif" not in each["path"]]
            configuration["filters_used"] = filters
    except (ValueError, KeyError, TypeError, AttributeError):
        hint = "make it anew with `detect-secrets scan > .secrets.baseline`"
        raise failure("gate-input", "it is no baseline of detect-secrets", hint, str(path)) from None
    return known, configuration


def _is_real(entry: Mapping[str, Any]) -> bool:
    return entry.get("is_secret") is True


def _all_plugins() -> list[dict[str, str]]:
    from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class

    plugins: Mapping[str, type[Any]] = get_mapping_from_secret_type_to_class()
    return [{"name": plugin.__name__} for plugin in plugins.values()]


def _files(baseline: Path, exclude: Sequence[str]) -> Iterator[Path]:
    for file in sorted(_tracked() if Path(".git").exists() else _all()):
        passed_over = any(file.match(pattern) for pattern in exclude)
        if file != baseline and not passed_over and file.is_file() and not file.is_symlink():
            yield file


def _tracked() -> Iterator[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True)
    if listed.returncode != 0:
        raise failure("gate-input", "Git does not tell which files it tracks", "run `git ls-files`", str(Path.cwd()))
    return (Path(os.fsdecode(name)) for name in listed.stdout.split(b"\0")[:-1])


def _all() -> Iterator[Path]:
    """Steps have no `.git`: all that is there has come from the commit, or from the steps before."""
    for folder, folders, names in os.walk("."):
        folders[:] = [each for each in folders if each not in _SKIPPED_FOLDERS]
        yield from (Path(folder, name) for name in names)


def _is_text(file: Path) -> bool:
    """detect-secrets passes over what is not UTF-8 without a word, so it must be known before."""
    try:
        with file.open("rb") as opened:
            if b"\0" in opened.read(_TEXT_BYTES):
                return False
        file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _key(secret: Any) -> tuple[str, str, str]:
    return secret.filename, secret.type, secret.secret_hash


def _finding(secret: Any) -> Finding:
    message = "it looks like a secret; take it out and change it, or put it into the baseline if it is none"
    return Finding(secret.type, "error", f"{secret.filename}:{secret.line_number}", message)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
