"""Bitbucket Cloud."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from trimtab.adapters.forges import signatures
from trimtab.adapters.forges.dialect import AT_ONCE, Ask, Comment, Message, basic, ignored, pull_event, pushed
from trimtab.adapters.forges.fields import Fields, body_of
from trimtab.core.model.facts import PullRequest
from trimtab.core.model.forge import ForgeSpec
from trimtab.ports.forge import CONTEXT, CommitStatus, ForgeEvent, OpenPull, OpenPulls

PULLS_AT_ONCE = 50
_STATES = {
    "pending": "INPROGRESS",
    "success": "SUCCESSFUL",
    "failure": "FAILED",
    "error": "FAILED",
    "cancelled": "STOPPED",
}
_OPENED = ("pullrequest:created", "pullrequest:updated")
_CLOSED = ("pullrequest:fulfilled", "pullrequest:rejected")


class Bitbucket:
    usual_api = "https://api.bitbucket.org/2.0"
    api_example = usual_api

    # --- webhooks ---

    def verify(self, message: Message, secret: str, _now: float) -> None:
        signatures.require_hex(message.headers, ("x-hub-signature",), "sha256=", secret, message.body)

    def read(self, message: Message, forge: ForgeSpec) -> ForgeEvent:
        kind, delivery = message.headers.get("x-event-key", ""), message.headers.get("x-request-uuid", "")
        if kind == "diagnostics:ping":
            return ForgeEvent("ping", delivery, "ping")
        body = body_of(message.headers.get("content-type", ""), message.body)
        if kind not in ("repo:push", *_OPENED, *_CLOSED):
            return ignored(delivery, f"nothing follows from the event {kind}")
        about = body.text("repository", "full_name")
        if about.lower() != forge.repository.lower():
            return ignored(delivery, f"it is about {about}, and this application is {forge.repository}")
        if kind == "repo:push":
            news = [change.part("new") for change in body.parts("push", "changes") if change.has("new")]
            return pushed(delivery, *(new.text("name") for new in news if new.text("type") == "branch"))
        return pull_event(delivery, _pull(body.part("pullrequest")), closed=kind in _CLOSED)

    # --- Git ---

    def clone_url(self, forge: ForgeSpec, repository: str) -> str:
        address = urlsplit(forge.api_url)
        return f"{address.scheme}://{address.netloc.removeprefix('api.')}/{repository}.git"

    def ref(self, pull: OpenPull) -> str:
        """There is no ref of the pull request: its source is fetched, from the fork if it is in one."""
        return f"refs/heads/{pull.branch}"

    def git_authorization(self, token: str) -> str:
        return basic("x-token-auth", token)

    # --- the API ---

    def headers(self, token: str) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {token}", "Accept": "application/json"}

    def set_status(self, forge: ForgeSpec, status: CommitStatus) -> Ask:
        said = {
            "key": CONTEXT,
            "name": CONTEXT,
            "state": _STATES[status.state],
            "description": status.description,
            "url": status.url,
        }
        return Ask("POST", f"/repositories/{forge.repository}/commit/{status.commit}/statuses/build", json=said)

    def list_pulls(self, forge: ForgeSpec) -> Ask:
        params: dict[str, str | int] = {"state": "OPEN", "sort": "-updated_on", "pagelen": PULLS_AT_ONCE}
        return Ask("GET", f"/repositories/{forge.repository}/pullrequests", params)

    def read_pulls(self, answer: object) -> OpenPulls:
        page = Fields(answer)
        return OpenPulls(tuple(map(_pull, page.parts("values"))), not page.has("next"))

    def list_comments(self, forge: ForgeSpec, number: int, page: int) -> Ask | None:
        return Ask("GET", _comments(forge, number), {"pagelen": AT_ONCE, "page": page})

    def read_comments(self, answer: object) -> tuple[tuple[Comment, ...], bool]:
        page = Fields(answer)
        there = (one for one in page.parts("values") if not one.has("deleted"))
        return tuple(Comment(one.number("id"), one.text_or("", "content", "raw")) for one in there), page.has("next")

    def new_comment(self, forge: ForgeSpec, number: int, text: str) -> Ask:
        return Ask("POST", _comments(forge, number), json={"content": {"raw": text}})

    def edit_comment(self, forge: ForgeSpec, number: int, comment: Comment, text: str) -> Ask:
        return Ask("PUT", f"{_comments(forge, number)}/{comment.id}", json={"content": {"raw": text}})

    def mark(self, topic: str) -> str:
        return reference_mark(topic)


def reference_mark(topic: str) -> str:
    """Bitbucket shows HTML comments, and hides the definition of a link that is not used."""
    return f"[//]: # (trimtab: {topic})"


def _comments(forge: ForgeSpec, number: int) -> str:
    return f"/repositories/{forge.repository}/pullrequests/{number}/comments"


def _pull(pull: Fields) -> OpenPull:
    base = pull.text_or("", "destination", "repository", "full_name")
    source = pull.text_or("", "source", "repository", "full_name")
    request = PullRequest(
        number=pull.number("id"),
        base=pull.text("destination", "branch", "name"),
        url=pull.text_or("", "links", "html", "href"),
        title=pull.text_or("", "title"),
        from_fork=source.lower() != base.lower() or not source,
    )
    head, branch = pull.text_or("", "source", "commit", "hash"), pull.text("source", "branch", "name")
    return OpenPull(request, head, branch, source if request.from_fork else "")
