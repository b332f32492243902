"""Bitbucket Data Center: it signs like Bitbucket Cloud, and is another program in all else."""

from __future__ import annotations

from collections.abc import Mapping

from trimtab.adapters.forges.bitbucket import Bitbucket, reference_mark
from trimtab.adapters.forges.dialect import AT_ONCE, Ask, Comment, Message, branch_of, ignored, pull_event, pushed
from trimtab.adapters.forges.fields import Fields, body_of
from trimtab.core.model.facts import PullRequest
from trimtab.core.model.forge import ForgeSpec
from trimtab.ports.forge import CONTEXT, CommitStatus, ForgeEvent, OpenPull, OpenPulls

_STATES = {"pending": "INPROGRESS", "success": "SUCCESSFUL"}
_OPENED = ("pr:opened", "pr:from_ref_updated", "pr:modified", "pr:reopened")
_CLOSED = ("pr:merged", "pr:declined", "pr:deleted")


class BitbucketDataCenter:
    usual_api = ""
    api_example = "https://bitbucket.example.com/rest/api/1.0"

    # --- webhooks ---

    def verify(self, message: Message, secret: str, now: float) -> None:
        Bitbucket().verify(message, secret, now)

    def read(self, message: Message, forge: ForgeSpec) -> ForgeEvent:
        kind, delivery = message.headers.get("x-event-key", ""), message.headers.get("x-request-id", "")
        if kind == "diagnostics:ping":
            return ForgeEvent("ping", delivery, "ping")
        body = body_of(message.headers.get("content-type", ""), message.body)
        if kind not in ("repo:refs_changed", *_OPENED, *_CLOSED):
            return ignored(delivery, f"nothing follows from the event {kind}")
        place = ("repository",) if kind == "repo:refs_changed" else ("pullRequest", "toRef", "repository")
        about = _name(body.part(*place))
        if about.lower() != forge.repository.lower():
            return ignored(delivery, f"it is about {about}, and this application is {forge.repository}")
        if kind == "repo:refs_changed":
            changed = [change for change in body.parts("changes") if change.text("type") != "DELETE"]
            branches = [branch_of(change.text("ref", "id")) for change in changed]
            return pushed(delivery, *filter(None, branches))
        return pull_event(delivery, _pull(body.part("pullRequest")), closed=kind in _CLOSED)

    # --- Git ---

    def clone_url(self, forge: ForgeSpec, repository: str) -> str:
        return f"{forge.api_url.partition('/rest/api/')[0]}/scm/{repository.lower()}.git"

    def ref(self, pull: OpenPull) -> str:
        return f"refs/pull-requests/{pull.pull_request.number}/from"

    def git_authorization(self, token: str) -> str:
        return f"Bearer {token}"

    # --- the API ---

    def headers(self, token: str) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {token}", "Accept": "application/json", "X-Atlassian-Token": "no-check"}

    def set_status(self, forge: ForgeSpec, status: CommitStatus) -> Ask:
        said = {
            "key": CONTEXT,
            "name": CONTEXT,
            "state": _STATES.get(status.state, "FAILED"),
            "description": status.description,
            "url": status.url,
        }
        return Ask("POST", f"{_repository(forge)}/commits/{status.commit}/builds", json=said)

    def list_pulls(self, forge: ForgeSpec) -> Ask:
        return Ask("GET", f"{_repository(forge)}/pull-requests", {"state": "OPEN", "limit": AT_ONCE})

    def read_pulls(self, answer: object) -> OpenPulls:
        page = Fields(answer)
        return OpenPulls(tuple(map(_pull, page.parts("values"))), page.has("isLastPage"))

    def list_comments(self, forge: ForgeSpec, number: int, page: int) -> Ask | None:
        """Comments are among what happened to the pull request."""
        params = {"limit": AT_ONCE, "start": (page - 1) * AT_ONCE}
        return Ask("GET", f"{_repository(forge)}/pull-requests/{number}/activities", params)

    def read_comments(self, answer: object) -> tuple[tuple[Comment, ...], bool]:
        page = Fields(answer)
        said = (one.part("comment") for one in page.parts("values") if one.text("action") == "COMMENTED")
        found = (Comment(one.number("id"), one.text_or("", "text"), one.number_or(0, "version")) for one in said)
        return tuple(found), not page.has("isLastPage")

    def new_comment(self, forge: ForgeSpec, number: int, text: str) -> Ask:
        return Ask("POST", f"{_repository(forge)}/pull-requests/{number}/comments", json={"text": text})

    def edit_comment(self, forge: ForgeSpec, number: int, comment: Comment, text: str) -> Ask:
        path = f"{_repository(forge)}/pull-requests/{number}/comments/{comment.id}"
        return Ask("PUT", path, json={"text": text, "version": comment.version})

    def mark(self, topic: str) -> str:
        return reference_mark(topic)


def _repository(forge: ForgeSpec) -> str:
    project, _, slug = forge.repository.partition("/")
    return f"/projects/{project}/repos/{slug}"


def _name(repository: Fields) -> str:
    return f"{repository.text('project', 'key')}/{repository.text('slug')}"


def _pull(pull: Fields) -> OpenPull:
    base, source = _name(pull.part("toRef", "repository")), _name(pull.part("fromRef", "repository"))
    links = [link.text_or("", "href") for link in pull.parts("links", "self")] if pull.has("links", "self") else []
    request = PullRequest(
        number=pull.number("id"),
        base=branch_of(pull.text("toRef", "id")),
        url=next(iter(links), ""),
        title=pull.text_or("", "title"),
        from_fork=source != base,
    )
    branch = branch_of(pull.text("fromRef", "id"))
    return OpenPull(request, pull.text_or("", "fromRef", "latestCommit"), branch, source if request.from_fork else "")
