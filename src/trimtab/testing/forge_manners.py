"""How the forges that `ForgeDouble` plays speak: what they are asked, what they take, what they answer.

Written from their documentation and not from our adapters, so that a mistake there shows here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trimtab.core.model.forge import ForgeKind
from trimtab.ports.forge import StatusState


@dataclass(frozen=True, slots=True)
class Said:
    """A commit status as it came."""

    commit: str
    state: str
    context: str
    description: str
    url: str


@dataclass(slots=True)
class Remark:
    """A comment on a pull request."""

    id: int
    text: str
    version: int = 0


@dataclass(slots=True)
class Proposal:
    """A pull request. `fork`: the repository that its branch is in, if it is another one."""

    number: int
    branch: str
    head: str
    base: str = "main"
    title: str = "Change something"
    fork: str = ""
    is_open: bool = True


@dataclass(frozen=True, slots=True)
class Manners:
    """One kind of forge. Paths have `{commit}`, `{number}`, `{id}` in them, and `{repository}` as its API wants it."""

    prefix: str
    """Of the API's address."""
    status: str
    pulls: str
    comments: str
    new_comment: str
    edit_comment: str
    edit_verb: str
    token: str
    """The header that shows the token."""
    token_format: str
    words: Mapping[StatusState, str]
    """What our states are called here."""
    context: str = "context"
    """The field with a status's name."""
    link: str = "target_url"
    text: tuple[str, ...] = ("body",)
    """Where a comment's text is."""
    missing: tuple[str, ...] = field(default=())
    """Fields that a status must not lack."""
    longest: int = 255
    """A status's description (characters)."""


_PLAIN: Mapping[StatusState, str] = {
    "pending": "pending",
    "success": "success",
    "failure": "failure",
    "error": "error",
    "cancelled": "error",
}
MANNERS: Mapping[ForgeKind, Manners] = {
    "github": Manners(
        prefix="",
        status="/repos/{repository}/statuses/{commit}",
        pulls="/repos/{repository}/pulls",
        comments="/repos/{repository}/issues/{number}/comments",
        new_comment="/repos/{repository}/issues/{number}/comments",
        edit_comment="/repos/{repository}/issues/comments/{id}",
        edit_verb="PATCH",
        token="authorization",
        token_format="Bearer {token}",
        words=_PLAIN,
        longest=140,
    ),
    "gitea": Manners(
        prefix="/api/v1",
        status="/repos/{repository}/statuses/{commit}",
        pulls="/repos/{repository}/pulls",
        comments="/repos/{repository}/issues/{number}/comments",
        new_comment="/repos/{repository}/issues/{number}/comments",
        edit_comment="/repos/{repository}/issues/comments/{id}",
        edit_verb="PATCH",
        token="authorization",
        token_format="token {token}",
        words=_PLAIN,
    ),
    "gitlab": Manners(
        prefix="/api/v4",
        status="/projects/{repository}/statuses/{commit}",
        pulls="/projects/{repository}/merge_requests",
        comments="/projects/{repository}/merge_requests/{number}/notes",
        new_comment="/projects/{repository}/merge_requests/{number}/notes",
        edit_comment="/projects/{repository}/merge_requests/{number}/notes/{id}",
        edit_verb="PUT",
        token="private-token",
        token_format="{token}",
        words={
            "pending": "running",
            "success": "success",
            "failure": "failed",
            "error": "failed",
            "cancelled": "canceled",
        },
        context="name",
    ),
    "bitbucket": Manners(
        prefix="/2.0",
        status="/repositories/{repository}/commit/{commit}/statuses/build",
        pulls="/repositories/{repository}/pullrequests",
        comments="/repositories/{repository}/pullrequests/{number}/comments",
        new_comment="/repositories/{repository}/pullrequests/{number}/comments",
        edit_comment="/repositories/{repository}/pullrequests/{number}/comments/{id}",
        edit_verb="PUT",
        token="authorization",
        token_format="Bearer {token}",
        words={
            "pending": "INPROGRESS",
            "success": "SUCCESSFUL",
            "failure": "FAILED",
            "error": "FAILED",
            "cancelled": "STOPPED",
        },
        context="key",
        link="url",
        text=("content", "raw"),
        missing=("url",),
    ),
    "bitbucket-data-center": Manners(
        prefix="/rest/api/1.0",
        status="/projects/{repository}/commits/{commit}/builds",
        pulls="/projects/{repository}/pull-requests",
        comments="/projects/{repository}/pull-requests/{number}/activities",
        new_comment="/projects/{repository}/pull-requests/{number}/comments",
        edit_comment="/projects/{repository}/pull-requests/{number}/comments/{id}",
        edit_verb="PUT",
        token="authorization",
        token_format="Bearer {token}",
        words={
            "pending": "INPROGRESS",
            "success": "SUCCESSFUL",
            "failure": "FAILED",
            "error": "FAILED",
            "cancelled": "FAILED",
        },
        context="key",
        link="url",
        text=("text",),
        missing=("url", "key"),
    ),
}


