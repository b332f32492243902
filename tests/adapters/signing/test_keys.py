"""Keys in files: the contract, what is in the folder, and files that were changed."""

from __future__ import annotations

import asyncio
import hashlib
import stat
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from trimtab.adapters.signing import FileKeys
from trimtab.core.errors import TrimtabError
from trimtab.testing.memory_keys import MemoryKeys
from trimtab.testing.signing_contract import SIGNING_CHECKS, SigningBench, SigningCheck


class FileBench:
    def __init__(self, folder: Path) -> None:
        self.signer = self.verifier = FileKeys(folder)

    def new(self) -> None:
        self.signer.new()

    def revoke(self, keyid: str) -> None:
        self.signer.revoke(keyid)


class MemoryBench:
    def __init__(self) -> None:
        self.signer = self.verifier = MemoryKeys()

    def new(self) -> None:
        self.signer.new()

    def revoke(self, keyid: str) -> None:
        self.signer.revoke(keyid)


@pytest.mark.parametrize("kind", ["file", "memory"])
@pytest.mark.parametrize("check", SIGNING_CHECKS, ids=lambda check: check.__name__)
async def test_contract(check: SigningCheck, kind: str, tmp_path: Path) -> None:
    bench: SigningBench = FileBench(tmp_path / "keys") if kind == "file" else MemoryBench()
    await check(bench)


async def test_what_is_in_the_folder(tmp_path: Path) -> None:
    home = tmp_path / "keys"
    signature = await FileKeys(home).sign(b"m")
    names = {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}
    assert names == {"release.key", "release.pub", f"trusted/{signature.keyid}.pub", ".lock"}
    assert stat.S_IMODE((home / "release.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


async def test_others_can_verify_it(tmp_path: Path) -> None:
    """By what the documentation says of names and signatures, without a line of ours."""
    home = tmp_path / "keys"
    signature = await FileKeys(home).sign(b"a message")
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-in", home / "release.pub", "-outform", "DER"], capture_output=True, check=True
    ).stdout
    assert hashlib.sha256(der).hexdigest() == signature.keyid
    load_pem_public_key((home / "release.pub").read_bytes()).verify(signature.signature, b"a message")  # type: ignore[union-attr,call-arg]


async def test_controllers_that_begin_together_have_one_key(tmp_path: Path) -> None:
    many = [FileKeys(tmp_path / "keys") for _ in range(16)]
    signatures = await asyncio.gather(*(keys.sign(b"m") for keys in many))
    assert len({signature.keyid for signature in signatures}) == 1


async def test_another_installation_is_trusted(tmp_path: Path) -> None:
    ours, theirs = FileKeys(tmp_path / "ours"), FileKeys(tmp_path / "theirs")
    signature = await theirs.sign(b"m")
    assert await ours.verify(b"m", signature) == "unknown"
    ours.trust((tmp_path / "theirs" / "release.pub").read_bytes(), "release.pub")
    assert await ours.verify(b"m", signature) == "good"
    assert [key.role for key in ours.list()] == ["trusted"]
    ours.revoke(signature.keyid[:8])
    assert await ours.verify(b"m", signature) == "revoked"
    with pytest.raises(TrimtabError, match="was revoked here"):
        ours.trust((tmp_path / "theirs" / "release.pub").read_bytes(), "release.pub")


@pytest.mark.parametrize("content", [b"", b"hello", b"-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n"])
def test_what_is_no_key_is_not_trusted(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(TrimtabError, match="this is no public key"):
        FileKeys(tmp_path).trust(content, "x.pub")


async def test_which_key_is_meant(tmp_path: Path) -> None:
    keys = FileKeys(tmp_path)
    keyid = (await keys.sign(b"m")).keyid
    for meant in ("", keyid[:3], "zzzz", keyid + "0"):
        with pytest.raises(TrimtabError, match="is no key"):
            keys.revoke(meant)


async def test_every_byte_of_a_trusted_key(tmp_path: Path) -> None:
    keys = FileKeys(tmp_path)
    signature = await keys.sign(b"m")
    path = tmp_path / "trusted" / f"{signature.keyid}.pub"
    content = path.read_bytes()
    for at in range(len(content)):
        path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        assert await keys.verify(b"m", signature) == "unknown"
        assert keys.damage()
        with pytest.raises(TrimtabError, match="is not among the trusted ones"):
            await keys.sign(b"m")
    path.write_bytes(content)
    assert await keys.verify(b"m", signature) == "good"
    assert keys.damage() == ()


@pytest.mark.parametrize("name", ["release.key", "release.pub"])
async def test_every_byte_of_the_own_key(name: str, tmp_path: Path) -> None:
    """Whatever the file holds then: nothing is signed by a key that nobody trusts, and the change is told."""
    keys = FileKeys(tmp_path)
    before = await keys.sign(b"m")
    content = (tmp_path / name).read_bytes()
    for at in range(len(content)):
        (tmp_path / name).write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        signature = None
        with suppress(TrimtabError):
            signature = await keys.sign(b"m")
        # Either it is told, or only what is no part of the key itself was changed.
        assert keys.damage() or (name == "release.key" and signature == before)
        assert signature in (before, None)
    keys.new()
    assert await keys.verify(b"m", await keys.sign(b"m")) == "good"
    assert await keys.verify(b"m", before) == "good"


async def test_no_error_says_the_key(tmp_path: Path) -> None:
    keys = FileKeys(tmp_path)
    await keys.sign(b"m")
    secret = (tmp_path / "release.key").read_text().splitlines()[1]
    (tmp_path / "release.key").write_text(f"-----BEGIN PRIVATE KEY-----\n{secret}=\n-----END-----\n")
    with pytest.raises(TrimtabError) as raised:
        await keys.sign(b"m")
    assert secret not in str(raised.value)
    assert secret not in repr(keys)
