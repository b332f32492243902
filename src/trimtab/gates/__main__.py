"""`python -m trimtab.gates NAME ...`, and this file itself as a program: `python -I .../gates/__main__.py NAME ...`.

A step runs it by its path and in isolated mode: so nothing in the step's folder, which belongs to whoever may push, is
taken for a module of ours or of our tools, and the gate is of the same version as the Trimtab that runs the step.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

GATES = {
    "unit-tests": "Run a project's tests with pytest.",
    "lint": "Look for mistakes with ruff.",
    "dependency-audit": "Look for known vulnerabilities in what a project needs.",
    "secret-scan": "Look for secrets in files.",
    "sbom": "Write down what a project is made of.",
    "licences": "Hold the licences of what is installed to a policy.",
    "smoke": "Start a service and ask it a few things.",
    "model": "Ask a release's models whether they are what is named.",
    "load-test": "Start a service and ask it many things.",
}


def main(argv: list[str]) -> int:
    name = argv[0] if argv else "--help"
    if name in GATES:
        gate = importlib.import_module(f"trimtab.gates.{name.replace('-', '_')}")
        return int(gate.main(argv[1:]))
    listed = "\n".join(f"  {gate:18} {summary}" for gate, summary in GATES.items())
    print(f"usage: python -m trimtab.gates GATE [--help]\n\n{listed}", file=sys.stderr)
    return 0 if name in ("-h", "--help") else 2


if __name__ == "__main__":
    source = str(Path(__file__).resolve().parents[2])
    if source not in sys.path:
        sys.path.insert(0, source)
    sys.exit(main(sys.argv[1:]))
