"""All implementations of Measurements keep its promises: in memory, and the reader over every kind of source."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.adapters.measurements.rigs import (
    CloudWatchRig,
    DatadogRig,
    JsonRig,
    MemoryRig,
    PostgresRig,
    PrometheusRig,
    ReaderRig,
    SqliteRig,
)
from trimtab.testing.measurements_contract import MEASUREMENTS_CHECKS, SOURCE_CHECKS, MeasurementsCheck, MeasurementsRig

SOURCES = ("prometheus", "json", "datadog", "cloudwatch", "sqlite", "postgres")


@pytest.fixture(params=SOURCES)
async def rig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[MeasurementsRig]:
    made: ReaderRig
    match request.param:
        case "prometheus":
            made = PrometheusRig()
        case "json":
            made = JsonRig()
        case "datadog":
            made = DatadogRig()
        case "cloudwatch":
            made = CloudWatchRig()
        case "sqlite":
            made = SqliteRig(tmp_path)
        case _:
            made = PostgresRig(request.getfixturevalue("postgres_url"))
    await made.open()
    yield made  # type: ignore[misc]
    await made.close()


@pytest.mark.parametrize("check", [*MEASUREMENTS_CHECKS, *SOURCE_CHECKS], ids=lambda check: check.__name__)
async def test_the_reader(check: MeasurementsCheck, rig: MeasurementsRig) -> None:
    await check(rig)


@pytest.mark.parametrize("check", MEASUREMENTS_CHECKS, ids=lambda check: check.__name__)
async def test_in_memory(check: MeasurementsCheck) -> None:
    await check(MemoryRig())
