"""Pushing to a real registry: all of it arrives, nothing is sent twice, and what was cut off goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.adapters.oci.real_registry import registry
from tests.adapters.oci.releases import image_in
from trimtab.adapters.oci import Image, Registry
from trimtab.adapters.oci.uploads import Uploads
from trimtab.core.errors import TrimtabError
from trimtab.core.model.image import INDEX, Descriptor, Reference
from trimtab.core.model.release import digest_of

CHUNK_BYTES = 100_000
MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with registry(tmp_path_factory.mktemp("registry")) as host:
        yield host


@pytest.fixture
def image(tmp_path: Path) -> Image:
    return image_in(tmp_path / "release")


class Line(httpx.BaseTransport):
    """The way to the registry, which is cut after some parts of uploads; the last one arrives as a torso."""

    def __init__(self, parts: int | None = None, *, torso: bool = False) -> None:
        self.sent: list[int] = []
        self._left, self._torso = parts, torso
        self._real = httpx.HTTPTransport()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "PATCH":
            if self._left == 0:
                raise KeyboardInterrupt  # whoever pushes is gone
            self._left = None if self._left is None else self._left - 1
            body = request.read()
            self.sent.append(len(body))
            if self._left == 0 and self._torso:
                request = httpx.Request("PATCH", request.url, content=body[: len(body) // 2])
        return self._real.handle_request(request)


def push(host: str, repository: str, image: Image, folder: Path, line: Line) -> Descriptor:
    place = Reference(host, repository)
    pushing = Registry(
        place, Uploads(folder), plain_http=True, transport=line, sleep=lambda _: None, chunk_bytes=CHUNK_BYTES
    )
    return pushing.push(image, "v1", lambda blob, sent_bytes: None)


def blob_bytes(image: Image) -> int:
    """Of all that is uploaded, each once."""
    contents = [content.descriptor for each in (image, *image.attestations) for content in each.contents]
    return sum({content.digest: content.size_bytes for content in contents}.values())


def fetched(host: str, repository: str, image: Image) -> None:
    """What the registry has is the image, to the last byte."""
    base = f"http://{host}/v2/{repository}"
    for name in ("v1", image.manifest.descriptor.digest):
        manifest = httpx.get(f"{base}/manifests/{name}", headers={"Accept": MANIFEST}).content
        assert digest_of(manifest) == image.manifest.descriptor.digest
    said = json.loads(manifest)
    for blob in (said["config"], *said["layers"]):
        assert digest_of(httpx.get(f"{base}/blobs/{blob['digest']}").content) == blob["digest"]
    tag = image.manifest.descriptor.digest.replace(":", "-")
    index = httpx.get(f"{base}/manifests/{tag}", headers={"Accept": INDEX}).json()
    listed = [each["digest"] for each in index["manifests"]]
    assert listed == [attestation.manifest.descriptor.digest for attestation in image.attestations]


def test_all_of_it_arrives_and_nothing_is_sent_twice(host: str, image: Image, tmp_path: Path) -> None:
    first = Line()
    pushed = push(host, "acme/whole", image, tmp_path / "uploads", first)
    assert pushed == image.manifest.descriptor
    fetched(host, "acme/whole", image)
    assert sum(first.sent) == blob_bytes(image)
    again = Line()
    push(host, "acme/whole", image, tmp_path / "uploads", again)
    assert again.sent == []
    assert list((tmp_path / "uploads").iterdir()) == []


def test_what_was_cut_off_goes_on_where_it_was(host: str, image: Image, tmp_path: Path) -> None:
    first, second = Line(6), Line()
    with pytest.raises(KeyboardInterrupt):
        push(host, "acme/cut", image, tmp_path / "uploads", first)
    push(host, "acme/cut", image, tmp_path / "uploads", second)
    fetched(host, "acme/cut", image)
    assert sum(first.sent) + sum(second.sent) == blob_bytes(image)


def test_half_a_part_begins_its_blob_anew(host: str, image: Image, tmp_path: Path) -> None:
    line = Line(6, torso=True)
    with pytest.raises(KeyboardInterrupt):
        push(host, "acme/torso", image, tmp_path / "uploads", line)
    push(host, "acme/torso", image, tmp_path / "uploads", Line())
    fetched(host, "acme/torso", image)


def test_an_upload_that_the_registry_forgot_begins_anew(host: str, image: Image, tmp_path: Path) -> None:
    uploads = Uploads(tmp_path / "uploads")
    for content in image.contents:
        uploads.note(f"{host}/acme/old", content.descriptor.digest, f"http://{host}/v2/acme/old/blobs/uploads/gone", 7)
    push(host, "acme/old", image, tmp_path / "uploads", Line())
    fetched(host, "acme/old", image)


def test_a_name_that_the_registry_does_not_take(host: str, image: Image, tmp_path: Path) -> None:
    with pytest.raises(TrimtabError) as error:
        push(host, "acme/" + "x" * 300, image, tmp_path / "uploads", Line())
    assert error.value.problem.code in ("registry-missing", "registry-answer")
