"""`trimtab export` and `trimtab push`, from the folder to a layout and to a real registry."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.adapters.oci.real_registry import registry
from trimtab.adapters.artifacts import FileArtifacts
from trimtab.app.shipping import export, push
from trimtab.core.errors import TrimtabError
from trimtab.core.model.identity import Digest, short
from trimtab.core.model.image import INDEX
from trimtab.testing.artifacts_contract import FILES, cut

BUNDLE = b'{"payload":"one"}\n{"payload":"two"}\n'


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def release(home: Path, tmp_path: Path) -> Digest:
    async def make() -> Digest:
        artifacts = FileArtifacts(home / "artifacts")
        manifest = await cut(artifacts, tmp_path / "workspace", FILES)
        await artifacts.attest(manifest.digest, "run-1", BUNDLE)
        return manifest.digest

    return asyncio.run(make())


def test_an_image_is_known_by_the_releases_name(home: Path, release: Digest, tmp_path: Path) -> None:
    made = export(home, short(release), tmp_path / "out", "v1")
    assert (made.release, made.attestations, made.place) == (release, 2, str(tmp_path / "out"))
    blobs = tmp_path / "out" / "blobs" / "sha256"
    image = json.loads((blobs / made.image.removeprefix("sha256:")).read_bytes())
    assert image["config"]["digest"] == release
    assert (blobs / release.removeprefix("sha256:")).read_bytes() == asyncio.run(content(home, release))


async def content(home: Path, release: Digest) -> bytes:
    return (await FileArtifacts(home / "artifacts").manifest(release)).content()


def test_a_push_brings_what_is_attested_along(home: Path, release: Digest, tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    with registry(tmp_path / "registry") as host:
        made = push(home, release, f"{host}/acme/shop", told=lambda *each: told.append(each))
        assert made.place == f"{host}/acme/shop:{short(release)}"
        tag = made.image.replace(":", "-")
        index = httpx.get(f"http://{host}/v2/acme/shop/manifests/{tag}", headers={"Accept": INDEX}).json()
        assert len(index["manifests"]) == 2
    assert {"code", "manifest"} <= {what for what, _, _ in told}
    assert all(done <= total for _, done, total in told)


@pytest.mark.parametrize("wanted", ["", "sha256:", "0000"])
def test_a_release_that_is_not_there(home: Path, release: Digest, tmp_path: Path, wanted: str) -> None:
    with pytest.raises(TrimtabError) as error:
        export(home, wanted, tmp_path / "out")
    assert error.value.problem.code == "release-unknown"


@pytest.mark.parametrize("place", ["shop", "http://x/y", "host:5000/UPPER", "host/a:b:c", "host/a:", "/a", "host/"])
def test_what_names_no_place_is_refused(home: Path, release: Digest, place: str) -> None:
    with pytest.raises(TrimtabError) as error:
        push(home, release, place)
    assert error.value.problem.code == "registry-reference"


def test_a_damaged_release_leaves_nobody(home: Path, release: Digest, tmp_path: Path) -> None:
    for blob in (home / "artifacts" / "blobs").rglob("*"):
        if blob.is_file():
            blob.chmod(0o644)
            blob.write_bytes(b"x" + blob.read_bytes()[1:])
    with pytest.raises(TrimtabError) as error:
        export(home, release, tmp_path / "out")
    assert error.value.problem.code == "artifact-corrupt"
    assert not (tmp_path / "out").exists()


def test_the_command(home: Path, release: Digest, tmp_path: Path) -> None:
    words = ["export", short(release), str(tmp_path / "out.tar"), "--home", str(home), "--json"]
    done = subprocess.run([sys.executable, "-m", "trimtab.cli.main", *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["release"] == release
    assert done.stderr.startswith("image: ")
    assert (tmp_path / "out.tar").exists()
