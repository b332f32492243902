"""What is installed for an interpreter, and under which licence: by what the packages say of themselves."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions

from trimtab.core.errors import failure
from trimtab.gates.tools import ask

_PATH = "import json, sys; print(json.dumps([entry for entry in sys.path if entry]))"
_SPDX_LIKE = re.compile(r"[A-Za-z0-9.+ ()-]{1,80}")
_SAYS_NOTHING = ("OSI Approved", "DFSG approved", "License")


@dataclass(frozen=True, slots=True)
class Package:
    """`licence`: an SPDX expression as far as the package gives one, or whatever else it says; empty: nothing."""

    name: str
    version: str
    licence: str


def installed(python: str) -> tuple[Package, ...]:
    """All packages, sorted by name. Raises `TrimtabError` (`gate-input`)."""
    asked = ask([python, "-P", "-c", _PATH])
    if asked.returncode != 0:
        asked = ask([python, "-c", _PATH])
    if asked.returncode != 0:
        hint = "name another with `--python`"
        raise failure("gate-input", f"the interpreter `{python}` does not say where its packages are", hint)
    found = {
        package.name.lower(): package
        for package in map(_package, distributions(path=json.loads(asked.stdout)))
        if package
    }
    return tuple(found[name] for name in sorted(found))


def _package(distribution: Distribution) -> Package | None:
    """None: the remains of one that was removed."""
    name = distribution.metadata["Name"]
    return Package(name, distribution.version, _licence(distribution)) if name else None


def _licence(distribution: Distribution) -> str:
    """PEP 639's expression; else what its classifiers say; else its `License` if that is short."""
    about = distribution.metadata
    if "License-Expression" in about:
        return about["License-Expression"]
    names = tuple(_classified(about.get_all("Classifier") or ()))
    written = about["License"].strip() if "License" in about else ""
    if names and all(name in _CLASSIFIERS for name in names):
        # Several classifiers stand side by side, and nobody says whether all hold or one may be chosen: all do.
        return " AND ".join(_CLASSIFIERS[name] for name in names)
    return written if _SPDX_LIKE.fullmatch(written) else " AND ".join(names)


def _classified(classifiers: Sequence[str]) -> Iterator[str]:
    for classifier in classifiers:
        kind, _, name = classifier.rpartition(" :: ")
        if kind.startswith("License") and name not in _SAYS_NOTHING:
            yield name


_CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "MIT License": "MIT",
    "MIT No Attribution License (MIT-0)": "MIT-0",
    "ISC License (ISCL)": "ISC",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
    "The Unlicense (Unlicense)": "Unlicense",
    "zlib/libpng License": "Zlib",
    "Academic Free License (AFL)": "AFL-3.0",
    "Boost Software License 1.0 (BSL-1.0)": "BSL-1.0",
    "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication": "CC0-1.0",
    "GNU General Public License v2 (GPLv2)": "GPL-2.0-only",
    "GNU General Public License v2 or later (GPLv2+)": "GPL-2.0-or-later",
    "GNU General Public License v3 (GPLv3)": "GPL-3.0-only",
    "GNU General Public License v3 or later (GPLv3+)": "GPL-3.0-or-later",
    "GNU Lesser General Public License v2 (LGPLv2)": "LGPL-2.0-only",
    "GNU Lesser General Public License v2 or later (LGPLv2+)": "LGPL-2.0-or-later",
    "GNU Lesser General Public License v3 (LGPLv3)": "LGPL-3.0-only",
    "GNU Lesser General Public License v3 or later (LGPLv3+)": "LGPL-3.0-or-later",
    "GNU Affero General Public License v3": "AGPL-3.0-only",
    "GNU Affero General Public License v3 or later (AGPLv3+)": "AGPL-3.0-or-later",
}
"""Only those that mean one licence: ``BSD License`` is one of several, so the package's own words decide."""
