"""The labs of the forges' contract: the real adapter before a forge of each kind, and forges in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from trimtab.adapters.forges import HttpForges
from trimtab.core.model.facts import PullRequest
from trimtab.core.model.forge import ForgeKind, ForgeSpec
from trimtab.ports.forge import OpenPull, StatusState
from trimtab.testing.forge_contract import NOW, ForgeLab, Signed
from trimtab.testing.forge_double import SECRET, ForgeDouble, Mischief
from trimtab.testing.forge_manners import Proposal, Remark
from trimtab.testing.memory_forges import MemoryForges

KINDS: tuple[ForgeKind, ...] = ("github", "gitlab", "gitea", "bitbucket", "bitbucket-data-center")


class HurriedClock:
    """Time that passes as soon as somebody waits for it."""

    def __init__(self) -> None:
        self.at = NOW
        self.waited_s: list[float] = []

    def now(self) -> float:
        return self.at

    async def sleep(self, seconds: float) -> None:
        self.waited_s.append(seconds)
        self.at += seconds


class HttpLab:
    """The real adapter and a forge over HTTP."""

    def __init__(self, double: ForgeDouble) -> None:
        self.double, self.clock = double, HurriedClock()
        self.forges = HttpForges(self.clock, chance=lambda: 0.5)
        self.forge, self.token, self.secret = double.spec, double.token, SECRET
        self._messenger = double.messenger(now=NOW)

    @property
    def waited_s(self) -> list[float]:
        return self.clock.waited_s

    def push(self, branch: str, delivery: str) -> Signed:
        message = self._messenger.push(branch, "a" * 40, delivery)
        return message.headers, message.body

    def pull(self, number: int, delivery: str, *, closed: bool = False) -> Signed:
        message = self._messenger.pull("closed" if closed else "updated", self.double.pulls[number], delivery)
        return message.headers, message.body

    def other(self, delivery: str) -> Signed:
        message = self._messenger.other(delivery)
        return message.headers, message.body

    def signed(self, body: bytes, delivery: str) -> Signed:
        message = self._messenger.sealed(body, delivery, kind=self._push_kind)
        return message.headers, message.body

    @property
    def _push_kind(self) -> str:
        return {"bitbucket": "repo:push", "bitbucket-data-center": "repo:refs_changed"}.get(self.forge.kind, "push")

    def open(self, number: int, *, head: str, branch: str, fork: str = "") -> None:
        self.double.pulls[number] = Proposal(number, branch, head, fork=fork)

    def close(self, number: int) -> None:
        self.double.pulls[number].is_open = False

    def statuses(self) -> list[tuple[str, str, str, str]]:
        assert {said.context for said in self.double.statuses} <= {"trimtab"}
        return [(said.commit, said.state, said.description, said.url) for said in self.double.statuses]

    def word(self, state: StatusState) -> str:
        return self.double.manners.words[state]

    def comments(self, number: int) -> list[str]:
        return [remark.text for remark in self.double.comments.get(number, [])]

    def chat(self, number: int, remarks: int) -> None:
        there = self.double.comments.setdefault(number, [])
        there += [Remark(1000 + len(there) + each, "I like it") for each in range(remarks)]

    def stumble(self, times: int) -> None:
        self.double.mischief.extend([Mischief()] * times)


class MemoryLab:
    def __init__(self) -> None:
        self.clock = HurriedClock()
        self.forges = MemoryForges(self.clock)
        self.forge, self.token, self.secret = ForgeSpec("github", "org/shop", "memory:"), "the-token", "a-secret"

    @property
    def waited_s(self) -> list[float]:
        return self.clock.waited_s

    def push(self, branch: str, delivery: str) -> Signed:
        return self.forges.message("push", delivery, self.secret, branch=branch)

    def pull(self, number: int, delivery: str, *, closed: bool = False) -> Signed:
        return self.forges.message("closed" if closed else "opened", delivery, self.secret, number=number)

    def other(self, delivery: str) -> Signed:
        return self.forges.message("ignored", delivery, self.secret)

    def signed(self, body: bytes, delivery: str) -> Signed:
        return self.forges.signed(body, self.secret)

    def open(self, number: int, *, head: str, branch: str, fork: str = "") -> None:
        request = replace(PullRequest(number, "main"), from_fork=bool(fork))
        self.forges.pulls[number] = OpenPull(request, head, branch, fork)

    def close(self, number: int) -> None:
        del self.forges.pulls[number]

    def statuses(self) -> list[tuple[str, str, str, str]]:
        return [(said.commit, said.state, said.description, said.url) for said in self.forges.statuses]

    def word(self, state: StatusState) -> str:
        return state

    def comments(self, number: int) -> list[str]:
        return list(self.forges.comments.get(number, {}).values())

    def chat(self, number: int, remarks: int) -> None:
        there = self.forges.comments.setdefault(number, {})
        there.update({f"{len(there)} {each}": "I like it" for each in range(remarks)})

    def stumble(self, times: int) -> None:
        self.forges.stumbles = times


@contextmanager
def a_lab(kind: str) -> Iterator[ForgeLab]:
    """`kind`: of a forge, or ``memory``."""
    if kind == "memory":
        yield MemoryLab()
        return
    with ForgeDouble(next(known for known in KINDS if known == kind)) as double:
        yield HttpLab(double)
