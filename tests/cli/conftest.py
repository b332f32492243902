from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.terminal import Terminal
from tests.client.server import Api, served


@pytest.fixture(autouse=True)
def _nothing_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Commands see no server, colour or size but what the test gives them."""
    for name in ("TRIMTAB_URL", "TRIMTAB_TOKEN", "TRIMTAB_HOME", "NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TRIMTAB_ACTOR", "ann")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(capsys)


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    """A server with the scenario; commands find it."""
    with served(Api(tmp_path)) as running:
        running.point_to(monkeypatch)
        yield running


@pytest.fixture(scope="session")
def _standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    with served(Api(tmp_path_factory.mktemp("standing"))) as running:
        yield running


@pytest.fixture
def standing(_standing: Api, monkeypatch: pytest.MonkeyPatch) -> Api:
    """A server with the scenario for tests that only look."""
    _standing.point_to(monkeypatch)
    return _standing
