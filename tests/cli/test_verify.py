"""`trimtab verify` and `trimtab keys`."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.cli.terminal import Terminal
from tests.client.server import Api
from trimtab.adapters.signing import FileKeys


def test_what_is_wrong_ends_with_1(standing: Api, run: Terminal) -> None:
    """The scenario's releases are known by facts alone: nothing of them is kept."""
    release = standing.scene.live["production"] or ""
    said = run("verify", release[7:19])
    assert said.code == 1
    assert "there is no release" in said.out
    assert "1 problem found" in said.out
    seen = run("verify", release, "--json")
    assert seen.code == 1
    assert '"artifact-missing"' in seen.out


def test_releases_that_nobody_knows(standing: Api, run: Terminal) -> None:
    said = run("verify", "0000")
    assert said.code == 1
    assert "0000 is no release of shop" in said.err


def test_keys_are_made_listed_trusted_and_revoked(run: Terminal, tmp_path: Path) -> None:
    home, theirs = tmp_path / "home", FileKeys(tmp_path / "theirs")
    home.mkdir()
    other = asyncio.run(theirs.sign(b"")).keyid
    assert "no key yet" in run.fine("keys", "--home", str(home))
    assert "signs" in run.fine("keys", "new", "--home", str(home))
    run.fine("keys", "trust", str(tmp_path / "theirs" / "release.pub"), "--home", str(home))
    first, second = run.json("keys", "list", "--home", str(home))
    assert (first["role"], second) == ("signs", {"keyid": other, "role": "trusted"})
    assert "revoked" in run.fine("keys", "revoke", other[:8], "--home", str(home))
    assert [key["role"] for key in run.json("keys", "--home", str(home))] == ["signs", "revoked"]
    said = run("keys", "trust", str(tmp_path / "theirs" / "release.pub"), "--home", str(home))
    assert said.code == 1
    assert "was revoked here" in said.err
    secret = (home / "keys" / "release.key").read_text().splitlines()[1]
    assert secret not in run.fine("keys", "--json", "--home", str(home))


def test_a_folder_that_is_not_there(run: Terminal, tmp_path: Path) -> None:
    said = run("keys", "new", "--home", str(tmp_path / "nowhere"))
    assert said.code == 1
    assert "there is no such folder" in said.err
    assert not (tmp_path / "nowhere").exists()
