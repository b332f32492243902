"""Pushing to an OCI registry. What it has is not sent again, and what was begun is gone on with.

https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#push
No client in Python goes on with an upload that was cut off, and a model of gigabytes needs that.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Any, Protocol
from urllib.parse import urljoin

import httpx

from trimtab.adapters.oci.access import RegistryAuth, known_login
from trimtab.adapters.oci.image import Content, Image
from trimtab.adapters.oci.uploads import Uploads
from trimtab.core.errors import TrimtabError, failure
from trimtab.core.model.image import ENVELOPE, INDEX, Descriptor, Reference
from trimtab.core.model.release import canonical_json, digest_of

CHUNK_BYTES = 16 * 1024 * 1024
_TIMEOUT = httpx.Timeout(60.0, connect=10.0)
_TRIES = 6
_LONGEST_WAIT_S = 30.0
_LARGEST_ANSWER_BYTES = 8 * 1024 * 1024
_AGAIN = (408, 429, 500, 502, 503, 504)


class Progress(Protocol):
    def __call__(self, blob: Descriptor, sent_bytes: int) -> None:
        """So much of a blob is there: all of it at once if the registry had it."""


class _Interrupted(Exception):
    """An upload cannot go on from where it was: it begins anew."""


class Registry:
    """One repository of a registry. Every method blocks. Raises `TrimtabError` (`registry-*`)."""

    def __init__(
        self,
        reference: Reference,
        uploads: Uploads,
        *,
        plain_http: bool,
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
        chunk_bytes: int = CHUNK_BYTES,
    ) -> None:
        """`plain_http`: without TLS. `transport` and `sleep` are for tests."""
        self._reference, self._uploads, self._sleep, self._chunk_bytes = reference, uploads, sleep, chunk_bytes
        self._place = f"{reference.host}/{reference.repository}"
        self._client = httpx.Client(
            base_url=f"{'http' if plain_http else 'https'}://{reference.host}/v2/{reference.repository}/",
            auth=RegistryAuth(reference.host, known_login(reference.host), secure=not plain_http),
            timeout=_TIMEOUT,
            transport=transport,
            headers={"User-Agent": "trimtab", "Accept-Encoding": "identity"},
        )

    def push(self, image: Image, tag: str, progress: Progress) -> Descriptor:
        """Everything the image is made of, then its manifest, under its digest and the tag; what was read back."""
        with self._client:
            self._push_image(image, (tag,), progress)
            told = [self._push_image(attestation, (), progress) for attestation in image.attestations]
            if told and not all(told):
                self._list_referrers(image)
            return image.manifest.descriptor

    def _push_image(self, image: Image, tags: Sequence[str], progress: Progress) -> bool:
        """Whether the registry lists by itself what refers to something else."""
        for content in image.contents:
            self._push_blob(content, progress)
        manifest = image.manifest.descriptor
        data = b"".join(image.manifest.read(0))
        lists = [self._put_manifest(name, manifest, data) for name in (manifest.digest, *tags)]
        progress(manifest, manifest.size_bytes)
        return all(lists)

    def _list_referrers(self, image: Image) -> None:
        """For registries that do not: under a tag that says what is referred to.

        https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md#referrers-tag-schema
        """
        tag = image.manifest.descriptor.digest.replace(":", "-")
        known = self._ask("GET", f"manifests/{tag}", fine=(200, 404), headers={"Accept": INDEX})
        others = referrers(known.content) if known.status_code == 200 else ()
        listed = {each["digest"]: each for each in others}
        for attestation in image.attestations:
            manifest = attestation.manifest.descriptor
            listed[manifest.digest] = manifest.fields() | {"artifactType": ENVELOPE}
        data = canonical_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": list(listed.values())})
        self._put_manifest(tag, Descriptor(INDEX, digest_of(data), len(data)), data)

    # --- blobs ---

    def _push_blob(self, content: Content, progress: Progress) -> None:
        blob = content.descriptor
        if not self._has(blob):
            self._upload_until_there(content, progress)
            if not self._has(blob):
                raise self._lie(f"it took {blob.digest} and does not have it")
        self._uploads.forget(self._place, blob.digest)
        progress(blob, blob.size_bytes)

    def _has(self, blob: Descriptor) -> bool:
        answer = self._ask("HEAD", f"blobs/{blob.digest}", fine=(200, 404))
        if answer.status_code == 404:
            return False
        size = answer.headers.get("content-length")
        if size is not None and size != str(blob.size_bytes):
            raise self._lie(f"it has {blob.digest} with {size} bytes instead of {blob.size_bytes}")
        return True

    def _upload_until_there(self, content: Content, progress: Progress) -> None:
        for attempt in range(_TRIES):
            with suppress(_Interrupted):
                self._upload(content, progress)
                return
            self._uploads.forget(self._place, content.descriptor.digest)
            self._sleep(min(2.0**attempt / 2, _LONGEST_WAIT_S))
        raise failure(
            "registry-upload",
            f"{self._reference.host} ended the upload of {content.descriptor.digest} {_TRIES} times before its end",
            "try again later: what is there already is not sent again",
            str(self._reference),
        )

    def _upload(self, content: Content, progress: Progress) -> None:
        """Raises `_Interrupted` when it has to begin anew."""
        blob = content.descriptor
        address, offset = self._begin(blob)
        for chunk in _in_chunks(content.read(offset), self._chunk_bytes):
            headers = {
                "Content-Type": "application/octet-stream",
                "Content-Range": f"{offset}-{offset + len(chunk) - 1}",
            }
            answer = self._send("PATCH", address, headers=headers, content=chunk)
            address, offset = self._address(answer, address), offset + len(chunk)
            if _received(answer) not in (None, offset):
                raise _Interrupted
            self._uploads.note(self._place, blob.digest, address, offset)
            progress(blob, offset)
        answer = self._send("PUT", str(httpx.URL(address).copy_merge_params({"digest": blob.digest})))
        self._check_digest(answer, blob)

    def _begin(self, blob: Descriptor) -> tuple[str, int]:
        """Where the rest goes, and from which byte on."""
        if (begun := self._uploads.begun(self._place, blob.digest)) is not None:
            answer = self._ask("GET", begun[0], fine=range(200, 500))
            received = _received(answer)
            if answer.is_success and received is not None and received <= blob.size_bytes:
                return self._address(answer, begun[0]), received
        answer = self._ask("POST", "blobs/uploads/", fine=(202,))
        return self._address(answer, str(answer.url)), 0

    def _send(self, method: str, address: str, **more: object) -> httpx.Response:
        """A part of an upload: not simply sent once more, for nobody knows how much of it has arrived."""
        try:
            answer = self._request(method, address, **more)
        except httpx.TransportError as error:
            raise _Interrupted from error
        if answer.status_code in (*_AGAIN, 404, 416):
            raise _Interrupted
        self._check(answer, fine=(200, 201, 202, 204))
        return answer

    def _address(self, answer: httpx.Response, before: str) -> str:
        return urljoin(str(answer.url), str(answer.headers.get("location", before)))

    # --- manifests ---

    def _put_manifest(self, name: str, manifest: Descriptor, data: bytes) -> bool:
        """Whether the registry has understood what it refers to."""
        headers = {"Content-Type": manifest.media_type}
        put = self._ask("PUT", f"manifests/{name}", fine=(200, 201, 202), headers=headers, content=data)
        self._check_digest(put, manifest)
        answer = self._ask("GET", f"manifests/{name}", fine=(200,), headers={"Accept": manifest.media_type})
        if digest_of(answer.content) != manifest.digest:
            raise self._lie(f"what it answers for {name} is {digest_of(answer.content)} and not {manifest.digest}")
        return "oci-subject" in put.headers

    # --- requests ---

    def _ask(self, method: str, address: str, *, fine: object, **more: object) -> httpx.Response:
        """A request that may be repeated, until it is answered."""
        for attempt in range(_TRIES):
            last = attempt == _TRIES - 1
            try:
                answer = self._request(method, address, **more)
            except httpx.TransportError as error:
                if last:
                    raise self._unreachable(error) from error
                wait_s = 2.0**attempt / 4
            else:
                if answer.status_code not in _AGAIN or last:
                    return self._check(answer, fine)
                wait_s = _asked_to_wait(answer, 2.0**attempt / 4)
            self._sleep(min(wait_s, _LONGEST_WAIT_S))
        raise AssertionError("unreachable")

    def _request(self, method: str, address: str, **more: object) -> httpx.Response:
        """Nothing that is asked for here is large, and whoever answers without end is not listened to."""
        with self._client.stream(method, address, **more) as answer:  # type: ignore[arg-type]
            content = bytearray()
            for piece in answer.iter_bytes():
                content += piece
                if len(content) > _LARGEST_ANSWER_BYTES:
                    message = f"{self._reference.host} answers {method} {address} with more than 8 MiB"
                    raise failure("registry-answer", message, "see what answers there", str(self._reference))
            headers = [(name, value) for name, value in answer.headers.items() if name != "content-encoding"]
            return httpx.Response(answer.status_code, headers=headers, content=bytes(content), request=answer.request)

    def _check(self, answer: httpx.Response, fine: object) -> httpx.Response:
        assert isinstance(fine, tuple | range)
        if answer.status_code in fine:
            return answer
        status, said = answer.status_code, answer.text.strip()[:300]
        where = str(self._reference)
        if status in (401, 403):
            hint = (
                "log in with `docker login` or `oras login`, or set TRIMTAB_REGISTRY_USER and TRIMTAB_REGISTRY_PASSWORD"
            )
            raise failure("registry-denied", f"{self._reference.host} refuses: {status} {said}", hint, where)
        if status == 404:
            hint = "see that the repository's name is right, and whether it must be made first"
            raise failure("registry-missing", f"{self._reference.host} has no such repository: {said}", hint, where)
        hint = "see what the registry's own log says"
        raise failure("registry-answer", f"{self._reference.host} answered {status}: {said}", hint, where)

    def _check_digest(self, answer: httpx.Response, wanted: Descriptor) -> None:
        said = answer.headers.get("docker-content-digest", wanted.digest)
        if said != wanted.digest:
            raise self._lie(f"it says {said} of what is {wanted.digest}")

    def _lie(self, what: str) -> TrimtabError:
        message = f"{self._reference.host} cannot be trusted with this release: {what}"
        hint = (
            "nothing that it has under this name may be used; look at the registry, and at what is between you and it"
        )
        return failure("registry-digest", message, hint, str(self._reference))

    def _unreachable(self, error: Exception) -> TrimtabError:
        message = f"{self._reference.host} cannot be reached: {error or type(error).__name__}"
        hint = "see that the host and port are right; for a registry without TLS say --plain-http"
        return failure("registry-unreachable", message, hint, str(self._reference))


def referrers(index: bytes) -> tuple[dict[str, Any], ...]:
    """What an index lists; nothing if it is none."""
    try:
        found = json.loads(index)["manifests"]
        return tuple(each for each in found if isinstance(each["digest"], str))
    except (ValueError, LookupError, TypeError):
        return ()


def _in_chunks(data: Iterator[bytes], size: int) -> Iterator[bytes]:
    pending = bytearray()
    for piece in data:
        pending += piece
        while len(pending) >= size:
            yield bytes(pending[:size])
            del pending[:size]
    if pending:
        yield bytes(pending)


def _received(answer: httpx.Response) -> int | None:
    """How many bytes of an upload the registry has. `0-0` says none: nobody sends a single one."""
    begin, dash, end = answer.headers.get("range", "").removeprefix("bytes=").partition("-")
    if not dash or begin != "0" or not end.isdigit():
        return None
    return int(end) + 1 if end != "0" else 0


def _asked_to_wait(answer: httpx.Response, otherwise_s: float) -> float:
    after = answer.headers.get("retry-after", "")
    return float(after) if after.isdigit() else otherwise_s
