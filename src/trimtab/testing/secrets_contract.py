"""What every `Secrets` promises. Each check gets a fresh `SecretsBench`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from trimtab.core.errors import Problem, TrimtabError
from trimtab.core.model.secret import SecretSpec
from trimtab.ports.secrets import Secrets

APP = "shop"
VALUE = 'ümlaut, "quotes", $dollars and = signs'


class SecretsBench(Protocol):
    """Secrets under examination, and whoever sets them."""

    @property
    def secrets(self) -> Secrets: ...

    @property
    def commit(self) -> str:
        """The commit whose secrets are asked for."""
        ...

    async def put(self, name: str, value: str) -> SecretSpec:
        """Set it for APP; how it is asked for."""
        ...

    async def absent(self, name: str) -> SecretSpec:
        """How one would be asked for that nobody has set."""
        ...

    async def broken(self, name: str) -> SecretSpec:
        """One that is there and cannot be read."""
        ...


SecretsCheck = Callable[[SecretsBench], Awaitable[None]]


async def problem_of(bench: SecretsBench, *wanted: SecretSpec) -> Problem:
    """The problem that asking for these must raise."""
    try:
        await bench.secrets.values(APP, bench.commit, wanted)
    except TrimtabError as error:
        return error.problem
    raise AssertionError("no error was raised")


async def check_values_are_as_they_were_set(bench: SecretsBench) -> None:
    wanted = [await bench.put("ONE", VALUE), await bench.put("LINES", "first\nsecond\n\nlast")]
    found = await bench.secrets.values(APP, bench.commit, wanted)
    assert found == {"ONE": VALUE, "LINES": "first\nsecond\n\nlast"}
    assert await bench.secrets.values(APP, bench.commit, wanted[:1]) == {"ONE": VALUE}


async def check_nothing_is_asked_and_nothing_answered(bench: SecretsBench) -> None:
    assert await bench.secrets.values(APP, bench.commit, ()) == {}


async def check_one_that_is_not_there(bench: SecretsBench) -> None:
    there = await bench.put("THERE", VALUE)
    problem = await problem_of(bench, there, await bench.absent("ABSENT"))
    assert problem.code == "secret-missing"
    assert "ABSENT" in f"{problem.message} {problem.where}"
    assert problem.hint


async def check_one_that_cannot_be_read(bench: SecretsBench) -> None:
    problem = await problem_of(bench, await bench.broken("BROKEN"))
    assert problem.code == "secret-unreadable"
    assert problem.hint


async def check_no_value_is_in_an_error_or_in_a_picture_of_the_adapter(bench: SecretsBench) -> None:
    there = await bench.put("THERE", VALUE)
    for spec in (await bench.absent("ABSENT"), await bench.broken("BROKEN")):
        problem = await problem_of(bench, there, spec)
        assert VALUE not in str(problem)
    assert VALUE not in repr(bench.secrets)


CHECKS: tuple[SecretsCheck, ...] = (
    check_values_are_as_they_were_set,
    check_nothing_is_asked_and_nothing_answered,
    check_one_that_is_not_there,
    check_one_that_cannot_be_read,
    check_no_value_is_in_an_error_or_in_a_picture_of_the_adapter,
)
