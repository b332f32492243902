"""A controller of which a part fell leaves, so that whoever supervises it starts it again."""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest

from trimtab.adapters.envoy.gateway import EnvoyGateway
from trimtab.app.identity import ensure_ours, this_controller
from trimtab.app.serving import Trimtab, _listen
from trimtab.core.errors import TrimtabError
from trimtab.engine.housekeeping import Housekeeper
from trimtab.engine.replicas import GONE_S


async def falls(_: object) -> None:
    raise RuntimeError("a defect")


async def nothing(_: object) -> None:
    """As if Envoy ran."""


def test_a_part_that_falls_takes_the_controller_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(EnvoyGateway, "start", nothing)
    monkeypatch.setattr(Housekeeper, "run", falls)

    async def serve() -> int:
        return await Trimtab(tmp_path, socket.create_server(("127.0.0.1", 0)), None).serve(None)

    assert asyncio.run(serve()) == 1
    assert "a part of the controller fell" in caplog.text
    assert not (tmp_path / "api.json").exists()


def test_a_database_that_another_folder_s_controller_uses_is_refused(tmp_path: Path) -> None:
    now = time.time()
    mine = this_controller(tmp_path / "mine", "http://127.0.0.1:1", now)
    twin = this_controller(tmp_path / "mine", "http://127.0.0.1:2", now)
    other = this_controller(tmp_path / "other", "http://127.0.0.1:3", now)
    ensure_ours(mine, [twin], now)
    ensure_ours(mine, [other], now + GONE_S)
    with pytest.raises(TrimtabError, match="belongs to the installation in") as caught:
        ensure_ours(mine, [twin, replace(other, seen_at=now)], now)
    assert caught.value.problem.code == "database-in-use"


def test_no_answer_waits_for_an_acknowledgement() -> None:
    with _listen("127.0.0.1", 0) as listening, socket.create_connection(listening.getsockname()):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
