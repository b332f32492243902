"""Forges that stumble: how long is waited, what is told apart, and that nothing is said twice."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.adapters.forges.labs import HttpLab, HurriedClock
from trimtab.adapters.forges import FileForgeSecrets, HttpForges, Patience
from trimtab.core.errors import TrimtabError
from trimtab.ports.forge import CommitStatus
from trimtab.testing.forge_contract import COMMIT, NOW, RUN
from trimtab.testing.forge_double import GARBAGE, HANG, ForgeDouble, Mischief
from trimtab.testing.forge_manners import Proposal

STATUS = CommitStatus(COMMIT, "success", "fine", RUN)


@pytest.fixture
def double() -> Iterator[ForgeDouble]:
    with ForgeDouble("github") as double:
        yield double


async def said(lab: HttpLab) -> list[float]:
    """The pauses before a status was taken."""
    await lab.forges.set_status(lab.forge, lab.token, STATUS)
    await lab.forges.aclose()
    assert len(lab.double.statuses) == 1
    return lab.waited_s


async def problem(lab: HttpLab) -> TrimtabError:
    with pytest.raises(TrimtabError) as caught:
        await lab.forges.set_status(lab.forge, lab.token, STATUS)
    await lab.forges.aclose()
    assert lab.double.statuses == []
    return caught.value


async def test_pauses_grow_and_are_spread_by_chance(double: ForgeDouble) -> None:
    double.mischief.extend([Mischief(502)] * 4)
    lab = HttpLab(double)
    assert await said(lab) == [0.75, 1.5, 3.0, 6.0]
    assert Patience().wait_s(1, 0.0, 0.0) == 0.5
    assert Patience().wait_s(3, 0.0, 1.0) == 4.0
    assert Patience().wait_s(99, 0.0, 1.0) == 300.0


async def test_a_forge_says_how_long_to_leave_it_alone(double: ForgeDouble) -> None:
    double.mischief.extend(
        [
            Mischief(429, {"Retry-After": "60"}),
            Mischief(403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(int(NOW + 60 + 100))}),
            Mischief(503, {"Retry-After": "5"}),
        ]
    )
    lab = HttpLab(double)
    first, second, third = await said(lab)
    assert 60.0 <= first < 61.0
    assert 99.0 <= second <= 101.0
    assert 5.0 <= third < 10.0


async def test_a_pause_that_would_be_too_long_is_not_begun(double: ForgeDouble) -> None:
    double.mischief.extend([Mischief(429, {"Retry-After": "86400"})])
    lab = HttpLab(double)
    error = await problem(lab)
    assert error.problem.code == "forge-unreachable"
    assert "given up after 1 attempt" in error.problem.message
    assert lab.waited_s == []


async def test_trying_again_has_an_end(double: ForgeDouble) -> None:
    double.mischief.extend([Mischief(500)] * 500)
    lab = HttpLab(double)
    await problem(lab)
    assert 7000 < sum(lab.waited_s) <= 7200


async def test_a_page_in_place_of_json_is_waited_for_where_json_is_needed(double: ForgeDouble) -> None:
    double.pulls[7] = Proposal(7, "verse", COMMIT)
    double.mischief.append(GARBAGE)
    lab = HttpLab(double)
    await lab.forges.comment(lab.forge, lab.token, 7, "shop", "fine")
    assert len(lab.waited_s) == 1
    double.mischief.append(GARBAGE)
    with pytest.raises(TrimtabError) as caught:
        await lab.forges.open_pull_requests(lab.forge, lab.token)
    assert caught.value.problem.code == "forge-answer"
    double.mischief.append(Mischief(200, body=b'{"not": "a list"}'))
    with pytest.raises(TrimtabError) as caught:
        await lab.forges.open_pull_requests(lab.forge, lab.token)
    assert caught.value.problem.code == "forge-answer"
    await lab.forges.aclose()


async def test_a_comment_whose_answer_was_lost_is_not_made_twice(double: ForgeDouble) -> None:
    double.pulls[7] = Proposal(7, "verse", COMMIT)
    double.mischief.extend([Mischief(200, body=b"[]", after=True), Mischief(502, after=True)])
    lab = HttpLab(double)
    await lab.forges.comment(lab.forge, lab.token, 7, "shop", "fine")
    await lab.forges.aclose()
    assert double.requests[1].startswith("POST")
    assert len(double.comments[7]) == 1


async def test_a_forge_that_hangs_or_is_not_there_is_given_up(double: ForgeDouble) -> None:
    double.mischief.append(HANG)
    clock = HurriedClock()
    forges = HttpForges(clock, lambda: 0.0, Patience(total_s=3.0), timeout_s=0.2)
    await forges.set_status(double.spec, double.token, STATUS)
    assert len(clock.waited_s) == 1
    nowhere = replace(double.spec, api_url="http://127.0.0.1:9")
    with pytest.raises(TrimtabError) as caught:
        await forges.set_status(nowhere, double.token, STATUS)
    await forges.aclose()
    assert caught.value.problem.code == "forge-unreachable"
    assert "cannot be reached" in caught.value.problem.message


@pytest.mark.parametrize(
    ("mischief", "code"),
    [
        (Mischief(401), "forge-token"),
        (Mischief(403, body=b'{"message": "Resource not accessible by personal access token"}'), "forge-token"),
        (Mischief(404), "forge-missing"),
        (Mischief(422, body=b'{"message": "Validation Failed"}'), "forge-refused"),
        (Mischief(301, {"Location": "https://api.github.com/repositories/7/statuses"}), "forge-refused"),
    ],
)
async def test_what_does_not_pass_is_not_tried_again(double: ForgeDouble, mischief: Mischief, code: str) -> None:
    double.mischief.append(mischief)
    lab = HttpLab(double)
    error = await problem(lab)
    assert error.problem.code == code
    assert error.problem.hint
    assert lab.waited_s == []
    assert "the-token" not in str(error)


async def test_an_endless_answer_is_cut_off(double: ForgeDouble) -> None:
    double.mischief.append(Mischief(200, body=b" " * (17 * 1024 * 1024)))
    lab = HttpLab(double)
    error = await problem(lab)
    assert error.problem.code == "forge-answer"


def test_secrets_are_for_their_owner_only(tmp_path: Path) -> None:
    secrets = FileForgeSecrets(tmp_path / "secrets")
    secrets.keep_token("shop", "first")
    secrets.keep_token("shop", "second")
    made = secrets.make_webhook_secret("shop")
    folder = tmp_path / "secrets" / "shop"
    assert sorted(path.name for path in folder.iterdir()) == ["forge-token", "forge-webhook"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert made is not None
    assert made.startswith("whsec_")
    for name in ("../shop", "", "a/b"):
        with pytest.raises(TrimtabError):
            secrets.token(name)


def test_a_secret_that_cannot_be_read_is_said(tmp_path: Path) -> None:
    (tmp_path / "shop" / "forge-token").mkdir(parents=True)
    with pytest.raises(TrimtabError) as caught:
        FileForgeSecrets(tmp_path).token("shop")
    assert caught.value.problem.code == "forge-secret"
