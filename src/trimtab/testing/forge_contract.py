"""What every `Forges` and every `ForgeSecrets` promises. Each check gets a fresh lab."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from trimtab.core.model.forge import ForgeSpec
from trimtab.ports.forge import CommitStatus, ForgeEvent, Forges, ForgeSecrets, StatusState
from trimtab.testing.source_contract import problem_of

Signed = tuple[dict[str, str], bytes]
"""Headers by their names in lower case, and a body."""
NOW = 1_790_000_000.0
COMMIT, OTHER = "a" * 40, "b" * 40
RUN = "https://trimtab.example.com/api/v1/apps/shop/runs/12"


class ForgeLab(Protocol):
    """`Forges` under examination, and a forge whose other side one can see. Waiting costs it no time."""

    @property
    def forges(self) -> Forges: ...

    @property
    def forge(self) -> ForgeSpec: ...

    @property
    def token(self) -> str: ...

    @property
    def secret(self) -> str: ...

    @property
    def waited_s(self) -> Sequence[float]:
        """The pauses before trying again."""
        ...

    def push(self, branch: str, delivery: str) -> Signed: ...

    def pull(self, number: int, delivery: str, *, closed: bool = ...) -> Signed:
        """The message that the pull request has a new head, or is closed."""
        ...

    def other(self, delivery: str) -> Signed:
        """A message that nothing follows from."""
        ...

    def signed(self, body: bytes, delivery: str) -> Signed:
        """Any bytes, signed as the forge does."""
        ...

    def open(self, number: int, *, head: str, branch: str, fork: str = ...) -> None:
        """Somebody opens a pull request for `main`, or pushes to its branch."""
        ...

    def close(self, number: int) -> None: ...

    def statuses(self) -> list[tuple[str, str, str, str]]:
        """Commit, the forge's own word for the state, description, URL; as they came."""
        ...

    def word(self, state: StatusState) -> str:
        """The forge's own word for the state."""
        ...

    def comments(self, number: int) -> list[str]: ...

    def chat(self, number: int, remarks: int) -> None:
        """Other people comment the pull request."""
        ...

    def stumble(self, times: int) -> None:
        """So many requests fail for a reason that passes."""
        ...


ForgeCheck = Callable[[ForgeLab], Awaitable[None]]


def _read(lab: ForgeLab, message: Signed, secret: str | None = None) -> ForgeEvent:
    return lab.forges.read_webhook(lab.forge, secret or lab.secret, message[0], message[1], NOW)


async def _refusal(lab: ForgeLab, message: Signed, secret: str | None = None) -> str:
    async def read() -> ForgeEvent:
        return _read(lab, message, secret)

    problem = await problem_of(read())
    assert problem.hint
    assert lab.secret not in str(problem)
    return problem.code


async def check_a_push_is_read(lab: ForgeLab) -> None:
    event = _read(lab, lab.push("main", "delivery-1"))
    assert (event.kind, event.branches, event.delivery) == ("push", ("main",), "delivery-1")
    assert _read(lab, lab.push("feature/x", "delivery-2")).branches == ("feature/x",)


async def check_a_pull_request_is_read(lab: ForgeLab) -> None:
    lab.open(7, head=COMMIT, branch="verse")
    event = _read(lab, lab.pull(7, "delivery-1"))
    assert (event.kind, event.delivery) == ("opened", "delivery-1")
    assert event.pull is not None
    request = event.pull.pull_request
    assert (request.number, request.base, request.from_fork) == (7, "main", False)
    assert "pull request 7" in event.said
    assert _read(lab, lab.pull(7, "delivery-2", closed=True)).kind == "closed"


async def check_anything_else_is_ignored_with_a_word(lab: ForgeLab) -> None:
    event = _read(lab, lab.other("delivery-1"))
    assert event.kind in ("ignored", "ping")
    assert event.said


async def check_who_does_not_know_the_secret_is_refused(lab: ForgeLab) -> None:
    headers, body = lab.push("main", "delivery-1")
    assert await _refusal(lab, (headers, body), "whsec_" + "A" * 43 + "=") == "webhook-signature"
    assert await _refusal(lab, (headers, body + b" ")) == "webhook-signature"
    assert await _refusal(lab, (dict.fromkeys(headers, "\u00e4\udce4"), body)) in (
        "webhook-signature",
        "webhook-unsigned",
    )
    assert await _refusal(lab, ({"content-type": "application/json"}, body)) == "webhook-unsigned"


