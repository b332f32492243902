"""The webhook messages of the forges that `ForgeDouble` plays, signed as they sign."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from trimtab.core.model.forge import ForgeKind
from trimtab.testing.forge_manners import Proposal, pull_json

PullAction = Literal["opened", "updated", "reopened", "closed", "merged"]

_ACTIONS: Mapping[ForgeKind, Mapping[PullAction, str]] = {
    "github": {"opened": "opened", "updated": "synchronize", "reopened": "reopened"},
    "gitea": {"opened": "opened", "updated": "synchronized", "reopened": "reopened"},
    "gitlab": {"opened": "open", "updated": "update", "reopened": "reopen", "closed": "close", "merged": "merge"},
    "bitbucket": {
        "opened": "created",
        "updated": "updated",
        "reopened": "updated",
        "closed": "rejected",
        "merged": "fulfilled",
    },
    "bitbucket-data-center": {
        "opened": "opened",
        "updated": "from_ref_updated",
        "reopened": "reopened",
        "closed": "declined",
        "merged": "merged",
    },
}


@dataclass(frozen=True, slots=True)
class Message:
    """What a forge posts; names of headers in lower case."""

    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Messenger:
    """Writes messages about one repository. `now`: when they are signed (seconds since the epoch)."""

    kind: ForgeKind
    repository: str
    secret: str
    now: float

    def push(self, branch: str, commit: str, delivery: str) -> Message:
        """`commit` all zeros: the branch was deleted."""
        ref = f"refs/heads/{branch}"
        if self.kind == "bitbucket":
            new = None if set(commit) == {"0"} else {"type": "branch", "name": branch, "target": {"hash": commit}}
            return self._sealed("repo:push", delivery, {**self._about(), "push": {"changes": [{"new": new}]}})
        if self.kind == "bitbucket-data-center":
            how = "DELETE" if set(commit) == {"0"} else "UPDATE"
            change = {"ref": {"id": ref, "type": "BRANCH"}, "refId": ref, "toHash": commit, "type": how}
            return self._sealed("repo:refs_changed", delivery, {**self._about(), "changes": [change]})
        return self._sealed("push", delivery, {**self._about(), "ref": ref, "after": commit, "object_kind": "push"})

    def pull(self, action: PullAction, pull: Proposal, delivery: str) -> Message:
        written = pull_json(self.kind, self.repository, pull)
        word = _ACTIONS[self.kind].get(action, "closed")
        if self.kind == "bitbucket":
            return self._sealed(f"pullrequest:{word}", delivery, {**self._about(), "pullrequest": written})
        if self.kind == "bitbucket-data-center":
            return self._sealed(f"pr:{word}", delivery, {"eventKey": f"pr:{word}", "pullRequest": written})
        if self.kind == "gitlab":
            attributes = written | {"action": word, "url": written["web_url"], "last_commit": {"id": written["sha"]}}
            attributes |= {"source": {"path_with_namespace": pull.fork or self.repository}}
            del attributes["sha"], attributes["web_url"]
            body = {**self._about(), "object_kind": "merge_request", "object_attributes": attributes}
            return self._sealed("merge_request", delivery, body)
        body = {**self._about(), "action": word, "number": pull.number, "pull_request": written}
        return self._sealed("pull_request", delivery, body)

    def other(self, delivery: str) -> Message:
        """An event that Trimtab does nothing about."""
        words = {"bitbucket": "issue:created", "bitbucket-data-center": "repo:forked", "gitlab": "note"}
        kind = words.get(self.kind, "issues")
        return self._sealed(kind, delivery, {**self._about(), "object_kind": kind, "action": "opened"})

    def ping(self, delivery: str) -> Message:
        """What the button in the forge's settings sends; where that is a push as any other, a push of a tag."""
        if self.kind in ("gitlab", "gitea", "bitbucket"):
            tag = {**self._about(), "object_kind": "push", "ref": "refs/tags/v1", "after": "1" * 40}
            body = tag if self.kind != "bitbucket" else {**self._about(), "push": {"changes": []}}
            return self._sealed("repo:push" if self.kind == "bitbucket" else "push", delivery, body)
        kind = "diagnostics:ping" if self.kind == "bitbucket-data-center" else "ping"
        return self._sealed(kind, delivery, {"zen": "Keep it logically awesome.", "test": True})

    def sealed(self, body: bytes, delivery: str, kind: str = "push") -> Message:
        """Any bytes, signed."""
        digest = hmac.new(self.secret.encode(), body, hashlib.sha256).hexdigest()
        headers = {"content-type": "application/json"}
        match self.kind:
            case "github":
                headers |= {"x-github-event": kind, "x-github-delivery": delivery}
                headers |= {"x-hub-signature-256": f"sha256={digest}"}
            case "gitea":
                headers |= {"x-gitea-event": kind, "x-gitea-delivery": delivery, "x-gitea-signature": digest}
            case "gitlab":
                headers |= {"x-gitlab-event": kind, "x-gitlab-event-uuid": delivery, **self._standard(body, delivery)}
            case "bitbucket":
                headers |= {"x-event-key": kind, "x-request-uuid": delivery, "x-hub-signature": f"sha256={digest}"}
            case "bitbucket-data-center":
                headers |= {"x-event-key": kind, "x-request-id": delivery, "x-hub-signature": f"sha256={digest}"}
        return Message(headers, body)

    def _standard(self, body: bytes, delivery: str) -> dict[str, str]:
        """GitLab's signature, by the Standard Webhooks specification."""
        key, said_at = base64.b64decode(self.secret.removeprefix("whsec_")), str(int(self.now))
        digest = hmac.new(key, f"{delivery}.{said_at}.".encode() + body, hashlib.sha256).digest()
        signature = f"v1,{base64.b64encode(digest).decode()}"
        return {"webhook-id": delivery, "webhook-timestamp": said_at, "webhook-signature": signature}

    def _sealed(self, kind: str, delivery: str, body: Mapping[str, Any]) -> Message:
        return self.sealed(json.dumps(body).encode(), delivery, kind)

    def _about(self) -> dict[str, Any]:
        """How the repository is named in a message."""
        if self.kind == "gitlab":
            return {"project": {"path_with_namespace": self.repository}}
        project, _, slug = self.repository.partition("/")
        return {"repository": {"full_name": self.repository, "slug": slug, "project": {"key": project}}}
