"""The webhook endpoint over real HTTP, with messages as forges sign them: what is recorded, what is refused, how."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.adapters.forges.labs import KINDS
from tests.client.server import Api, served
from trimtab.adapters.forges import HttpForges
from trimtab.core.model import facts as f
from trimtab.core.model.forge import ForgeKind, ForgeSpec
from trimtab.testing.forge_double import SECRET
from trimtab.testing.forge_manners import Proposal
from trimtab.testing.forge_messages import Message, Messenger

MIB = 1024 * 1024


class Hooked:
    """An application `books` with a forge, behind the real API."""

    def __init__(self, api: Api, kind: ForgeKind = "github") -> None:
        self.api = api
        api.forges = HttpForges(api.clock, chance=lambda: 0.5)
        forge = ForgeSpec(kind, "org/shop", "https://forge.example.com")
        self.registered = f.AppRegistered(poll_url="https://forge.example.com/org/shop.git", forge=forge)
        api.store.append([f.Recorded("app/books", self.registered)], api.clock.now())
        api.forge_secrets.webhooks["books"] = SECRET
        self.messenger = Messenger(kind, "org/shop", SECRET, api.clock.now())

    def post(self, message: Message, app: str = "books") -> httpx.Response:
        url = f"{self.api.url}/api/v1/hooks/{app}"
        return httpx.post(url, content=message.body, headers=message.headers, trust_env=False)

    def refused(self, message: Message, app: str = "books") -> tuple[int, str]:
        """Status and code; the refusal names the next step, and nothing was recorded."""
        before = self.notified()
        answer = self.post(message, app)
        problem: dict[str, Any] = answer.json()["problems"][0]
        assert answer.headers["content-type"] == "application/problem+json"
        assert problem["hint"]
        assert SECRET not in answer.text
        assert self.notified() == before
        return answer.status_code, problem["code"]

    def notified(self) -> list[f.ForgeNotified]:
        recorded = self.api.store.facts(kinds=("ForgeNotified",))
        return [one.fact for one in recorded if isinstance(one.fact, f.ForgeNotified)]


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    made = Api(tmp_path)
    made.forges = HttpForges(made.clock, chance=lambda: 0.5)
    with served(made) as running:
        yield running


@pytest.fixture
def hooked(api: Api) -> Hooked:
    return Hooked(api)


@pytest.mark.parametrize("kind", KINDS)
def test_every_forge_is_heard(api: Api, kind: ForgeKind) -> None:
    hooked = Hooked(api, kind)
    answer = hooked.post(hooked.messenger.push("main", "a" * 40, "delivery-1"))
    assert (answer.status_code, answer.json()["said"]) == (200, "main is looked at")
    proposal = Proposal(7, "verse", "b" * 40, fork="mo/shop")
    answer = hooked.post(hooked.messenger.pull("opened", proposal, "delivery-2"))
    assert answer.json()["said"] == "pull request 7 is looked at"
    push, pull = hooked.notified()
    assert (push.delivery, push.pull_request) == ("delivery-1", None)
    assert pull.pull_request is not None
    assert (pull.pull_request.number, pull.pull_request.from_fork) == (7, True)
    assert (pull.source_branch, pull.source_repository, pull.closed) == ("verse", "mo/shop", False)
    hooked.post(hooked.messenger.pull("merged", proposal, "delivery-3"))
    assert hooked.notified()[-1].closed


def test_a_message_that_is_sent_again_is_seen_once(hooked: Hooked) -> None:
    message = hooked.messenger.push("main", "a" * 40, "delivery-1")
    assert hooked.post(message).status_code == 200
    again = hooked.post(message)
    assert (again.status_code, again.json()["said"]) == (200, "delivery-1 was seen before")
    assert len(hooked.notified()) == 1


def test_what_nothing_follows_from_is_answered_with_a_word(hooked: Hooked) -> None:
    made = hooked.messenger
    said = [
        hooked.post(message).json()["said"]
        for message in (
            made.ping("1"),
            made.other("2"),
            made.push("feature/x", "a" * 40, "3"),
            made.push("main", "0" * 40, "4"),
        )
    ]
    assert said == [
        "Trimtab hears you",
        "nothing follows from the event issues",
        "only main is deployed, and feature/x pushed",
        "nothing but tags and deleted branches was pushed",
    ]
    assert hooked.notified() == []


def test_a_pull_request_for_another_branch_is_none_of_ours_any_more(hooked: Hooked) -> None:
    answer = hooked.post(hooked.messenger.pull("opened", Proposal(7, "verse", "b" * 40, base="develop"), "1"))
    assert answer.json()["said"] == "pull request 7 is for develop, and only main is deployed"
    assert hooked.notified()[-1].closed


def test_who_cannot_sign_is_refused(hooked: Hooked) -> None:
    message = hooked.messenger.push("main", "a" * 40, "1")
    unsigned = {name: value for name, value in message.headers.items() if "signature" not in name}
    assert hooked.refused(Message(unsigned, message.body)) == (401, "webhook-unsigned")
    assert hooked.refused(Message(message.headers, message.body + b" ")) == (401, "webhook-signature")
    stranger = replace(hooked.messenger, secret="whsec_" + "A" * 43 + "=")
    assert hooked.refused(stranger.push("main", "a" * 40, "1")) == (401, "webhook-signature")
    assert hooked.refused(hooked.messenger.sealed(b"{", "1")) == (400, "webhook-malformed")
    hooked.api.forge_secrets.webhooks.clear()
    assert hooked.refused(message) == (401, "webhook-secret")


def test_an_application_without_a_forge_hears_nothing(hooked: Hooked) -> None:
    message = hooked.messenger.push("main", "a" * 40, "1")
    assert hooked.refused(message, "shop") == (404, "not-found")
    assert hooked.refused(message, "nothing") == (404, "not-found")


def test_what_is_too_large_is_refused_and_not_kept(hooked: Hooked) -> None:
    large = hooked.messenger.sealed(b"[" + b" " * (25 * MIB) + b"]", "1")
    assert hooked.refused(large) == (413, "webhook-too-large")
    most = hooked.messenger.sealed(b"[" + b" " * (MIB - 2) + b"]", "1")
    assert hooked.refused(most) == (400, "webhook-malformed")
    more = hooked.messenger.sealed(b"[" + b" " * (MIB - 1) + b"]", "1")
    assert hooked.refused(more) == (413, "webhook-too-large")


def test_who_sends_without_an_end_is_cut_off(hooked: Hooked) -> None:
    """More than any forge sends, in chunks, without a length: the answer comes while it is still being sent."""
    host, _, port = hooked.api.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        head = "POST /api/v1/hooks/books HTTP/1.1\r\nHost: trimtab\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head.encode())
        chunk = b"100000\r\n" + b" " * MIB + b"\r\n"
        try:
            for _ in range(200):
                connection.sendall(chunk)
        except OSError:
            pass  # it does not listen any more
        else:
            pytest.fail("200 MiB were taken")
    assert hooked.notified() == []


def test_a_body_that_breaks_off_is_no_message(hooked: Hooked) -> None:
    host, _, port = hooked.api.url.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port), timeout=30)
    message = hooked.messenger.push("main", "a" * 40, "1")
    connection.putrequest("POST", "/api/v1/hooks/books")
    for name, value in {**message.headers, "content-length": str(len(message.body) + 1)}.items():
        connection.putheader(name, value)
    connection.endheaders(message.body)
    connection.close()
    assert hooked.post(hooked.messenger.ping("2")).status_code == 200
    assert hooked.notified() == []


def test_the_rest_of_the_api_still_wants_its_token(hooked: Hooked) -> None:
    for path in ("/api/v1/status", "/api/v1/apps/books/forge", "/api/v1/hooks", "/api/v1/hookshop"):
        assert httpx.get(hooked.api.url + path, trust_env=False).status_code == 401, path


def test_secrets_are_kept_and_said_once(hooked: Hooked) -> None:
    hooked.api.forge_secrets.webhooks.clear()
    client = hooked.api.client()
    first = client.keep_forge_secrets("books", "the-forges-token")
    assert first.url == f"{hooked.api.url}/api/v1/hooks/books"
    assert first.secret == hooked.api.forge_secrets.webhooks["books"]
    assert client.keep_forge_secrets("books").secret is None
    assert hooked.api.forge_secrets.tokens == {"books": "the-forges-token"}
    everything = json.dumps([str(recorded) for recorded in hooked.api.store.facts(limit=10_000)])
    assert "the-forges-token" not in everything
    assert first.secret not in everything
    assert len(hooked.notified()) == 1  # with a token, what could not be read is looked at again


def test_a_forge_is_registered_with_its_addresses(hooked: Hooked) -> None:
    client = hooked.api.client()
    client.register("verse", forge={"kind": "github", "repository": "org/verse"})
    registered = hooked.api.last().fact
    assert registered == f.AppRegistered(
        poll_url="https://github.com/org/verse.git",
        forge=ForgeSpec("github", "org/verse", "https://api.github.com"),
    )