async def check_what_is_signed_and_makes_no_sense_is_refused(lab: ForgeLab) -> None:
    for body in (b"", b"{", b"[]", b"null", b'{"repository": 7}', b"\xff\xfe", b"[" * 100_000):
        assert await _refusal(lab, lab.signed(body, "delivery-1")) == "webhook-malformed", body[:20]


async def check_a_status_arrives(lab: ForgeLab) -> None:
    said: tuple[StatusState, ...] = ("pending", "success", "failure", "error", "cancelled")
    for number, state in enumerate(said):
        status = CommitStatus(f"{number}" * 40, state, f"run 12 is {state}", RUN)
        await lab.forges.set_status(lab.forge, lab.token, status)
    assert lab.statuses() == [
        (f"{number}" * 40, lab.word(state), f"run 12 is {state}", RUN) for number, state in enumerate(said)
    ]


async def check_a_status_may_be_said_twice(lab: ForgeLab) -> None:
    for state in ("pending", "pending", "success", "success"):
        await lab.forges.set_status(lab.forge, lab.token, CommitStatus(COMMIT, state, "run 12", RUN))
    words = [word for _, word, _, _ in lab.statuses()]
    assert words[-1] == lab.word("success")
    assert set(words) == {lab.word("pending"), lab.word("success")}


async def check_there_is_one_comment_on_each_topic(lab: ForgeLab) -> None:
    lab.open(7, head=COMMIT, branch="verse")
    lab.open(8, head=OTHER, branch="prose")
    for text in ("run 12 is on", "run 12 passed", "run 12 passed"):
        await lab.forges.comment(lab.forge, lab.token, 7, "shop", text)
    await lab.forges.comment(lab.forge, lab.token, 7, "blog", "run 3 failed")
    shown = [text.splitlines()[0] for text in lab.comments(7)]
    assert shown == ["run 12 passed", "run 3 failed"]
    assert lab.comments(8) == []


async def check_its_comment_is_found_among_many(lab: ForgeLab) -> None:
    lab.open(7, head=COMMIT, branch="verse")
    lab.chat(7, 150)
    await lab.forges.comment(lab.forge, lab.token, 7, "shop", "run 12 is on")
    lab.chat(7, 5)
    await lab.forges.comment(lab.forge, lab.token, 7, "shop", "run 12 passed")
    ours = [text for text in lab.comments(7) if "run 12" in text]
    assert len(ours) == 1
    assert ours[0].startswith("run 12 passed")


async def check_open_pull_requests_are_listed(lab: ForgeLab) -> None:
    await _listed(lab, {})
    lab.open(7, head=COMMIT, branch="verse")
    lab.open(8, head=OTHER, branch="prose", fork="else/shop")
    await _listed(lab, {7: ("verse", ""), 8: ("prose", "else/shop")})
    lab.close(7)
    await _listed(lab, {8: ("prose", "else/shop")})


async def _listed(lab: ForgeLab, expected: dict[int, tuple[str, str]]) -> None:
    found = await lab.forges.open_pull_requests(lab.forge, lab.token)
    assert found.whole
    assert {pull.pull_request.number: pull.branch for pull in found.pulls} == {
        number: branch for number, (branch, _) in expected.items()
    }
    for pull in found.pulls:
        assert pull.pull_request.from_fork == bool(expected[pull.pull_request.number][1])
        assert pull.pull_request.base == "main"
        _, ref = lab.forges.head_of(lab.forge, pull)
        assert ref.startswith("refs/")


async def check_the_wrong_token_is_said(lab: ForgeLab) -> None:
    lab.open(7, head=COMMIT, branch="verse")
    wrong = "not-the-token"
    for call in (
        lab.forges.open_pull_requests(lab.forge, wrong),
        lab.forges.set_status(lab.forge, wrong, CommitStatus(COMMIT, "success", "fine", RUN)),
        lab.forges.comment(lab.forge, wrong, 7, "shop", "fine"),
    ):
        problem = await problem_of(call)
        assert problem.code == "forge-token"
        assert problem.hint
        assert wrong not in str(problem)
    assert lab.waited_s == []


