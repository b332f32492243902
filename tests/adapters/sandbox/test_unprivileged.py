"""The same hostile steps and the same contract, as a user without privileges: no control groups, no capabilities."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

import trimtab
from trimtab.adapters.sandbox.removal import remove

HERE = Path(__file__).parent
NOBODY = 65534
# One that everybody may run: root's may lie in root's home.
PYTHON = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"


def as_nobody(*words: str, folders: tuple[str, ...]) -> tuple[list[str], dict[str, str]]:
    command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", PYTHON, *words]
    path = os.pathsep.join(folders)
    return command, {
        "PATH": "/usr/bin:/bin",
        "PYTHONPATH": path,
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": "/nonexistent",
    }


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests here run without privileges already")
@pytest.mark.timeout(300)  # some ten seconds on a machine that has nothing else to do
@pytest.mark.parametrize(
    ("module", "which"), [("test_contract.py", "Sandbox"), ("test_hostile.py", "not many and not removed")]
)
def test_as_nobody(module: str, which: str) -> None:
    folders = (str(Path(trimtab.__file__).parents[1]), str(HERE.parents[2]), sysconfig.get_path("purelib"))
    command, env = as_nobody("-c", "import pytest, psutil, trimtab", folders=folders)
    if not os.access(PYTHON, os.X_OK) or subprocess.run(command, env=env, capture_output=True).returncode != 0:
        pytest.skip(f"nobody cannot run these tests with {PYTHON}")
    place = Path(f"/var/tmp/trimtab-nobody-{os.getpid()}")
    place.mkdir(mode=0o700)
    os.chown(place, NOBODY, NOBODY)
    words = ("-m", "pytest", "-q", "-p", "no:cacheprovider", f"--basetemp={place}/base", "-k", which)
    command, env = as_nobody(*words, str(HERE / module), folders=folders)
    try:
        done = subprocess.run(command, env=env, cwd=HERE.parents[2], capture_output=True, text=True, timeout=280)
    finally:
        remove(place, place.with_suffix(".trash"))
        place.with_suffix(".trash").rmdir()
    assert done.returncode == 0, done.stdout[-4000:]
    assert " skipped" not in done.stdout
