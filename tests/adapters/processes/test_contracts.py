"""Both implementations of each port keep its promises."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.adapters.processes.bench import (
    MemoryProcessesBench,
    MemoryRuntimeBench,
    ProcessRuntimeBench,
    SupervisedBench,
)
from trimtab.testing import processes_contract, runtime_contract
from trimtab.testing.processes_contract import ProcessesBench
from trimtab.testing.runtime_contract import RuntimeBench


@pytest.mark.parametrize("check", processes_contract.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("make", [SupervisedBench, MemoryProcessesBench])
async def test_processes(
    make: type[SupervisedBench | MemoryProcessesBench],
    check: Callable[[ProcessesBench], Awaitable[None]],
    tmp_path: Path,
) -> None:
    bench = make(tmp_path)
    try:
        await check(bench)
    finally:
        await bench.close()


@pytest.mark.parametrize("check", runtime_contract.CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("make", [ProcessRuntimeBench, MemoryRuntimeBench])
async def test_runtime(
    make: type[ProcessRuntimeBench | MemoryRuntimeBench],
    check: Callable[[RuntimeBench], Awaitable[None]],
    tmp_path: Path,
) -> None:
    bench = make(tmp_path)
    try:
        await check(bench)
    finally:
        await bench.close()
