"""The licences of what is installed, held to a policy. A licence that is not known is an error: it may be any."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trimtab.core.errors import failure
from trimtab.core.model.report import Finding
from trimtab.core.say import count
from trimtab.gates.installed import Package, installed
from trimtab.gates.running import Outcome, parser, run, tool_missing
from trimtab.gates.tools import interpreter


def main(argv: Sequence[str]) -> int:
    words = parser("licences", "Hold the licences of all installed packages to a policy, by SPDX identifiers.")
    words.add_argument("--allowed", nargs="*", default=[], metavar="ID", help="the only ones; left out: all not denied")
    words.add_argument("--denied", nargs="*", default=[], metavar="ID", help="never these")
    words.add_argument("--known", nargs="*", default=[], metavar="PACKAGE=ID", help="where a package says it wrongly")
    words.add_argument("--ignore", nargs="*", default=[], metavar="PACKAGE", help="packages of one's own")
    words.add_argument("--python", default="python3", help="the interpreter whose packages are meant")
    return run(words, hold, argv)


@dataclass(frozen=True, slots=True)
class Policy:
    """`allowed` empty: whatever is not denied."""

    allowed: frozenset[str]
    denied: frozenset[str]

    def takes(self, licence: str, exception: str = "") -> bool:
        """An exception gives more than the licence, never less: whoever takes the licence takes it with one."""
        names = {licence, f"{licence} WITH {exception}"} if exception else {licence}
        return not names & self.denied and (not self.allowed or bool(names & self.allowed))


def hold(asked: argparse.Namespace) -> Outcome:
    """Raises `TrimtabError`: `gate-tool-missing`, `gate-input`, `gate-undecided`."""
    try:
        from license_expression import get_spdx_licensing
    except ImportError:
        raise tool_missing("license-expression", "license-expression") from None
    spdx = get_spdx_licensing()
    if not asked.allowed and not asked.denied:
        raise failure("gate-input", "there is no policy", "say which licences are `--allowed`, or `--denied`")
    policy = Policy(_identifiers(spdx, asked.allowed), _identifiers(spdx, asked.denied))
    known, ignored = _known(asked.known), {_plain(name) for name in asked.ignore}
    packages = [each for each in installed(interpreter(asked.python)) if _plain(each.name) not in ignored]
    if not packages:
        hint = "name the project's interpreter with `--python`"
        raise failure("gate-undecided", "there is no package to look at", hint, asked.python)
    findings = tuple(finding for package in packages for finding in judged(spdx, policy, package, known))
    about = f"{count(len(packages), 'package')} looked at"
    said = (
        f"{count(len(findings), 'package')} against the policy: {about}"
        if findings
        else f"all within the policy: {about}"
    )
    return Outcome(said, findings, {"packages": len(packages)})


def judged(spdx: Any, policy: Policy, package: Package, known: Mapping[str, str]) -> Iterator[Finding]:
    """What speaks against a package: nothing, or one finding."""
    licence, name = known.get(_plain(package.name), package.licence), f"{package.name} {package.version}"
    if not licence:
        message = f"{name} does not say its licence; look it up and say `--known {package.name}=ID`"
        yield Finding("unknown-licence", "error", "", message)
        return
    parsed = _parsed(spdx, licence)
    if parsed is None:
        message = f"{name} says `{licence[:80]}`, which is no SPDX expression; say `--known {package.name}=ID`"
        yield Finding("unknown-licence", "error", "", message)
    elif not _fits(parsed, policy):
        yield Finding("licence", "error", "", f"{name} is under {parsed}, which the policy does not allow")


def _fits(expression: Any, policy: Policy) -> bool:
    """Of alternatives one must be taken, of what holds together all."""
    kind = type(expression).__name__
    if kind == "OR":
        return any(_fits(each, policy) for each in expression.args)
    if kind == "AND":
        return all(_fits(each, policy) for each in expression.args)
    if kind == "LicenseWithExceptionSymbol":
        return policy.takes(expression.license_symbol.key, expression.exception_symbol.key)
    return policy.takes(expression.key)


def _parsed(spdx: Any, text: str) -> Any | None:
    """The expression; None: it is none, or names a licence that SPDX does not know."""
    try:
        expression = spdx.parse(text, validate=True)
    except Exception:  # the library raises several kinds for malformed text, without a common base
        return None
    return expression


def _identifiers(spdx: Any, names: Sequence[str]) -> frozenset[str]:
    """As SPDX writes them."""
    found = set()
    for name in names:
        parsed = _parsed(spdx, name)
        if parsed is None or type(parsed).__name__ in ("AND", "OR"):
            raise failure("gate-input", f"`{name}` is no SPDX identifier", "see spdx.org/licenses: `BSD-3-Clause`")
        found.add(str(parsed))
    return frozenset(found)


def _known(pairs: Sequence[str]) -> Mapping[str, str]:
    known = {}
    for pair in pairs:
        name, equals, licence = pair.partition("=")
        if not equals or not name or not licence:
            raise failure("gate-input", f"`{pair}` does not say a package's licence", "write `PACKAGE=ID`")
        known[_plain(name)] = licence
    return known


def _plain(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
