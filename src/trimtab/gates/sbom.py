"""What a project is made of, as CycloneDX: the same parts give the same bytes, so there is no time in it and no number
of its own."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from trimtab.core.errors import failure
from trimtab.core.say import count
from trimtab.gates.running import Outcome, parser, run, tool_missing
from trimtab.gates.tools import ask, interpreter


def main(argv: Sequence[str]) -> int:
    words = parser("sbom", "Write a bill of materials (CycloneDX), of a file of requirements or of what is installed.")
    words.add_argument("--output", type=Path, default=Path("sbom.json"), metavar="FILE")
    words.add_argument("--requirements", metavar="FILE", help="left out: what is installed")
    words.add_argument("--python", default="python3", help="the interpreter whose packages are meant")
    words.add_argument("--project", metavar="FILE", help="the pyproject.toml of the project itself")
    return run(words, write, argv)


def write(asked: argparse.Namespace) -> Outcome:
    """Raises `TrimtabError`: `gate-tool-missing`, `gate-input`, `gate-undecided`."""
    try:
        from cyclonedx.schema import SchemaVersion
        from cyclonedx.validation.json import JsonStrictValidator
    except ImportError:
        raise tool_missing("CycloneDX", "cyclonedx-bom") from None
    if find_spec("cyclonedx_py") is None:
        raise tool_missing("CycloneDX", "cyclonedx-bom")
    source = ["requirements", asked.requirements] if asked.requirements else ["environment", interpreter(asked.python)]
    project = ["--pyproject", asked.project] if asked.project else []
    if asked.requirements and not Path(asked.requirements).is_file():
        raise failure("gate-input", f"there is no file `{asked.requirements}`", "correct `--requirements`")
    made = ask([sys.executable, "-I", "-m", "cyclonedx_py", *source, *project, "--output-reproducible", "--sv", "1.6"])
    if made.returncode != 0:
        said = (made.stderr.strip().splitlines() or [f"exit code {made.returncode}"])[-1]
        raise failure("gate-input", f"no bill of materials could be made: {said}", "see that the file can be read")
    text = json.dumps(json.loads(made.stdout), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    if (flaw := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)) is not None:
        raise failure("gate-undecided", f"the bill of materials is not valid CycloneDX: {flaw}", "update cyclonedx-bom")
    components = len(json.loads(text).get("components", []))
    if components == 0:
        hint = "name what the project needs with `--requirements`, or the interpreter that it is installed for"
        raise failure("gate-undecided", "the bill of materials would be empty", hint)
    asked.output.parent.mkdir(parents=True, exist_ok=True)
    asked.output.write_text(text)
    return Outcome(f"{count(components, 'component')} written to {asked.output}", numbers={"components": components})


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