def repository_in_path(kind: ForgeKind, repository: str) -> str:
    """The repository as paths of the API name it."""
    if kind == "gitlab":
        return repository.replace("/", "%2F")
    project, _, name = repository.partition("/")
    return f"{project}/repos/{name}" if kind == "bitbucket-data-center" else repository


def pull_json(kind: ForgeKind, repository: str, pull: Proposal) -> dict[str, Any]:
    """A pull request as the API, and most webhooks, write it."""
    source, link = pull.fork or repository, f"https://forge.example.com/{repository}/pull/{pull.number}"
    if kind == "gitlab":
        return {
            "iid": pull.number,
            "title": pull.title,
            "web_url": link,
            "source_branch": pull.branch,
            "target_branch": pull.base,
            "source_project_id": 2 if pull.fork else 1,
            "target_project_id": 1,
            "sha": pull.head,
        }
    if kind == "bitbucket":
        return {
            "id": pull.number,
            "title": pull.title,
            "links": {"html": {"href": link}},
            "source": _end(pull.branch, source, pull.head[:12]),
            "destination": _end(pull.base, repository, "0" * 12),
        }
    if kind == "bitbucket-data-center":
        return {
            "id": pull.number,
            "title": pull.title,
            "links": {"self": [{"href": link}]},
            "fromRef": _ref(pull.branch, source, pull.head),
            "toRef": _ref(pull.base, repository, "0" * 40),
        }
    return {
        "number": pull.number,
        "title": pull.title,
        "html_url": link,
        "head": {"ref": pull.branch, "sha": pull.head, "repo": {"full_name": source}},
        "base": {"ref": pull.base, "sha": "0" * 40, "repo": {"full_name": repository}},
    }


def _end(branch: str, repository: str, commit: str) -> dict[str, Any]:
    return {"branch": {"name": branch}, "repository": {"full_name": repository}, "commit": {"hash": commit}}


def _ref(branch: str, repository: str, commit: str) -> dict[str, Any]:
    project, _, slug = repository.partition("/")
    place = {"slug": slug, "project": {"key": project}}
    return {"id": f"refs/heads/{branch}", "displayId": branch, "latestCommit": commit, "repository": place}


def comment_json(kind: ForgeKind, remark: Remark) -> dict[str, Any]:
    """A comment as the API writes it."""
    text: Any = remark.text
    for name in reversed(MANNERS[kind].text):
        text = {name: text}
    return {"id": remark.id, "version": remark.version, **text}


def listing(kind: ForgeKind, items: Sequence[dict[str, Any]], goes_on: bool) -> Any:
    """A page of a list."""
    if kind == "bitbucket":
        return {"values": items, **({"next": "https://forge.example.com/next"} if goes_on else {})}
    if kind == "bitbucket-data-center":
        return {"values": items, "isLastPage": not goes_on}
    return items
