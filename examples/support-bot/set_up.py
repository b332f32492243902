"""python3 set_up.py FOLDER [DOCUMENTS]: this example as a repository of its own, with documents to answer from.

DOCUMENTS: a folder of Markdown files; Trimtab's own documentation unless another is named (then checks/golden.json
needs questions about yours). bot/sdk.py is a copy of trimtab/sdk.py: so Trimtab need not be installed beside it.
"""

import subprocess
import sys
from pathlib import Path
from shutil import copy, copytree, ignore_patterns

HERE = Path(__file__).resolve().parent
TRIMTAB = HERE.parents[1]


def set_up(folder, documents=TRIMTAB / "docs"):
    """Write the files and make a Git repository of them; nothing is committed."""
    copytree(
        HERE, folder, ignore=ignore_patterns("README.md", "history", "set_up.py", "__pycache__", "vendor", "index")
    )
    copy(TRIMTAB / "src" / "trimtab" / "sdk.py", folder / "bot" / "sdk.py")
    for file in sorted(Path(documents).rglob("*.md")):
        if "reference" in file.relative_to(documents).parts:
            continue  # tables of settings: no answers to questions in words
        target = folder / "documents" / file.relative_to(documents)
        target.parent.mkdir(parents=True, exist_ok=True)
        copy(file, target)
    subprocess.run(["git", "init", "--quiet", "--initial-branch=main", str(folder)], check=True)


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    set_up(Path(sys.argv[1]), *[Path(word) for word in sys.argv[2:]])
    print(f"Now: cd {sys.argv[1]} && git add --all && git commit -m 'Answer from the documents'")
