"""What every StateRepository promises. Each check gets a fresh `StateLab`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from trimtab.core.model.desired import desired_path
from trimtab.core.model.identity import Digest, EnvironmentId
from trimtab.ports.source import StateRepository

PRODUCTION = EnvironmentId("shop", "production")
STAGING = EnvironmentId("shop", "staging")
OLD, NEW = "sha256:" + "1" * 64, "sha256:" + "2" * 64


class StateLab(Protocol):
    """A state repository under examination, and someone who pushes to it."""

    @property
    def repository(self) -> StateRepository: ...

    async def push(self, files: Mapping[str, bytes | None], *, author: str = ..., subject: str = ...) -> str:
        """Push a commit with these changes (None: removed) on top of what is there; its id."""
        ...


StateCheck = Callable[[StateLab], Awaitable[None]]


async def write(
    lab: StateLab,
    release: Digest,
    key: str,
    environment: EnvironmentId = PRODUCTION,
    trailers: Mapping[str, str] | None = None,
) -> str:
    """A write with little to say."""
    return await lab.repository.write(
        environment, release, subject=f"Deploy {release[:12]}", body="Because.", trailers=trailers or {}, key=key
    )


async def check_it_begins_empty(lab: StateLab) -> None:
    assert await lab.repository.head() is None
    assert await lab.repository.desired(PRODUCTION) is None
    assert await lab.repository.log() == ()


async def check_what_was_written_is_desired(lab: StateLab) -> None:
    commit = await write(lab, OLD, "a")
    desired = await lab.repository.desired(PRODUCTION)
    assert desired is not None
    assert (desired.release, desired.commit, desired.author) == (OLD, commit, "Trimtab")
    assert desired.subject == f"Deploy {OLD[:12]}"
    assert desired.problem is None
    assert await lab.repository.head() == commit


async def check_environments_are_apart(lab: StateLab) -> None:
    first = await write(lab, OLD, "a", STAGING)
    second = await write(lab, NEW, "b", PRODUCTION)
    staging, production = await lab.repository.desired(STAGING), await lab.repository.desired(PRODUCTION)
    assert staging is not None
    assert production is not None
    assert (staging.release, staging.commit) == (OLD, first)
    assert (production.release, production.commit) == (NEW, second)


async def check_it_says_which_environments_were_touched(lab: StateLab) -> None:
    assert await lab.repository.touched(None) == ()
    first = await write(lab, OLD, "a", STAGING)
    await write(lab, OLD, "b", PRODUCTION)
    second = await lab.push({desired_path(PRODUCTION): None, "README": b"hello"})
    assert set(await lab.repository.touched(None)) == {STAGING, PRODUCTION}
    assert await lab.repository.touched(first) == (PRODUCTION,)
    assert await lab.repository.touched(second) == ()
    assert set(await lab.repository.touched("0" * 40)) == {STAGING, PRODUCTION}


async def check_a_file_that_was_removed_and_came_back_is_desired(lab: StateLab) -> None:
    await write(lab, OLD, "a")
    await lab.push({desired_path(PRODUCTION): None})
    assert await lab.repository.desired(PRODUCTION) is None
    commit = await write(lab, NEW, "b")
    await write(lab, OLD, "c", STAGING)
    desired = await lab.repository.desired(PRODUCTION)
    assert desired is not None
    assert (desired.release, desired.commit) == (NEW, commit)


async def check_a_key_is_written_once(lab: StateLab) -> None:
    first = await write(lab, OLD, "run/1 promote")
    second = await write(lab, NEW, "run/2 promote")
    assert await write(lab, OLD, "run/1 promote") == first
    assert await lab.repository.head() == second
    desired = await lab.repository.desired(PRODUCTION)
    assert desired is not None
    assert desired.release == NEW


async def check_a_key_is_not_found_in_part(lab: StateLab) -> None:
    commits = [await write(lab, OLD, key) for key in ("run/11", "run/1", "un/1", "run/.")]
    assert len(set(commits)) == 4


async def check_a_key_survives_someone_elses_commit(lab: StateLab) -> None:
    first = await write(lab, OLD, "a")
    await lab.push({"README.md": b"hello\n"})
    assert await write(lab, OLD, "a") == first


async def check_the_same_release_can_be_written_again(lab: StateLab) -> None:
    first = await write(lab, OLD, "a")
    assert await write(lab, OLD, "b") != first
    assert len(await lab.repository.log()) == 2


async def check_concurrent_writes_are_all_kept(lab: StateLab) -> None:
    environments = [EnvironmentId(f"app-{n}", "production") for n in range(10)]
    await asyncio.gather(*(write(lab, NEW, f"key {e}", e) for e in environments))
    for environment in environments:
        desired = await lab.repository.desired(environment)
        assert desired is not None
        assert desired.release == NEW
    assert len(await lab.repository.log()) == 10


async def check_concurrent_writes_with_one_key_are_one(lab: StateLab) -> None:
    commits = await asyncio.gather(*(write(lab, NEW, "the key") for _ in range(10)))
    assert len(set(commits)) == 1
    assert len(await lab.repository.log()) == 1


async def check_an_edit_by_hand_is_read(lab: StateLab) -> None:
    await write(lab, OLD, "a")
    content = f"# please\n\nrelease: '{NEW}'   # now\n".encode()
    commit = await lab.push({desired_path(PRODUCTION): content}, author="Grace", subject="Try the new one")
    desired = await lab.repository.desired(PRODUCTION)
    assert desired is not None
    assert (desired.release, desired.commit) == (NEW, commit)
    assert (desired.author, desired.subject) == ("Grace", "Try the new one")


async def check_an_edit_that_makes_no_sense_is_a_problem(lab: StateLab) -> None:
    await write(lab, OLD, "a")
    for content in (
        b"",
        b"release:\n",
        b"relase: " + NEW.encode(),
        b"release: " + NEW[:20].encode(),
        b"release: " + NEW.upper().encode(),
        b"release: " + NEW.encode() + b"\nreplicas: 3\n",
        (b"release: " + NEW.encode() + b"\n") * 2,
        b"- release: " + NEW.encode(),
        b"release:" + NEW.encode(),
        b"\xff\xfe",
        b"<<<<<<< HEAD\nrelease: " + NEW.encode() + b"\n",
        b"release: " + NEW.encode() + b"\n" + b"#" * 70000,
    ):
        commit = await lab.push({desired_path(PRODUCTION): content})
        desired = await lab.repository.desired(PRODUCTION)
        assert desired is not None, content
        assert (desired.release, desired.commit) == (None, commit), content
        assert desired.problem is not None, content
        assert desired.problem.code == "state-invalid"
        assert desired_path(PRODUCTION) in desired.problem.where
        assert commit[:12] in desired.problem.where
        assert "release: sha256:" in desired.problem.hint


async def check_a_removed_file_is_nothing_desired(lab: StateLab) -> None:
    await write(lab, OLD, "a")
    await write(lab, OLD, "b", STAGING)
    await lab.push({desired_path(PRODUCTION): None})
    assert await lab.repository.desired(PRODUCTION) is None
    await write(lab, NEW, "c")
    desired = await lab.repository.desired(PRODUCTION)
    assert desired is not None
    assert desired.release == NEW


async def check_writes_go_on_top_of_pushes(lab: StateLab) -> None:
    await write(lab, OLD, "a")
    await lab.push({"README.md": b"hello\n", desired_path(STAGING): f"release: {NEW}\n".encode()})
    await write(lab, NEW, "b")
    staging = await lab.repository.desired(STAGING)
    assert staging is not None
    assert staging.release == NEW
    assert len(await lab.repository.log()) == 3


async def check_the_log_has_the_trailers(lab: StateLab) -> None:
    first = await lab.repository.write(
        PRODUCTION,
        OLD,
        subject="Roll back to\nthe old one",
        body="It failed.\n\nNot-A-Trailer: of the body",
        trailers={"Trimtab-Run": "12", "Trimtab-Reason": "5 % of requests\nfailed: too many"},
        key="a",
        author="Ada <ada@example.com>",
    )
    second = await write(lab, NEW, "b")
    newest, oldest = await lab.repository.log()
    assert (newest["commit"], oldest["commit"]) == (second, first)
    assert oldest["subject"] == "Roll back to the old one"
    assert oldest["Trimtab-Run"] == "12"
    assert oldest["Trimtab-Reason"] == "5 % of requests failed: too many"
    assert oldest["Trimtab-Key"] == "a"
    assert "Not-A-Trailer" not in oldest
    assert oldest["author"].startswith("Ada")
    assert float(oldest["at"]) >= 0
    assert [entry["commit"] for entry in await lab.repository.log(limit=1)] == [second]


STATE_CHECKS: tuple[StateCheck, ...] = (
    check_it_begins_empty,
    check_what_was_written_is_desired,
    check_environments_are_apart,
    check_a_key_is_written_once,
    check_a_key_is_not_found_in_part,
    check_a_key_survives_someone_elses_commit,
    check_the_same_release_can_be_written_again,
    check_concurrent_writes_are_all_kept,
    check_concurrent_writes_with_one_key_are_one,
    check_an_edit_by_hand_is_read,
    check_an_edit_that_makes_no_sense_is_a_problem,
    check_a_removed_file_is_nothing_desired,
    check_writes_go_on_top_of_pushes,
    check_the_log_has_the_trailers,
)
