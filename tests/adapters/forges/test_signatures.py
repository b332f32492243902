"""Signatures as the forges' own documentation shows them, and what is read of messages like theirs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import urlencode

import pytest

from tests.adapters.forges.labs import KINDS, HurriedClock
from trimtab.adapters.forges import HttpForges
from trimtab.core.errors import TrimtabError
from trimtab.core.model.forge import ForgeKind, ForgeSpec
from trimtab.ports.forge import ForgeEvent, OpenPull
from trimtab.testing.forge_contract import NOW
from trimtab.testing.forge_double import SECRET
from trimtab.testing.forge_manners import Proposal
from trimtab.testing.forge_messages import Messenger, PullAction

FORGES = HttpForges(HurriedClock(), chance=lambda: 0.5)


def spec(kind: ForgeKind) -> ForgeSpec:
    return ForgeSpec(kind, "org/shop", "https://forge.example.com")


def read(
    kind: ForgeKind, headers: Mapping[str, str], body: bytes, secret: str = SECRET, now: float = NOW
) -> ForgeEvent:
    return FORGES.read_webhook(spec(kind), secret, headers, body, now)


def code(kind: ForgeKind, headers: Mapping[str, str], body: bytes, secret: str = SECRET, now: float = NOW) -> str:
    with pytest.raises(TrimtabError) as caught:
        read(kind, headers, body, secret, now)
    return caught.value.problem.code


def messenger(kind: ForgeKind, secret: str = SECRET) -> Messenger:
    return Messenger(kind, "org/shop", secret, NOW)


def test_the_vector_of_githubs_documentation() -> None:
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    headers, secret = {"x-hub-signature-256": signature, "x-github-delivery": "1"}, "It's a Secret to Everybody"
    assert code("github", headers, b"Hello, World!", secret) == "webhook-malformed"  # the signature is right
    assert code("github", headers, b"Hello, World?", secret) == "webhook-signature"
    old = {"x-hub-signature": "sha1=" + "0" * 40, "x-github-delivery": "1"}
    assert code("github", old, b"Hello, World!", secret) == "webhook-unsigned"  # SHA-1 proves nothing


def test_the_vector_of_the_standard_webhooks_specification() -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    headers = {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,nothing v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }
    body = b'{"test": 2432232314}'
    assert code("gitlab", headers, body, secret, now=1614265330.0) == "webhook-malformed"
    assert code("gitlab", headers, body, secret, now=1614265330.0 + 301) == "webhook-signature"
    assert code("gitlab", headers, body, secret, now=1614265330.0 - 301) == "webhook-signature"
    assert code("gitlab", {**headers, "webhook-id": "other"}, body, secret, now=1614265330.0) == "webhook-signature"
    assert code("gitlab", {**headers, "webhook-timestamp": "soon"}, body, secret) == "webhook-signature"


def test_gitlabs_older_token_is_taken_where_there_is_no_signature() -> None:
    message = messenger("gitlab").push("main", "a" * 40, "delivery-1")
    bare = {name: value for name, value in message.headers.items() if not name.startswith("webhook-")}
    event = read("gitlab", {**bare, "x-gitlab-token": SECRET}, message.body)
    assert (event.branches, event.delivery) == (("main",), "delivery-1")
    assert code("gitlab", {**bare, "x-gitlab-token": SECRET[:-1]}, message.body) == "webhook-signature"
    wrong = {**message.headers, "webhook-signature": "v1,AAAA", "x-gitlab-token": SECRET}
    assert code("gitlab", wrong, message.body) == "webhook-signature"  # what is signed must be signed right


def test_forgejos_own_headers() -> None:
    message = messenger("gitea").push("main", "a" * 40, "delivery-1")
    renamed = {name.replace("gitea", "forgejo"): value for name, value in message.headers.items()}
    assert read("gitea", renamed, message.body).branches == ("main",)


def test_github_may_send_a_form() -> None:
    made = messenger("github")
    body = urlencode({"payload": made.push("main", "a" * 40, "1").body.decode()}).encode()
    sealed = made.sealed(body, "delivery-1")
    headers = {**sealed.headers, "content-type": "application/x-www-form-urlencoded"}
    assert read("github", headers, body).branches == ("main",)


@pytest.mark.parametrize("kind", KINDS)
def test_a_deleted_branch_a_tag_and_a_ping_are_no_change(kind: ForgeKind) -> None:
    for message in (messenger(kind).push("main", "0" * 40, "1"), messenger(kind).ping("2")):
        assert read(kind, message.headers, message.body).kind in ("ignored", "ping")


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_about_another_repository_is_ignored(kind: ForgeKind) -> None:
    other = Messenger(kind, "org/other", SECRET, NOW)
    for message in (other.push("main", "a" * 40, "1"), other.pull("opened", Proposal(7, "verse", "b" * 40), "2")):
        event = read(kind, message.headers, message.body)
        assert event.kind == "ignored"
        assert "org/other" in event.said


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fork", ["", "mo/shop"])
def test_pull_requests_are_read_whole(kind: ForgeKind, fork: str) -> None:
    proposal = Proposal(7, "feature/verse", "b" * 40, base="main", title="Answer in verse", fork=fork)
    actions: dict[PullAction, bool] = {"opened": False, "updated": False, "reopened": False, "closed": True}
    for action, closed in actions.items():
        message = messenger(kind).pull(action, proposal, "delivery-1")
        event = read(kind, message.headers, message.body)
        assert event.kind == ("closed" if closed else "opened")
        pull = event.pull
        assert isinstance(pull, OpenPull)
        assert (pull.branch, pull.fork, pull.pull_request.from_fork) == ("feature/verse", fork, bool(fork))
        assert pull.pull_request.title == "Answer in verse"
        assert pull.pull_request.url.endswith("/pull/7")
        assert ("b" * 40).startswith(pull.head)
    merged = messenger(kind).pull("merged", proposal, "delivery-2")
    assert read(kind, merged.headers, merged.body).kind == "closed"


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_without_its_id_is_refused(kind: ForgeKind) -> None:
    """Without it, nobody could tell that it was seen before."""
    if kind == "gitlab":
        bare = messenger(kind).push("main", "a" * 40, "1")
        assert code(kind, {"x-gitlab-token": SECRET}, bare.body) == "webhook-malformed"
        return
    message = messenger(kind).push("main", "a" * 40, "1")
    ids = ("x-github-delivery", "x-gitea-delivery", "x-request-uuid", "x-request-id")
    bare_headers = {name: value for name, value in message.headers.items() if name not in ids}
    assert code(kind, bare_headers, message.body) == "webhook-malformed"


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_that_is_missing_or_of_another_kind_is_refused_with_a_sentence(kind: ForgeKind) -> None:
    made = messenger(kind)
    for message, event in (
        (made.push("main", "a" * 40, "1"), {"bitbucket": "repo:push", "bitbucket-data-center": "repo:refs_changed"}),
        (made.pull("opened", Proposal(7, "verse", "b" * 40), "1"), {}),
    ):
        names = [name for name in message.headers if name.endswith("-event") or name == "x-event-key"]
        key = message.headers[names[0]] if names else event.get(kind, "push")
        refused = []
        for spoilt in _spoilt(json.loads(message.body)):
            sealed = made.sealed(json.dumps(spoilt).encode(), "1", key)
            try:
                read(kind, sealed.headers, sealed.body)
            except TrimtabError as error:
                refused.append(error.problem.code)
        assert set(refused) == {"webhook-malformed"}


def _spoilt(value: object) -> list[object]:
    """The value with each of its parts replaced by something else, one at a time."""
    if not isinstance(value, dict):
        return [None, 7, "text", [], {}, [None]]
    return [{**value, name: other} for name in value for other in _spoilt(value[name])]


ADDRESSES: list[tuple[ForgeKind, str | None, str, str]] = [
    ("github", None, "https://api.github.com", "https://github.com/org/shop.git"),
    (
        "github",
        "https://ghe.example.com/api/v3/",
        "https://ghe.example.com/api/v3",
        "https://ghe.example.com/org/shop.git",
    ),
    ("gitlab", None, "https://gitlab.com/api/v4", "https://gitlab.com/org/shop.git"),
    (
        "gitea",
        "https://git.example.com/api/v1",
        "https://git.example.com/api/v1",
        "https://git.example.com/org/shop.git",
    ),
    ("bitbucket", None, "https://api.bitbucket.org/2.0", "https://bitbucket.org/org/shop.git"),
    (
        "bitbucket-data-center",
        "https://bb.example.com/rest/api/1.0",
        "https://bb.example.com/rest/api/1.0",
        "https://bb.example.com/scm/org/shop.git",
    ),
]


@pytest.mark.parametrize(("kind", "given", "api_url", "clone_url"), ADDRESSES)
def test_where_the_api_and_the_repository_are(kind: ForgeKind, given: str | None, api_url: str, clone_url: str) -> None:
    made = FORGES.spec(kind, "/org/shop.git", given)
    assert made == ForgeSpec(kind, "org/shop", api_url)
    assert FORGES.clone_url(made) == clone_url


@pytest.mark.parametrize("kind", ["gitea", "bitbucket-data-center"])
def test_who_has_a_forge_of_his_own_says_where(kind: ForgeKind) -> None:
    with pytest.raises(TrimtabError) as caught:
        FORGES.spec(kind, "org/shop", None)
    assert "--api-url" in caught.value.problem.hint


@pytest.mark.parametrize("repository", ["shop", "", "org/../shop", "org/shop/x", "org/sh op", "org/shop?x=1", "org/"])
def test_what_cannot_be_a_repository(repository: str) -> None:
    with pytest.raises(TrimtabError) as caught:
        FORGES.spec("github", repository, None)
    assert caught.value.problem.code == "forge-address"


def test_gitlab_has_groups_in_groups() -> None:
    assert FORGES.spec("gitlab", "org/team/shop", None).repository == "org/team/shop"


def test_where_the_heads_of_pull_requests_are() -> None:
    heads = {}
    for kind in KINDS:
        message = messenger(kind).pull("opened", Proposal(7, "verse", "b" * 40, fork="mo/shop"), "1")
        pull = read(kind, message.headers, message.body).pull
        assert pull is not None
        heads[kind] = FORGES.head_of(ForgeSpec(kind, "org/shop", "https://api.bitbucket.org/2.0"), pull)
    assert heads == {
        "github": (None, "refs/pull/7/head"),
        "gitlab": (None, "refs/merge-requests/7/head"),
        "gitea": (None, "refs/pull/7/head"),
        "bitbucket": ("https://bitbucket.org/mo/shop.git", "refs/heads/verse"),
        "bitbucket-data-center": (None, "refs/pull-requests/7/from"),
    }
