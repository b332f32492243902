"""GitLab, its own and everybody's."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote

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

_STATES = {"pending": "running", "failure": "failed", "error": "failed", "cancelled": "canceled"}
_DELIVERY = ("webhook-id", "idempotency-key", "x-gitlab-event-uuid")
"""The first two are the same when a message is sent again; versions before them have the third."""


class GitLab:
    usual_api = "https://gitlab.com/api/v4"
    api_example = "https://gitlab.example.com/api/v4"

    # --- webhooks ---

    def verify(self, message: Message, secret: str, now: float) -> None:
        """By the signature if there is one, else by the secret itself, which GitLab sends that does not sign."""
        if "webhook-signature" in message.headers and secret.startswith(signatures.SIGNING_PREFIX):
            signatures.require_standard(message.headers, secret, message.body, now)
        elif "x-gitlab-token" in message.headers:
            signatures.require_token(message.headers["x-gitlab-token"], secret)
        else:
            raise signatures.unsigned("webhook-signature` or `x-gitlab-token")

    def read(self, message: Message, forge: ForgeSpec) -> ForgeEvent:
        delivery = next((message.headers[name] for name in _DELIVERY if name in message.headers), "")
        body = body_of(message.headers.get("content-type", ""), message.body)
        kind = body.text("object_kind")
        if kind not in ("push", "merge_request"):
            return ignored(delivery, f"nothing follows from the event {kind}")
        about = body.text("project", "path_with_namespace")
        if about.lower() != forge.repository.lower():
            return ignored(delivery, f"it is about {about}, and this application is {forge.repository}")
        if kind == "push":
            branch = branch_of(body.text("ref"))
            return pushed(delivery, *([branch] if branch and set(body.text("after")) != DELETED else []))
        request = body.part("object_attributes")
        action = request.text_or("open", "action")
        if action not in ("open", "reopen", "update", "close", "merge"):
            return ignored(delivery, f"nothing follows from a merge request after {action}")
        return pull_event(delivery, _pull(request, "url"), closed=action in ("close", "merge"))

    # --- Git ---

    def clone_url(self, forge: ForgeSpec, repository: str) -> str:
        return f"{forge.api_url.removesuffix('/api/v4')}/{repository}.git"

    def ref(self, pull: OpenPull) -> str:
        return f"refs/merge-requests/{pull.pull_request.number}/head"

    def git_authorization(self, token: str) -> str:
        return basic("oauth2", token)

    # --- the API ---

    def headers(self, token: str) -> Mapping[str, str]:
        return {"PRIVATE-TOKEN": token, "Accept": "application/json"}

    def set_status(self, forge: ForgeSpec, status: CommitStatus) -> Ask:
        said = {
            "state": _STATES.get(status.state, status.state),
            "name": CONTEXT,
            "description": status.description,
            "target_url": status.url,
        }
        path = f"{_project(forge)}/statuses/{status.commit}"
        return Ask("POST", path, json=said, settled="Cannot transition status")

    def list_pulls(self, forge: ForgeSpec) -> Ask:
        params: dict[str, str | int] = {"state": "opened", "order_by": "updated_at", "per_page": AT_ONCE}
        return Ask("GET", f"{_project(forge)}/merge_requests", params)

    def read_pulls(self, answer: object) -> OpenPulls:
        pulls = tuple(_pull(one, "web_url") for one in objects(answer))
        return OpenPulls(pulls, len(pulls) < AT_ONCE)

    def list_comments(self, forge: ForgeSpec, number: int, page: int) -> Ask | None:
        return Ask("GET", _notes(forge, number), {"per_page": AT_ONCE, "page": page})

    def read_comments(self, answer: object) -> tuple[tuple[Comment, ...], bool]:
        found = tuple(Comment(one.number("id"), one.text_or("", "body")) for one in objects(answer))
        return found, len(found) == AT_ONCE

    def new_comment(self, forge: ForgeSpec, number: int, text: str) -> Ask:
        return Ask("POST", _notes(forge, number), json={"body": text})

    def edit_comment(self, forge: ForgeSpec, number: int, comment: Comment, text: str) -> Ask:
        return Ask("PUT", f"{_notes(forge, number)}/{comment.id}", json={"body": text})

    def mark(self, topic: str) -> str:
        return html_mark(topic)


def _project(forge: ForgeSpec) -> str:
    return f"/projects/{quote(forge.repository, safe='')}"


def _notes(forge: ForgeSpec, number: int) -> str:
    return f"{_project(forge)}/merge_requests/{number}/notes"


def _pull(request: Fields, url: str) -> OpenPull:
    """A merge request; what webhooks and the API say of it differs in little."""
    asked = PullRequest(
        number=request.number("iid"),
        base=request.text("target_branch"),
        url=request.text_or("", url),
        title=request.text_or("", "title"),
        from_fork=request.number_or(0, "source_project_id") != request.number_or(0, "target_project_id"),
    )
    head = request.text_or("", "sha") or request.text_or("", "last_commit", "id")
    fork = request.text_or("", "source", "path_with_namespace") if asked.from_fork else ""
    return OpenPull(asked, head, request.text("source_branch"), fork)
