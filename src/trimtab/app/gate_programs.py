"""Where Trimtab's own gates are on this machine, for the steps that run them."""

from __future__ import annotations

import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import trimtab
from trimtab import __version__, gates
from trimtab.engine.steps import GatePrograms

_TOOLS = ("cyclonedx-bom", "cyclonedx-python-lib", "detect-secrets", "license-expression", "pip-audit", "ruff")


def gate_programs() -> GatePrograms:
    """The interpreter that runs us, and our own code: an editable installation's lies elsewhere than its packages."""
    source = Path(trimtab.__file__).resolve().parents[1]
    program = Path(gates.__file__).resolve().with_name("__main__.py")
    inside = any(source.is_relative_to(prefix) for prefix in (sys.prefix, sys.base_prefix))
    return GatePrograms(
        env={"TRIMTAB_PYTHON": sys.executable, "TRIMTAB_GATES": str(program)},
        read=() if inside else (str(source),),
        version=" ".join((f"trimtab={__version__}", *map(_version, _TOOLS))),
    )


def _version(package: str) -> str:
    try:
        return f"{package}={version(package)}"
    except PackageNotFoundError:
        return f"{package}=none"
