"""GitHub and GitHub Enterprise Server."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from trimtab.adapters.forges import signatures
from trimtab.adapters.forges.dialect import (
    AT_ONCE,
    DELETED,
    Ask,
    Comment,
    Message,
    basic,
    branch_of,
    html_mark,
    ignored,
    pull_event,
    pushed,
)
from trimtab.adapters.forges.fields import Fields, body_of, objects
from trimtab.core.model.facts import PullRequest
from trimtab.core.model.forge import ForgeSpec
from trimtab.ports.forge import CONTEXT, CommitStatus, ForgeEvent, OpenPull, OpenPulls

OPENED = ("opened", "synchronize", "synchronized", "reopened", "edited", "ready_for_review")
_STATES = {"cancelled": "error"}


class GitHub:
    usual_api = "https://api.github.com"
    api_example = "https://github.example.com/api/v3"

    # --- webhooks ---

    def verify(self, message: Message, secret: str, _now: float) -> None:
        signatures.require_hex(message.headers, ("x-hub-signature-256",), "sha256=", secret, message.body)

    def read(self, message: Message, forge: ForgeSpec) -> ForgeEvent:
        headers = message.headers
        return read_event(headers.get("x-github-event", ""), headers.get("x-github-delivery", ""), message, forge)

    # --- Git ---

    def clone_url(self, forge: ForgeSpec, repository: str) -> str:
        address = urlsplit(forge.api_url)
        return f"{address.scheme}://{address.netloc.removeprefix('api.')}/{repository}.git"

    def ref(self, pull: OpenPull) -> str:
        return f"refs/pull/{pull.pull_request.number}/head"

    def git_authorization(self, token: str) -> str:
        return basic("x-access-token", token)

    # --- the API ---

    def headers(self, token: str) -> Mapping[str, str]:
        return {
            "Authorization": f"Bearer {token}",
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }

    def set_status(self, forge: ForgeSpec, status: CommitStatus) -> Ask:
        said = {
            "state": _STATES.get(status.state, status.state),
            "context": CONTEXT,
            "description": status.description,
            "target_url": status.url,
        }
        return Ask("POST", f"/repos/{forge.repository}/statuses/{status.commit}", json=said)

    def list_pulls(self, forge: ForgeSpec) -> Ask:
        params: dict[str, str | int] = {"state": "open", "sort": "updated", "direction": "desc", "per_page": AT_ONCE}
        return Ask("GET", f"/repos/{forge.repository}/pulls", params)

    def read_pulls(self, answer: object) -> OpenPulls:
        pulls = tuple(map(read_pull, objects(answer)))
        return OpenPulls(pulls, len(pulls) < AT_ONCE)

    def list_comments(self, forge: ForgeSpec, number: int, page: int) -> Ask | None:
        params = {"per_page": AT_ONCE, "page": page}
        return Ask("GET", f"/repos/{forge.repository}/issues/{number}/comments", params)

    def read_comments(self, answer: object) -> tuple[tuple[Comment, ...], bool]:
        found = tuple(Comment(one.number("id"), one.text_or("", "body")) for one in objects(answer))
        return found, len(found) == AT_ONCE

    def new_comment(self, forge: ForgeSpec, number: int, text: str) -> Ask:
        return Ask("POST", f"/repos/{forge.repository}/issues/{number}/comments", json={"body": text})

    def edit_comment(self, forge: ForgeSpec, _number: int, comment: Comment, text: str) -> Ask:
        return Ask("PATCH", f"/repos/{forge.repository}/issues/comments/{comment.id}", json={"body": text})

    def mark(self, topic: str) -> str:
        return html_mark(topic)


def read_event(kind: str, delivery: str, message: Message, forge: ForgeSpec) -> ForgeEvent:
    """The event of a message that looks like GitHub's."""
    body = body_of(message.headers.get("content-type", ""), message.body)
    if kind == "ping":
        return ForgeEvent("ping", delivery, "ping")
    if kind not in ("push", "pull_request", "pull_request_sync"):
        return ignored(delivery, f"nothing follows from the event {kind}")
    about = body.text("repository", "full_name")
    if about.lower() != forge.repository.lower():
        return ignored(delivery, f"it is about {about}, and this application is {forge.repository}")
    if kind == "push":
        branch = branch_of(body.text("ref"))
        return pushed(delivery, *([branch] if branch and set(body.text("after")) != DELETED else []))
    action = body.text("action")
    if action not in (*OPENED, "closed"):
        return ignored(delivery, f"nothing follows from a pull request that is {action}")
    return pull_event(delivery, read_pull(body.part("pull_request")), closed=action == "closed")


def read_pull(pull: Fields) -> OpenPull:
    """A pull request as webhooks and the API write it."""
    base, source = pull.text_or("", "base", "repo", "full_name"), pull.text_or("", "head", "repo", "full_name")
    request = PullRequest(
        number=pull.number("number"),
        base=pull.text("base", "ref"),
        url=pull.text_or("", "html_url"),
        title=pull.text_or("", "title"),
        from_fork=source.lower() != base.lower() or not source,
    )
    return OpenPull(request, pull.text("head", "sha"), pull.text("head", "ref"), source if request.from_fork else "")
