"""Who builds a commit, where, on which day and in which language makes no other release."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from tests.e2e.conftest import tidied
from tests.e2e.world import World

# What they make has times in it: those of the files, and those of the sources of compiled Python.
PIPELINE = """
pipeline:
  archives:
    run: |
      mkdir out
      python3 -c "import shutil; shutil.make_archive('out/zip', 'zip', 'package')"
      tar --create --file out/tar package
      date --date=@$SOURCE_DATE_EPOCH > out/date
    outputs: out/
  compiled:
    run: python3 -m compileall -q package && python3 -c 'print({*"abcdef"})' > package/order
    outputs: package/
release: {parts: {code: [.], made: [out/, package/]}}
"""
ELSEWHERE = {"LANG": "de_DE.UTF-8", "LC_ALL": "POSIX", "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "77"}


@pytest.fixture
def worlds() -> Iterator[tuple[World, World]]:
    with tidied(World) as one, tidied(World) as other:
        yield one, other


def test_a_commit_is_one_release(worlds: tuple[World, World], monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = worlds
    one.plant(strategy="instant", pipeline=PIPELINE)
    package = one.repository / "package" / "inner"
    package.mkdir(parents=True)
    (package / "module.py").write_text("NAMES = {'a', 'b', 'c'}\n")
    one.up()
    commit = one.push(version=1)
    here = one.ended(commit).release

    shutil.copytree(one.repository, other.repository)
    other.git("remote", "remove", "trimtab")
    for name, value in ELSEWHERE.items():
        monkeypatch.setenv(name, value)
    before = os.umask(0o077)
    try:
        other.up()
        other.git("push", "--quiet", "trimtab", "main")
        assert other.finished(commit).release == here, other.run(commit)
    finally:
        os.umask(before)
