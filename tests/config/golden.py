"""Bad files and what is said about them, side by side: `bad/NAME.yaml` and `bad/NAME.txt`.

To add a case, write the YAML file and run `python -m tests.config.golden`; then read what it wrote.
"""

from __future__ import annotations

from pathlib import Path

from trimtab.config import load
from trimtab.core.errors import TrimtabError

BAD = Path(__file__).parent / "bad"
CASES = sorted(BAD.glob("*.yaml"))


def picture(case: Path) -> str:
    """Every problem of the file as a user sees it, one after the other."""
    try:
        load(case.read_bytes())
    except TrimtabError as error:
        return "".join(
            f"{problem.where}  {problem.code}\n  {problem.message}\n"
            + (f"  -> {problem.hint}\n" if problem.hint else "")
            for problem in error.problems
        )
    return "loads without a problem\n"


def main() -> None:
    for case in CASES:
        case.with_suffix(".txt").write_text(picture(case))


if __name__ == "__main__":
    main()