async def check_what_is_not_there_is_said(lab: ForgeLab) -> None:
    problem = await problem_of(lab.forges.comment(lab.forge, lab.token, 99, "shop", "fine"))
    assert problem.code == "forge-missing"
    assert problem.hint


async def check_what_passes_is_waited_for(lab: ForgeLab) -> None:
    lab.open(7, head=COMMIT, branch="verse")
    lab.stumble(3)
    await lab.forges.set_status(lab.forge, lab.token, CommitStatus(COMMIT, "success", "fine", RUN))
    assert len(lab.waited_s) == 3
    assert [word for _, word, _, _ in lab.statuses()] == [lab.word("success")]
    lab.stumble(2)
    await lab.forges.comment(lab.forge, lab.token, 7, "shop", "fine")
    assert len(lab.waited_s) == 5
    assert len(lab.comments(7)) == 1


async def check_what_does_not_pass_is_given_up(lab: ForgeLab) -> None:
    lab.stumble(10_000)
    problem = await problem_of(
        lab.forges.set_status(lab.forge, lab.token, CommitStatus(COMMIT, "success", "fine", RUN))
    )
    assert problem.code == "forge-unreachable"
    assert problem.hint
    assert lab.token not in str(problem)
    assert sum(lab.waited_s) < 10_000


async def check_who_only_looks_does_not_wait(lab: ForgeLab) -> None:
    lab.stumble(1)
    problem = await problem_of(lab.forges.open_pull_requests(lab.forge, lab.token))
    assert problem.code == "forge-unreachable"
    assert lab.waited_s == []


async def check_addresses_are_made_whole(lab: ForgeLab) -> None:
    given = lab.forges.spec(lab.forge.kind, lab.forge.repository, f"{lab.forge.api_url}/")
    assert given == lab.forge
    assert lab.forges.clone_url(given)
    problem = await problem_of(_spec(lab, "shop"))
    assert problem.code == "forge-address"
    assert problem.hint


async def _spec(lab: ForgeLab, repository: str) -> ForgeSpec:
    return lab.forges.spec(lab.forge.kind, repository, lab.forge.api_url)


FORGE_CHECKS: tuple[ForgeCheck, ...] = (
    check_a_push_is_read,
    check_a_pull_request_is_read,
    check_anything_else_is_ignored_with_a_word,
    check_who_does_not_know_the_secret_is_refused,
    check_what_is_signed_and_makes_no_sense_is_refused,
    check_a_status_arrives,
    check_a_status_may_be_said_twice,
    check_there_is_one_comment_on_each_topic,
    check_its_comment_is_found_among_many,
    check_open_pull_requests_are_listed,
    check_the_wrong_token_is_said,
    check_what_is_not_there_is_said,
    check_what_passes_is_waited_for,
    check_what_does_not_pass_is_given_up,
    check_who_only_looks_does_not_wait,
    check_addresses_are_made_whole,
)

SecretsCheck = Callable[[ForgeSecrets], Awaitable[None]]


async def check_tokens_are_kept(secrets: ForgeSecrets) -> None:
    assert secrets.token("shop") is None
    secrets.keep_token("shop", "first\n")
    secrets.keep_token("blog", "other")
    secrets.keep_token("shop", "second")
    assert (secrets.token("shop"), secrets.token("blog")) == ("second", "other")


async def check_what_cannot_be_a_token_is_refused(secrets: ForgeSecrets) -> None:
    for text in ("", " \n", "two words", "two\nlines", "t\u00f6ken"):

        async def keep(text: str = text) -> None:
            secrets.keep_token("shop", text)

        assert (await problem_of(keep())).code == "forge-token-form"
    assert secrets.token("shop") is None


async def check_a_webhook_secret_is_made_once(secrets: ForgeSecrets) -> None:
    assert secrets.webhook_secret("shop") is None
    made = secrets.make_webhook_secret("shop")
    assert made is not None
    assert secrets.make_webhook_secret("shop") is None
    assert secrets.webhook_secret("shop") == made
    assert secrets.make_webhook_secret("blog") not in (None, made)


SECRETS_CHECKS: tuple[SecretsCheck, ...] = (
    check_tokens_are_kept,
    check_what_cannot_be_a_token_is_refused,
    check_a_webhook_secret_is_made_once,
)
