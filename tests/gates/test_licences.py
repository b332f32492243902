"""Licences are held to a policy; what does not say its licence does not pass."""

from __future__ import annotations

import sys

import pytest
from license_expression import get_spdx_licensing

from tests.gates.asking import Answer, Project
from trimtab.gates.installed import Package
from trimtab.gates.licences import Policy, judged

FAKE_PYTHON = "#!/bin/sh\necho '[\"{}\"]'\n"


def installed(project: Project, **packages: str) -> Project:
    """An interpreter for which these packages are installed, with these lines in their metadata."""
    site = project.folder / "site"
    files = {
        f"site/{name}-1.0.dist-info/METADATA": f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\n{lines}\n"
        for name, lines in packages.items()
    }
    project.write({**files, "python": FAKE_PYTHON.format(site)})
    (project.folder / "python").chmod(0o755)
    return project


def asked(project: Project, *words: str) -> Answer:
    return project.ask("licences", "--python", "./python", *words)


def messages(answer: Answer) -> list[str]:
    return [each["message"] for each in answer.said["findings"]]


MIT = "License-Expression: MIT"
CLASSIFIED = "Classifier: License :: OSI Approved :: Apache Software License"
WRITTEN = "License: BSD-3-Clause\nClassifier: License :: OSI Approved :: BSD License"


def test_packages_within_the_policy(project: Project) -> None:
    installed(project, new=MIT, older=CLASSIFIED, oldest=WRITTEN)
    answer = asked(project, "--allowed", "MIT", "Apache-2.0", "BSD-3-Clause")
    assert (answer.code, answer.said["packages"]) == (0, 3)


def test_a_package_against_the_policy_is_named(project: Project) -> None:
    installed(project, good=MIT, bad="License-Expression: AGPL-3.0-only")
    answer = asked(project, "--allowed", "MIT")
    assert (answer.code, messages(answer)) == (1, ["bad 1.0 is under AGPL-3.0-only, which the policy does not allow"])
    assert asked(project, "--denied", "AGPL-3.0-only").code == 1
    assert asked(project, "--denied", "GPL-3.0-only").code == 0


def test_what_does_not_say_its_licence_is_an_error_with_its_name(project: Project) -> None:
    installed(project, silent="Summary: nothing", vague="Classifier: License :: OSI Approved :: BSD License")
    answer = asked(project, "--denied", "GPL-3.0-only")
    assert answer.code == 1
    assert [each["rule"] for each in answer.said["findings"]] == ["unknown-licence"] * 2
    assert messages(answer)[0].startswith("silent 1.0 does not say its licence")
    known = ("--known", "silent=MIT", "Vague=BSD-3-Clause")
    assert asked(project, "--denied", "GPL-3.0-only", *known).code == 0
    assert asked(project, "--denied", "GPL-3.0-only", "--ignore", "silent", "vague").code == 2, "nothing is left"


@pytest.mark.parametrize(
    "words", [(), ("--allowed", "MITT"), ("--denied", "MIT OR Apache-2.0"), ("--denied", "MIT", "--known", "x")]
)
def test_a_policy_that_is_none(words: tuple[str, ...], project: Project) -> None:
    answer = asked(installed(project, good=MIT), *words)
    assert (answer.code, answer.problems) == (2, ["gate-input"])


def test_what_is_really_installed_can_be_read(project: Project) -> None:
    answer = project.ask("licences", "--python", sys.executable, "--denied", "AGPL-3.0-only")
    assert answer.code in (0, 1)
    assert not any("AGPL" in message and "under" in message for message in messages(answer))


@pytest.mark.parametrize(
    ("licence", "allowed", "denied", "passes"),
    [
        ("MIT OR GPL-3.0-only", ["MIT"], [], True),
        ("MIT AND GPL-3.0-only", ["MIT"], [], False),
        ("MIT OR GPL-3.0-only", [], ["GPL-3.0-only"], True),
        ("MIT AND GPL-3.0-only", [], ["GPL-3.0-only"], False),
        ("(MIT OR ISC) AND Zlib", ["ISC", "Zlib"], [], True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", ["GPL-2.0-only WITH Classpath-exception-2.0"], [], True),
        ("GPL-2.0-only WITH Classpath-exception-2.0", ["GPL-2.0-only"], [], True),
        ("GPL-2.0-only", ["GPL-2.0-only WITH Classpath-exception-2.0"], [], False),
        ("mit", ["MIT"], [], True),
        ("", ["MIT"], [], False),
        ("MIT OR", ["MIT"], [], False),
        ("Proprietary", [], ["MIT"], False),
    ],
)
def test_expressions(licence: str, allowed: list[str], denied: list[str], passes: bool) -> None:
    policy = Policy(frozenset(allowed), frozenset(denied))
    found = list(judged(get_spdx_licensing(), policy, Package("p", "1", licence), {}))
    assert (found == []) is passes
