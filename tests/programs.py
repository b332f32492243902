"""Programs that some tests need: root installs them where apt works; else tests are skipped, and in CI they fail."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

_INSTALL_S = 300


def install(package: str) -> None:
    """Try to install a package of Debian's; whoever needs it looks again afterwards."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        return
    command = (
        f"apt-get install -y --no-install-recommends {package} || {{ apt-get update && apt-get install -y {package}; }}"
    )
    try:
        subprocess.run(["sh", "-c", command], capture_output=True, timeout=_INSTALL_S)
    except subprocess.TimeoutExpired:
        return


def missing(package: str) -> None:
    """End the test that needs it: skipped here, failed in CI."""
    reason = f"{package} is not here: apt-get install {package}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
