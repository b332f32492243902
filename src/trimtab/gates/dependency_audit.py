"""Known vulnerabilities in what a project needs: pip-audit's readers of requirements, asked of an advisory service that
speaks OSV. What is not known is never taken for good: an address that does not answer ends with exit code 75, and a
requirement that could not be audited is a finding."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from trimtab.core.errors import TrimtabError, failure
from trimtab.core.model.report import Finding
from trimtab.core.say import count
from trimtab.gates.running import UNAVAILABLE, Outcome, parser, run, tool_missing

OSV = "https://api.osv.dev/v1/query"
_IN_THE_WAY = (
    "connection",
    "name resolution",
    "timed out",
    "timeout",
    "unreachable",
    "proxy",
    "max retries",
    "no route",
    "failed to upgrade `pip`",  # whatever the requirements are
)


def main(argv: Sequence[str]) -> int:
    words = parser("dependency-audit", "Look up what a project needs in a database of known vulnerabilities (OSV).")
    words.add_argument("--service", default=OSV, metavar="URL", help="the advisory service's query endpoint")
    words.add_argument(
        "--ignore", nargs="*", default=[], metavar="ID", help="vulnerabilities to pass over, by any name"
    )
    words.add_argument("--timeout", type=int, default=20, metavar="SECONDS", help="for each answer")
    words.add_argument(
        "files", nargs="*", default=["requirements.txt"], help="requirements, pylock.toml, pyproject.toml"
    )
    return run(words, audit, argv)


def audit(asked: argparse.Namespace) -> Outcome:
    """Raises `TrimtabError`: `gate-tool-missing`, `gate-input`, `gate-unavailable`, `gate-undecided`."""
    try:
        import pip_audit._dependency_source as sources
    except ImportError:
        raise tool_missing("pip-audit", "pip-audit") from None
    findings: list[Finding] = []
    audited = 0
    for name in asked.files or ["requirements.txt"]:
        file = Path(name)
        if not file.is_file():
            raise failure("gate-input", f"there is no file `{name}`", "name the requirements or the lock file", name)
        try:
            for dependency, vulnerabilities in _answers(asked, _source(sources, file)):
                audited += 1
                findings += _findings(name, dependency, vulnerabilities, asked.ignore)
        except sources.DependencySourceError as error:
            raise _unresolved(name, error) from None
    if audited == 0:
        hint = "name the file that says what the project needs"
        raise failure("gate-undecided", "there is no requirement to look up", hint, ", ".join(asked.files))
    found = count(len(findings), "known vulnerability") if findings else "no known vulnerabilities"
    return Outcome(f"{found} in {count(audited, 'package')}", tuple(findings), {"packages": audited})


def _source(sources: Any, file: Path) -> Any:
    """Pinned requirements are read as they are; for others, pip finds out what would be installed."""
    if file.name == "pyproject.toml":
        return sources.PyProjectSource(file.parent)
    if file.name.startswith("pylock.") and file.suffix == ".toml":
        return sources.PyLockSource([file])
    return sources.RequirementSource([file], disable_pip=_is_pinned(file), no_deps=_is_pinned(file))


def _is_pinned(file: Path) -> bool:
    lines = [line.split("#")[0].strip() for line in file.read_text().replace("\\\n", " ").splitlines()]
    return all("==" in line or line.startswith("--hash") for line in lines if line)


def _answers(asked: argparse.Namespace, source: Any) -> Iterator[tuple[Any, Any]]:
    import requests
    from pip_audit._audit import Auditor
    from pip_audit._service import OsvService
    from pip_audit._service.interface import ServiceError

    try:
        yield from Auditor(OsvService(timeout=asked.timeout, osv_url=asked.service)).audit(source)
    except (ServiceError, requests.RequestException) as error:
        said = str(error.__cause__ or error)
        raise failure(
            UNAVAILABLE,
            f"the advisory service gives no answer: {said[:300]}",
            "the step needs `sandbox: {network: true}`; if it has that, wait until the service is back",
            asked.service,
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"the advisory service says what cannot be understood ({type(error).__name__}: {error})"
        raise failure(UNAVAILABLE, message, "see that the address is that of an OSV query", asked.service) from None


def _findings(file: str, dependency: Any, vulnerabilities: Any, ignored: Sequence[str]) -> Iterator[Finding]:
    if dependency.is_skipped():
        why = str(dependency.skip_reason)
        yield Finding("not-audited", "error", file, f"{dependency.name} could not be looked up: {why}")
        return
    for each in vulnerabilities:
        if each.has_any_id(set(ignored)):
            continue
        fixed = ", ".join(map(str, each.fix_versions))
        remedy = f"fixed in {fixed}" if fixed else "no version is known that mends it"
        message = f"{dependency.name} {dependency.version}: {each.description.strip()[:300]} ({remedy})"
        yield Finding(str(each.id), "error", file, message)


def _unresolved(name: str, error: BaseException) -> TrimtabError:
    """What kept the requirements from being read, by pip's own words where it has said any."""
    said, whole = " ".join(str(error).split()), ""
    cause: BaseException | None = error
    while cause is not None:
        words = str(getattr(cause, "stderr", ""))
        errors = [line.strip() for line in words.splitlines() if line.strip().startswith("ERROR:")]
        said, whole = errors[0].removeprefix("ERROR: ") if errors else said, f"{whole} {cause} {words}".lower()
        cause = cause.__cause__ or cause.__context__
    if any(words in whole for words in _IN_THE_WAY):
        hint = "the step needs `sandbox: {network: true}`, or requirements that are all pinned"
        return failure(UNAVAILABLE, f"pip cannot find out what would be installed: {said[:300]}", hint, name)
    return failure("gate-input", f"the requirements cannot be read: {said[:300]}", "see that pip installs them", name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
