"""What this process runs: its release, if Trimtab started it; else the files around, with extraction as its model."""

import json
import os
from pathlib import Path

from bot import sdk

PROMPTS = {"system": [], "answer": ["passages", "question"]}


def read():
    """(prompts by name, model, config)."""
    if "TRIMTAB_RELEASE" not in os.environ:
        files = {
            name: {"file": str(Path("prompts", f"{name}.txt").absolute()), "variables": variables}
            for name, variables in PROMPTS.items()
        }
        os.environ["TRIMTAB_PROMPTS"] = json.dumps(files)
        os.environ["TRIMTAB_MODEL"] = json.dumps({"provider": "none", "name": "extraction"})
        os.environ["TRIMTAB_CONFIG"] = str(Path("config.json").absolute())
    return sdk.prompts(), sdk.model(), sdk.config()
