"""Gates asked as a step asks them: as programs, by their path, in a folder of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trimtab import gates

PROGRAM = Path(gates.__file__).with_name("__main__.py")


@dataclass(frozen=True, slots=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def said(self) -> Any:
        """With `--json`."""
        return json.loads(self.out)

    @property
    def found(self) -> list[tuple[str, str]]:
        """Rule and place of each finding."""
        return [(each["rule"], each["place"]) for each in self.said["findings"]]

    @property
    def problems(self) -> list[str]:
        return [each["code"] for each in self.said["problems"]]


@dataclass
class Project:
    """A folder with files, in which gates are asked."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)

    def write(self, files: Mapping[str, str | bytes]) -> Project:
        for name, content in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return self

    def ask(self, gate: str, *words: str, as_json: bool = True) -> Answer:
        argv = [sys.executable, "-I", str(PROGRAM), gate, *(["--json"] if as_json else []), *words]
        env = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", **self.env}
        ran = subprocess.run(argv, cwd=self.folder, env=env, capture_output=True, text=True, timeout=100)
        assert "Traceback" not in ran.stderr, ran.stderr
        return Answer(ran.returncode, ran.stdout, ran.stderr)
