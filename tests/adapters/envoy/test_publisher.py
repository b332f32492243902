"""Publishing ends when Envoy holds what was published, and not before."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

import pytest

from trimtab.adapters.clock import SystemClock
from trimtab.adapters.envoy import publisher as publisher_module
from trimtab.adapters.envoy.admin import Admin
from trimtab.adapters.envoy.files import Files
from trimtab.adapters.envoy.hand import Hand
from trimtab.adapters.envoy.publisher import Publisher, clusters_update, listeners_update
from trimtab.core.errors import TrimtabError

CLUSTERS = clusters_update([{"name": "b"}, {"name": "a"}])


class SlowEnvoy(Admin):
    """Holds the clusters after some questions, or refuses them."""

    def __init__(self, holds_after: int, *, refuses: bool = False) -> None:
        super().__init__("unused")
        self.asked = 0
        self._holds_after = holds_after
        self._refuses = refuses

    async def is_live(self) -> bool:
        return True

    async def stats(self, names: Collection[str]) -> Mapping[str, str]:
        self.asked += 1
        held = self.asked > self._holds_after
        return {
            CLUSTERS.version_stat: CLUSTERS.file.version if held and not self._refuses else "before",
            CLUSTERS.rejected_stat: "8" if held and self._refuses else "7",
            "cluster_manager.warming_clusters": "1" if self.asked == self._holds_after + 1 else "0",
        }


def make(folder: Path, envoy: Admin) -> Publisher:
    files = Files(folder, Hand(folder))
    files.create_folders()
    return Publisher(files, envoy, SystemClock(), lambda: "the reason in Envoy's log")


async def test_it_waits_for_the_version_and_for_warming(tmp_path: Path) -> None:
    envoy = SlowEnvoy(holds_after=3)
    await make(tmp_path, envoy).publish([CLUSTERS])
    assert envoy.asked == 5
    assert [one["name"] for one in Files(tmp_path, Hand(tmp_path)).resources(CLUSTERS.file.path)] == ["a", "b"]


async def test_a_refusal_is_told_at_once_with_envoys_reason(tmp_path: Path) -> None:
    envoy = SlowEnvoy(holds_after=3, refuses=True)
    with pytest.raises(TrimtabError) as error:
        await make(tmp_path, envoy).publish([CLUSTERS])
    assert error.value.problem.code == "gateway-refused"
    assert CLUSTERS.file.path in error.value.problem.message
    assert error.value.problem.hint == "the reason in Envoy's log"
    assert envoy.asked == 4


async def test_silence_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publisher_module, "HOLD_TIMEOUT_S", 0.01)
    with pytest.raises(TrimtabError) as error:
        await make(tmp_path, SlowEnvoy(holds_after=1000)).publish([CLUSTERS])
    assert error.value.problem.code == "gateway-refused"


def test_the_version_is_the_content() -> None:
    again = clusters_update([{"name": "a"}, {"name": "b"}])
    assert again == CLUSTERS
    assert clusters_update([{"name": "a"}]).file.version != CLUSTERS.file.version
    assert listeners_update([]).file.path != CLUSTERS.file.path
