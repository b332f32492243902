"""Each way of isolating keeps the port's promises, and so does none at all."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.namespaces import not_permitted
from trimtab.adapters.sandbox import Means, SandboxedWorkspaces
from trimtab.ports.workspaces import Isolation, Opened, Workspaces
from trimtab.testing.memory_workspaces import MemoryWorkspaces
from trimtab.testing.workspaces_contract import CHECKS, WorkspacesBench


class SandboxBench:
    """The best way that this machine has."""

    means: Means | None = None

    def __init__(self, folder: Path) -> None:
        self._home = folder / "home"
        self.folder = folder / "bench"
        self.folder.mkdir()
        self.reopen()
        if (problem := self.workspaces.problem()) is not None:
            not_permitted(str(problem))

    def reopen(self) -> None:
        self.workspaces: Workspaces = self._make()

    def _make(self) -> Workspaces:
        return SandboxedWorkspaces(self._home, (self.folder,), self.means)


class CopyBench(SandboxBench):
    """Where the kernel allows no overlays."""

    def __init__(self, folder: Path) -> None:
        found = SandboxedWorkspaces(folder / "home", ())
        if (problem := found.problem()) is not None:
            not_permitted(str(problem))
        assert isinstance(found.means, Means)
        self.means = replace(found.means, overlays=False)
        super().__init__(folder)


class _Plain:
    """Every step with `sandbox: none`."""

    def __init__(self, workspaces: SandboxedWorkspaces) -> None:
        self._workspaces = workspaces
        self.problem = workspaces.problem
        self.collect, self.close = workspaces.collect, workspaces.close

    async def open(self, name: str, layers: tuple[Path, ...], isolation: Isolation) -> Opened:
        return await self._workspaces.open(name, layers, replace(isolation, sandbox=False))


class PlainBench(SandboxBench):
    def _make(self) -> Workspaces:
        return _Plain(SandboxedWorkspaces(self._home, (self.folder,), self.means))  # type: ignore[return-value]


class MemoryBench(SandboxBench):
    def _make(self) -> Workspaces:
        return MemoryWorkspaces(self._home)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("make", [SandboxBench, CopyBench, PlainBench, MemoryBench])
async def test_workspaces(
    make: type[SandboxBench], check: Callable[[WorkspacesBench], Awaitable[None]], tmp_path: Path
) -> None:
    await check(make(tmp_path))
