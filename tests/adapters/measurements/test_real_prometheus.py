"""A real Prometheus, with numbers in its own database: the format that the other tests speak is its own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.adapters.measurements.rigs import found, problem_of
from tests.programs import install, missing
from trimtab.core.model.measure import ArmMeasure
from trimtab.core.model.specification import SourceSpec
from trimtab.testing.clock import ManualClock
from trimtab.testing.measurements_contract import CANDIDATE, STABLE, MetricKind

NOW = int(ManualClock().now())
BAD = 'sum(refused_total{release="$release"})'
ALL = 'sum(answers_total{release="$release"})'
SCORES = 'sum by (le) (scores_bucket{release="$release"})'
pytestmark = pytest.mark.timeout(400)  # it may have to be installed first


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if not _is_here():
        install("prometheus")
    if not _is_here():
        missing("prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    lines = ["# TYPE refused counter", "# TYPE answers counter", "# TYPE scores histogram"]
    series = (
        ('refused_total{release="555555555555",pod="1"}', 2),
        ('answers_total{release="cccccccccccc",pod="1"}', 40),
        ('answers_total{release="555555555555",pod="1"}', 50),
        ('answers_total{release="555555555555",pod="2"}', 10),
        *((f'scores_bucket{{release="cccccccccccc",le="{le}"}}', n) for le, n in (("0.5", 1), ("1.0", 4), ("+Inf", 4))),
    )
    lines += [f"{name} {value} {at}" for name, value in series for at in (NOW - 60, NOW)]
    (folder / "metrics").write_text("\n".join([*lines, "# EOF", ""]))
    making = ["promtool", "tsdb", "create-blocks-from", "openmetrics", "metrics", "data"]
    subprocess.run(making, cwd=folder, check=True, capture_output=True)
    (folder / "prometheus.yml").write_text("")
    with _running(folder) as where:
        yield where


def _is_here() -> bool:
    return shutil.which("prometheus") is not None and shutil.which("promtool") is not None


@contextmanager
def _running(folder: Path) -> Iterator[str]:
    """Prometheus over the data, on a port that it chooses; its log says which."""
    options = ["--config.file=prometheus.yml", "--storage.tsdb.path=data", "--storage.tsdb.retention.time=100y"]
    listening = ["--web.listen-address=127.0.0.1:0"]
    with subprocess.Popen(
        ["prometheus", *options, *listening], cwd=folder, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stderr is not None
            address = ""
            for line in server.stderr:
                if "Listening on" in line and "address=" in line:
                    address = line.rpartition("address=")[2].strip()
                if "Server is ready to receive web requests" in line:
                    break
            yield f"http://{address}"
        finally:
            server.kill()


def of(url: str, **queries: str) -> SourceSpec:
    return SourceSpec("prometheus", url, queries)


async def test_counters_of_which_some_do_not_exist_yet(url: str) -> None:
    measurement = await found(of(url, bad=BAD, all=ALL), "events")
    assert measurement.problem is None
    assert measurement.arms == {CANDIDATE: ArmMeasure(0, 40), STABLE: ArmMeasure(2, 60)}
    assert measurement.as_of == NOW


@pytest.mark.parametrize(("query", "wanted"), [("scalar(sum(answers_total))", 100), ("vector($window)", 600), ("3", 3)])
async def test_scalars(url: str, query: str, wanted: float) -> None:
    assert (await found(of(url, bad=query))).arms[CANDIDATE] == ArmMeasure(wanted)


async def test_histograms(url: str) -> None:
    assert (await found(of(url, scores=SCORES), "score")).arms[CANDIDATE].scores == {25: 1, 75: 3}


@pytest.mark.parametrize(
    ("kind", "queries", "message"),
    [
        ("rate", {"bad": 'answers_total{release=~".+"}'}, "gives 3 series instead of one"),
        ("rate", {"bad": "sum(answers_total) / 0 * 0"}, "NaN came instead of a number"),
        ("rate", {"bad": "sum(answers_total) / 0"}, "an infinite number came"),
        ("rate", {"bad": "sum("}, "HTTP status 400: invalid parameter"),
        ("rate", {"bad": "answers_total[5m]"}, "gives a matrix instead of a number"),
        ("events", {"bad": ALL, "all": BAD}, "there are more bad events (40) than events (0)"),
    ],
)
async def test_queries_that_give_no_number(url: str, kind: MetricKind, queries: dict[str, str], message: str) -> None:
    assert message in (await problem_of(of(url, **queries), kind)).message


async def test_a_path_that_prometheus_does_not_have(url: str) -> None:
    assert httpx.get(f"{url}/-/ready", trust_env=False).status_code == 200
    assert "HTTP status 404" in (await problem_of(of(f"{url}/elsewhere", bad=BAD))).message
