"""Users who stay on one release through a whole rollout, with a real gateway and hundreds of them."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy

import httpx
import pytest

from tests.e2e.world import World, wait_for

RAMP = """{canary: {deadline: 20m, ramp: 2s, steps: [
      {weight: 10%, hold: 500ms, requests: 0}, {weight: 40%, hold: 500ms, requests: 0},
      {gate: 'while ! test -e SWITCH; do sleep 0.1; done'},
      {weight: 100%, hold: 500ms, requests: 0, evidence: false}]}}"""


@dataclass
class Crowd:
    """What each user was answered, in order, without repetitions."""

    seen: list[list[str]]
    bad: list[str] = field(default_factory=list)
    asked: int = 0

    def on(self, version: str) -> int:
        return sum(answers[-1:] == [version] for answers in self.seen)


@contextmanager
def crowd(url: str, kind: str, number: int) -> Iterator[Crowd]:
    """So many users who ask again and again, known by a cookie of the gateway's or by a header of theirs."""
    told, leaving = Crowd([[] for _ in range(number)]), threading.Event()

    async def user(client: httpx.AsyncClient, index: int) -> None:
        headers = {"x-user": f"user-{index}"} if kind == "header" else {}
        while not leaving.is_set():
            try:
                answer = await client.get(url, headers=headers)
            except httpx.HTTPError as error:
                told.bad.append(repr(error))
                continue
            if "set-cookie" in answer.headers:
                headers["cookie"] = answer.headers["set-cookie"].partition(";")[0]
            told.asked += 1
            if answer.status_code != 200:
                told.bad.append(str(answer.status_code))
            elif told.seen[index][-1:] != [answer.text]:
                told.seen[index].append(answer.text)
            await asyncio.sleep(0.2)

    async def everybody() -> None:
        limits = httpx.Limits(max_connections=50)
        async with httpx.AsyncClient(timeout=20.0, limits=limits) as client:
            client.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))  # each user keeps their own
            await asyncio.gather(*(user(client, index) for index in range(number)))

    thread = threading.Thread(target=lambda: asyncio.run(everybody()), daemon=True)
    thread.start()
    try:
        yield told
    finally:
        leaving.set()
        thread.join()


@pytest.mark.parametrize("kind", ["cookie", "header"])
def test_nobody_flips_through_a_whole_ramp_and_the_share_is_by_users(world: World, kind: str) -> None:
    switch = world.folder / "switch"
    sticky = "sticky: {cookie: visitor}" if kind == "cookie" else "sticky: {header: X-User}"
    world.plant(strategy=RAMP.replace("SWITCH", str(switch)), more=sticky)
    world.up()
    world.ended(world.push(version=1))
    with crowd(world.url, kind, 200) as everybody:
        wait_for(lambda: all(everybody.seen), why="everybody was there before the rollout")
        commit = world.push(version=2)
        wait_for(lambda: (r := world.rollout_of(commit)) is not None and r.step == 2 and r.gate, why="it is at 40 %")
        asked = everybody.asked
        wait_for(lambda: everybody.asked > asked + 600, why="everybody asks again")
        # 40 % of 200, five standard deviations to either side.
        assert 45 < everybody.on("version 2") < 115
        switch.touch()
        assert world.ended(commit).status == "promoted"
        wait_for(lambda: everybody.on("version 2") == 200, why="everybody has arrived")
    assert not everybody.bad
    assert Counter(map(tuple, everybody.seen)) == {("version 1", "version 2"): 200}
