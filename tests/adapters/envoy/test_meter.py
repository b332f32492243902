"""Counts from the access log: made-up lines first, then Envoy's own."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.adapters.envoy.rig import EnvoyRig, eventually, url
from trimtab.adapters.envoy import log_file
from trimtab.adapters.envoy import users as users_module
from trimtab.adapters.envoy.meter import WINDOW_S, Meter
from trimtab.core.model.identity import EnvironmentId
from trimtab.core.model.specification import LatencyMeasure
from trimtab.core.model.traffic import ArmCounts, UserCounts
from trimtab.core.stats.histogram import bucket_of
from trimtab.core.stats.latency import Threshold, slow_users
from trimtab.testing.traffic_contract import OLD

SHOP = EnvironmentId("shop", "production")
NOW = 1_700_000_100.0


def line(
    *,
    at: float = NOW,
    cluster: str = "arm",
    code: int = 200,
    flags: str = "-",
    total_us: str = "2000",
    first_us: str = "500",
    total_ms: str = "2",
    began: float | None = None,
    way: str = "all",
    user: str = "-",
) -> str:
    times = f"{int(at)}\t{int(at if began is None else began)}"
    return f"{times}\t{way}\t{cluster}\t{code}\t{flags}\t{total_us}\t{first_us}\t{total_ms}\t127.0.0.1:1\t{user}\n"


class Log:
    """An access log with a meter on it."""

    def __init__(self, folder: Path, measure: LatencyMeasure = "total") -> None:
        self.path = folder / "access.log"
        self.reopened = 0
        self.path.touch()
        self.meter = Meter(self.path, "epoch", self.reopen)
        self.meter.watch("arm", SHOP, OLD, measure)

    async def reopen(self) -> None:
        self.reopened += 1
        self.path.touch()

    def write(self, text: str) -> None:
        with self.path.open("a") as log:
            log.write(text)

    async def counts(self, now: float = NOW) -> ArmCounts:
        await self.meter.catch_up()
        return self.meter.counts(SHOP, now).get(OLD, ArmCounts())


async def test_garbage_partial_lines_and_strangers_are_not_counted(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.write("garbage\n\t\t\t\n\n" + line(cluster="-") + line(cluster="other") + line(total_us="x") + "\x00\xff" * 9)
    log.write("\n" + line() + line()[:30])
    assert (await log.counts()).requests == 1
    log.write(line()[30:])
    assert (await log.counts()).requests == 2


@pytest.mark.parametrize(
    ("code", "flags", "is_error"),
    [
        (200, "-", False),
        (404, "-", False),
        (500, "-", True),
        (503, "UF,URX", True),
        (0, "DC", False),
        (0, "UR", True),
        (200, "UC", True),
        (200, "DC", False),
        (200, "SI", False),
    ],
)
async def test_what_an_error_is(tmp_path: Path, code: int, flags: str, is_error: bool) -> None:
    log = Log(tmp_path)
    log.write(line(code=code, flags=flags))
    counts = await log.counts()
    assert (counts.requests, counts.errors) == (1, int(is_error))


async def test_which_duration_counts(tmp_path: Path) -> None:
    cases: tuple[tuple[LatencyMeasure, str, int], ...] = (
        ("total", line(), 2000),
        ("first_byte", line(), 500),
        ("total", line(flags="DC", code=0, total_us="-", first_us="-", total_ms="7"), 7000),
        ("total", line(code=101, total_us="9000000"), 500),
        ("total", line(total_us="0"), 0),
    )
    for measure, text, expected_us in cases:
        folder = tmp_path / f"{measure}-{expected_us}"
        folder.mkdir()
        log = Log(folder, measure)
        log.write(text)
        assert (await log.counts()).latency.counts == {bucket_of(expected_us): 1}


async def test_recent_forgets_and_total_does_not(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.write(line(at=NOW) + line(at=NOW + WINDOW_S))
    counts = await log.counts(NOW + WINDOW_S)
    assert (counts.requests, counts.recent.total) == (2, 2)
    counts = await log.counts(NOW + 2 * WINDOW_S)
    assert (counts.requests, counts.latency.total, counts.recent.total) == (2, 2, 1)
    log.write(line(at=NOW))  # late
    counts = await log.counts(NOW + 9 * WINDOW_S)
    assert (counts.requests, counts.latency.total, counts.recent.total) == (3, 3, 0)


async def test_counting_starts_at_the_end_of_the_log(tmp_path: Path) -> None:
    for old, fresh in ((line(), line()), (line() + line()[:25], line()[25:] + line())):
        (tmp_path / "access.log").write_text(old)
        log = Log(tmp_path)
        log.write(fresh)
        assert (await log.counts()).requests == 1


async def test_a_big_log_is_rotated_and_no_line_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_file, "_ROTATE_BYTES", 1000)
    log = Log(tmp_path)
    for written in range(1, 101):
        log.write(line())
        assert (await log.counts()).requests == written
    assert log.reopened > 3
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 3000


@pytest.mark.asyncio(loop_scope="module")
class TestEnvoysOwnLines:
    async def test_answers_failures_and_clients_that_leave(self, rig: EnvoyRig) -> None:
        route = await rig.route("lines", candidate=False)
        await rig.gateway.apply(route, 1)
        for path in ("/", "/fail", "/fail"):
            await rig.get(route, path)
        with pytest.raises(httpx.RemoteProtocolError):
            await rig.get(route, "/break")
        with pytest.raises(httpx.ReadTimeout):
            await rig.client.get(url(route, "/held"), timeout=0.05)

        async def counted() -> bool:
            counts = (await rig.gateway.counts(route.environment)).get(OLD)
            return counts is not None and (counts.requests, counts.errors, counts.latency.total) == (5, 3, 5)

        await eventually(counted)

    async def test_rotation_loses_no_request(self, rig: EnvoyRig, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(log_file, "_ROTATE_BYTES", 2000)
        route = await rig.route("rotation", candidate=False)
        await rig.gateway.apply(route, 1)
        log = rig.home / "access.log"
        sent, files = 0, [0]
        while len(files) < 5:
            await rig.send(route, 20)
            sent += 20
            await rig.gateway.counts(route.environment)
            if log.exists() and log.stat().st_ino != files[-1]:
                files.append(log.stat().st_ino)

        async def counted() -> bool:
            counts = (await rig.gateway.counts(route.environment)).get(OLD)
            return counts is not None and counts.requests == sent

        await eventually(counted)
        # Envoy makes the new file when it next writes.
        assert {path.name for path in rig.home.glob("access.log*")} - {"access.log"} == {"access.log.1"}


# --- who takes part, and whose requests they are ---------------------------------------------------------------------


async def test_only_requests_that_were_shared_out_are_compared(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.write("".join(line(way=way) for way in ("all", "shared", "mirror", "chosen", "outside", "dropped")))
    assert (await log.counts()).requests == 3


async def test_arrivals_are_counted_by_when_they_began(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.write(line(way="shared", began=NOW - 25) + line(way="shared", began=NOW - 24) + line(way="mirror"))
    log.write(line(way="shared", began=NOW))
    slot = int(NOW) // 10
    assert (await log.counts()).arrivals == {slot - 3: 2, slot: 1}


async def test_each_user_fails_once(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.meter.watch_users(SHOP, "candidate")
    for second in range(3):
        log.write(line(at=NOW + second, way="shared", user="ann", code=500) * 5)
        log.write(line(at=NOW + second, way="shared", user="bob"))
    counts = await log.counts()
    assert (counts.requests, counts.errors) == (18, 15)
    assert (counts.users.exposed, counts.users.failed) == (1 + 3, 1)
    assert sum(counts.arrivals.values()) == 2
    log.meter.watch_users(SHOP, "candidate")
    log.write(line(at=NOW + 4, way="shared", user="ann", code=500))
    assert (await log.counts()).users.failed == 1
    log.meter.watch_users(SHOP, "the next candidate")
    log.write(line(at=NOW + 5, way="shared", user="ann", code=500))
    assert (await log.counts()).users.failed == 2


async def test_requests_of_nobody_are_users_of_their_own(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.meter.watch_users(SHOP, "candidate")
    log.write(line(way="shared", code=500) * 3)
    assert ((await log.counts()).users.exposed, (await log.counts()).users.failed) == (3, 3)


async def test_a_user_is_slow_for_the_first_time_once(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.meter.watch_users(SHOP, "candidate")
    for second, took_us in enumerate((2000, 90_000, 80_000, 400_000)):
        log.write(line(at=NOW + second, way="shared", user="ann", total_us=str(took_us)))
    limits = Threshold(bucket_of(50_000), bucket_of(50_000))
    users = (await log.counts()).users
    slow = slow_users(limits, users, UserCounts())
    assert (slow.all_candidate, slow.bad_candidate) == (2, 1)


async def test_many_users_are_sampled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(users_module, "MOST_USERS", 100)
    log = Log(tmp_path)
    log.meter.watch_users(SHOP, "candidate")
    log.write("".join(line(way="shared", user=f"user {number}") for number in range(1000)))
    assert 100 < (await log.counts()).users.exposed < 900


async def test_what_a_user_is_called_cannot_break_a_line(tmp_path: Path) -> None:
    log = Log(tmp_path)
    log.meter.watch_users(SHOP, "candidate")
    log.write(line(way="shared", user="a\tb\tc"))
    assert (await log.counts()).users.exposed == 1
