"""Registries that refuse, stumble or lie: what is said of each, and that no password goes where it should not."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.adapters.oci.releases import image_in
from trimtab.adapters.oci import Image, Registry
from trimtab.adapters.oci.access import known_login
from trimtab.adapters.oci.uploads import Uploads
from trimtab.core.errors import TrimtabError
from trimtab.core.model.image import Reference

Answer = Callable[[httpx.Request], httpx.Response | None]
HOST = "registry.test"


class Double:
    """A registry in memory. `mischief` answers first, if it likes."""

    def __init__(self, mischief: Answer = lambda _: None) -> None:
        self.mischief = mischief
        self.blobs: dict[str, bytes] = {}
        self.manifests: dict[str, bytes] = {}
        self.pending = b""
        self.heard: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.heard.append(request)
        return self.mischief(request) or self._answer(request, request.url.path.rsplit("/", 1)[1])

    def _answer(self, request: httpx.Request, name: str) -> httpx.Response:
        kind = request.url.path.split("/")[-2]
        if request.method == "POST":
            self.pending = b""
            return httpx.Response(202, headers={"Location": "/v2/acme/shop/blobs/uploads/1"})
        if request.method == "PATCH":
            self.pending += request.content
            return httpx.Response(202, headers={"Range": f"0-{len(self.pending) - 1}"})
        if request.method == "PUT" and kind == "uploads":
            self.blobs[request.url.params["digest"]] = self.pending
            return httpx.Response(201)
        if request.method == "PUT":
            self.manifests[name] = request.content
            return httpx.Response(201)
        found = self.blobs.get(name) if kind == "blobs" else self.manifests.get(name)
        return httpx.Response(404) if found is None else httpx.Response(200, content=found)


@pytest.fixture
def image(tmp_path: Path) -> Image:
    return image_in(tmp_path / "release")


def push(double: Double, image: Image, tmp_path: Path, waits: list[float] | None = None) -> None:
    place = Reference(HOST, "acme/shop")
    slept = (waits if waits is not None else []).append
    uploads = Uploads(tmp_path / "uploads")
    transport = httpx.MockTransport(double)
    registry = Registry(place, uploads, plain_http=False, transport=transport, sleep=slept)
    registry.push(image, "v1", lambda blob, sent_bytes: None)


def problem(double: Double, image: Image, tmp_path: Path) -> str:
    with pytest.raises(TrimtabError) as error:
        push(double, image, tmp_path)
    assert error.value.problem.hint
    return error.value.problem.code


def on(method: str, part: str, answer: httpx.Response) -> Answer:
    return lambda request: answer if request.method == method and part in request.url.path else None


def test_an_honest_one(image: Image, tmp_path: Path) -> None:
    double = Double()
    push(double, image, tmp_path)
    whole = (image, *image.attestations)
    assert set(double.blobs) == {content.descriptor.digest for each in whole for content in each.contents}


OTHER = {"Docker-Content-Digest": "sha256:" + "0" * 64}


@pytest.mark.parametrize(
    ("mischief", "code"),
    [
        (on("PUT", "/uploads/", httpx.Response(201, headers=OTHER)), "registry-digest"),
        (on("PUT", "/manifests/", httpx.Response(201, headers=OTHER)), "registry-digest"),
        (on("GET", "/manifests/", httpx.Response(200, content=b"another")), "registry-digest"),
        (on("HEAD", "/blobs/", httpx.Response(200, headers={"Content-Length": "1"})), "registry-digest"),
        (on("PUT", "/uploads/", httpx.Response(201)), "registry-digest"),  # it keeps nothing
        (on("PUT", "/uploads/", httpx.Response(400, text="DIGEST_INVALID")), "registry-answer"),
        (on("POST", "/uploads/", httpx.Response(403, text="denied")), "registry-denied"),
        (on("HEAD", "/blobs/", httpx.Response(401)), "registry-denied"),
        (on("POST", "/uploads/", httpx.Response(404)), "registry-missing"),
        (on("HEAD", "/blobs/", httpx.Response(503)), "registry-answer"),
        (on("PATCH", "/uploads/", httpx.Response(500)), "registry-upload"),
        (on("PATCH", "/uploads/", httpx.Response(202, headers={"Range": "0-5"})), "registry-upload"),
    ],
)
def test_what_is_wrong_is_said(mischief: Answer, code: str, image: Image, tmp_path: Path) -> None:
    assert problem(Double(mischief), image, tmp_path) == code


def test_an_answer_without_end_is_not_listened_to(image: Image, tmp_path: Path) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield bytes(1_000_000)

    double = Double(lambda request: httpx.Response(200, content=endless()) if request.method == "GET" else None)
    assert problem(double, image, tmp_path) == "registry-answer"


def test_nobody_there(image: Image, tmp_path: Path) -> None:
    def refuse(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("connection refused", request=request)

    assert problem(Double(refuse), image, tmp_path) == "registry-unreachable"


def test_who_is_asked_to_wait_waits(image: Image, tmp_path: Path) -> None:
    answers = [httpx.Response(429, headers={"Retry-After": "7"}), httpx.Response(502)]
    waits: list[float] = []
    double = Double(lambda request: answers.pop(0) if answers else None)
    push(double, image, tmp_path, waits)
    assert waits[0] == 7.0
    assert len(waits) == 2


def test_a_token_is_fetched_with_the_login_and_goes_to_the_registry_only(
    image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIMTAB_REGISTRY_USER", "ann")
    monkeypatch.setenv("TRIMTAB_REGISTRY_PASSWORD", "pass")

    def guarded(request: httpx.Request) -> httpx.Response | None:
        said = request.headers.get("authorization", "")
        if request.url.host == "auth.test":
            assert base64.b64decode(said.removeprefix("Basic ")) == b"ann:pass"
            return httpx.Response(200, json={"token": "abc"})
        if request.url.host == "elsewhere.test":
            assert not said
            return None
        if said != "Bearer abc":
            challenge = 'Bearer realm="https://auth.test/token",service="s",scope="repository:acme/shop:push"'
            return httpx.Response(401, headers={"WWW-Authenticate": challenge})
        if request.method == "POST":
            double.pending = b""
            return httpx.Response(202, headers={"Location": "https://elsewhere.test/v2/acme/shop/blobs/uploads/1"})
        return None

    double = Double(guarded)
    push(double, image, tmp_path)
    tokens = [request for request in double.heard if request.url.host == "auth.test"]
    assert len(tokens) == 1
    assert tokens[0].url.params["scope"] == "repository:acme/shop:push"


def test_a_login_does_not_go_over_an_open_line(image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_REGISTRY_USER", "ann")
    challenge = {"WWW-Authenticate": 'Bearer realm="http://auth.test/token"'}
    double = Double(lambda _: httpx.Response(401, headers=challenge))
    assert problem(double, image, tmp_path) == "registry-denied"
    assert {request.url.host for request in double.heard} == {HOST}


def test_logins_of_docker_are_known(tmp_path: Path) -> None:
    auth = base64.b64encode(b"ann:pa:ss").decode()
    (tmp_path / "config.json").write_text(f'{{"auths": {{"{HOST}": {{"auth": "{auth}"}}}}}}')
    environ = {"DOCKER_CONFIG": str(tmp_path)}
    assert known_login(HOST, environ) == ("ann", "pa:ss")
    assert known_login("other.test", environ) is None
    (tmp_path / "config.json").write_text("{")
    assert known_login(HOST, environ) is None


def test_digests_are_of_what_was_sent(image: Image, tmp_path: Path) -> None:
    double = Double()
    push(double, image, tmp_path)
    for digest, data in double.blobs.items():
        assert digest == "sha256:" + hashlib.sha256(data).hexdigest()
