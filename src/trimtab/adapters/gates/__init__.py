"""Gates: how one is asked, as a command line that a supervisor can run."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import asdict

from trimtab.core.model.strategy import GateSpec

_VARIABLE = re.compile(r"\$\{(\w+)\}")


def argv(gate: GateSpec) -> tuple[str, ...]:
    """A command runs in a shell; a URL is asked by a program of our own, until it answers."""
    if gate.run is not None:
        return ("/bin/sh", "-ec", gate.run)
    question = {**asdict(gate), "headers": dict(gate.headers)}
    return (sys.executable, "-m", "trimtab.adapters.gates.ask", json.dumps(question))


def variables(gate: GateSpec) -> Mapping[str, str]:
    """The variables of our own environment that the gate's headers name."""
    names = {name for value in gate.headers.values() for name in _VARIABLE.findall(value)}
    return {name: os.environ[name] for name in names if name in os.environ}


def fill_in(value: str, environment: Mapping[str, str]) -> str:
    """Replace each ``${NAME}``. Raises KeyError with the name of one that is not set."""
    return _VARIABLE.sub(lambda found: environment[found.group(1)], value)
