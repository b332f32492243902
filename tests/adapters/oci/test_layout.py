"""Image layouts: the same release gives the same bytes, and whoever knows tar and OCI gets the files back."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.adapters.oci.releases import ENVELOPES, FILES, RELEASE, files_in, image_in
from trimtab.adapters.oci import Image, write_layout
from trimtab.adapters.oci.part_tar import PartTar
from trimtab.core.errors import TrimtabError
from trimtab.core.model.release import digest_of


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return image_in(tmp_path_factory.mktemp("release"))


def silent(_: int) -> None:
    pass


def test_files_come_back_from_the_layers(image: Image, tmp_path: Path) -> None:
    write_layout(image, tmp_path / "out", "v1", silent)
    index = json.loads((tmp_path / "out" / "index.json").read_text())
    manifest, *attestations = index["manifests"]
    assert attested(tmp_path / "out", attestations) == [
        (envelope, manifest["digest"]) for envelope in sorted(ENVELOPES)
    ]
    assert manifest["annotations"] == {"org.opencontainers.image.ref.name": "v1"}
    said = json.loads(blob(tmp_path / "out", manifest["digest"]))
    assert said["config"]["digest"] == digest_of(RELEASE), "the config is the release's manifest"
    found = {}
    for layer in said["layers"]:
        content = blob(tmp_path / "out", layer["digest"])
        assert len(content) == layer["size"]
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            found[layer["annotations"]["org.opencontainers.image.title"]] = {
                member.name: read(archive, member) for member in archive
            }
    assert found == FILES


def attested(layout: Path, manifests: list[dict[str, str]]) -> list[tuple[bytes, str]]:
    """What is attested, and of what."""
    said = [json.loads(blob(layout, manifest["digest"])) for manifest in manifests]
    return [(blob(layout, each["layers"][0]["digest"]), each["subject"]["digest"]) for each in said]


def blob(layout: Path, digest: str) -> bytes:
    content = (layout / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_bytes()
    assert digest_of(content) == digest
    return content


def read(archive: tarfile.TarFile, member: tarfile.TarInfo) -> tuple[bytes, str]:
    assert (member.mtime, member.uid, member.gid, member.uname) == (0, 0, 0, "")
    if member.issym():
        return member.linkname.encode(), "link"
    file = archive.extractfile(member)
    assert file is not None
    return file.read(), f"{member.mode:o}"


def test_the_same_release_gives_the_same_bytes_anywhere(image: Image, tmp_path: Path) -> None:
    write_layout(image, tmp_path / "one.tar", "v1", silent)
    write_layout(image_in(tmp_path / "elsewhere"), tmp_path / "two.tar", "v1", silent)
    one, two = ((tmp_path / name).read_bytes() for name in ("one.tar", "two.tar"))
    assert hashlib.sha256(one).digest() == hashlib.sha256(two).digest()


@pytest.mark.parametrize("part", FILES)
@given(offset=st.integers(min_value=0, max_value=1_100_000))
@settings(max_examples=60, deadline=None)
def test_an_archive_is_read_from_any_byte_on(part: str, offset: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    files = files_in(tmp_path_factory.mktemp("release"))
    tar = PartTar(files.root, files.parts[part])
    whole = b"".join(tar.read())
    assert len(whole) == tar.size_bytes
    assert tar.size_bytes % tarfile.RECORDSIZE == 0
    assert b"".join(tar.read(min(offset, len(whole)))) == whole[offset:]


def test_what_is_there_is_not_overwritten(image: Image, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(TrimtabError) as error:
        write_layout(image, tmp_path / "out", "", silent)
    assert error.value.problem.code == "exists"


def test_files_that_change_while_they_are_read_leave_nothing(tmp_path: Path) -> None:
    image = image_in(tmp_path / "release")
    (tmp_path / "release" / "app.py").write_text("print!!")
    with pytest.raises(TrimtabError) as error:
        write_layout(image, tmp_path / "out", "", silent)
    assert error.value.problem.code == "artifact-corrupt"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["release"]


def test_a_file_that_is_shorter_than_the_release_says(tmp_path: Path) -> None:
    image = image_in(tmp_path / "release")
    (tmp_path / "release" / "app.py").write_text("")
    with pytest.raises(TrimtabError) as error:
        write_layout(image, tmp_path / "out", "", silent)
    assert error.value.problem.code == "artifact-corrupt"
