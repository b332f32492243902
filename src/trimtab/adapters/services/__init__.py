"""Services beside a step: the command line that starts them, waits for them, runs the step and stops them."""

from __future__ import annotations

import json
import sys
from functools import lru_cache
from pathlib import Path

from trimtab.core.model.pipeline import StepSpec

_PROGRAM = Path(__file__).with_name("beside.py")


def command(step: StepSpec) -> tuple[str, ...]:
    """The command line of a step: a shell, or where it has services a program of ours that runs that shell.

    The program comes along as text, since a sandbox need not show where we are installed."""
    if not step.services:
        return ("/bin/sh", "-ec", step.run)
    plan = {
        "run": step.run,
        "isolated": step.sandbox.on and not step.sandbox.network,
        "services": [
            {
                "name": service.name,
                "run": service.run,
                "port": service.port,
                "ready": service.ready,
                "ready_timeout_s": service.ready_timeout_s,
                "env": dict(service.env),
            }
            for service in step.services
        ],
    }
    return (sys.executable, "-I", "-c", _program(), json.dumps(plan))


@lru_cache(maxsize=1)
def _program() -> str:
    return _PROGRAM.read_text()
