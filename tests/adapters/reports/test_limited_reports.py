"""Reading reports: the contract on both adapters, and what a process of its own is for."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from trimtab.adapters.reports import LimitedReports
from trimtab.core.errors import TrimtabError
from trimtab.ports.reports import Reports
from trimtab.testing.memory_reports import MemoryReports
from trimtab.testing.reports_contract import CHECKS, JUNIT, SARIF, write

ADAPTERS: dict[str, Callable[[], Reports]] = {
    "memory": MemoryReports,
    "limited": LimitedReports,
    "always apart": lambda: LimitedReports(small_bytes=0),
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("make", ADAPTERS.values(), ids=ADAPTERS)
async def test_contract(check: Callable[[Reports, Path], object], make: Callable[[], Reports], tmp_path: Path) -> None:
    await check(make(), tmp_path)  # type: ignore[misc]


async def test_what_would_take_all_memory_takes_none_of_ours(tmp_path: Path) -> None:
    """40 MB of small objects are more than a gigabyte of memory."""
    specs = [
        write(tmp_path, SARIF, '{"runs": [' + '{"":0},' * 6_000_000 + "{}]}"),
        write(tmp_path, JUNIT, '<testsuite><testcase name="good"/></testsuite>'),
    ]
    report = await LimitedReports().read(tmp_path, specs)
    assert [(each.kind, each.why) for each in report.unread] == [
        ("sarif", "reading it takes more than a minute or 1 GiB of memory")
    ]
    assert report.tests is not None
    assert report.tests.passed == 1


async def test_without_processes_it_is_the_machines_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    with pytest.raises(TrimtabError) as caught:
        await LimitedReports(small_bytes=0).read(tmp_path, [write(tmp_path, SARIF, '{"runs": []}')])
    assert caught.value.problem.code == "report-io"
