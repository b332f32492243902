"""Load on the service of the release to be, and the thresholds that it must hold."""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from trimtab.core.errors import failure
from trimtab.core.model.report import Finding
from trimtab.core.say import count, milliseconds
from trimtab.gates.candidate import service_of, started
from trimtab.gates.load import Counted, Plan, load
from trimtab.gates.running import Outcome, parser, run

SCHEMA = "trimtab.load/v1"
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)(ms|s|m|h)?")
_UNITS_S = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_BEYOND = 5
"""So many requests at least must lie beyond a percentile for it to mean something."""


def main(argv: Sequence[str]) -> int:
    words = parser("load-test", "Start the service, put load on it, and hold its latencies and errors to thresholds.")
    words.add_argument("--rate", type=_rate, metavar="PER_SECOND", help="requests that are due each second")
    words.add_argument("--concurrency", type=int, default=1, metavar="N", help="without a rate: so many ask at once")
    words.add_argument("--duration", type=_seconds, default=10.0, metavar="TIME", help="10s, 2m (default 10s)")
    words.add_argument("--warm-up", type=_seconds, default=1.0, metavar="TIME", help="not counted (default 1s)")
    words.add_argument("--p95", type=_threshold_ms, metavar="TIME", help="95 %% of the answers must not take longer")
    words.add_argument("--p99", type=_threshold_ms, metavar="TIME", help="99 %% of the answers must not take longer")
    words.add_argument("--errors", type=_share, default=1.0, metavar="PERCENT", help="no more may fail (default 1)")
    words.add_argument("--paths", nargs="*", default=["/"], metavar="PATH", help="asked for in turn")
    words.add_argument("--timeout", type=_seconds, default=10.0, metavar="TIME", help="for each answer")
    words.add_argument("--command", help="what starts the service; left out: as trimtab.yaml says")
    words.add_argument("--health", metavar="PATH", help="it is ready when this path answers")
    words.add_argument("--url", help="a service that runs already; none is started")
    words.add_argument("--output", type=Path, metavar="FILE", help="write what was measured to a file")
    return run(words, test, argv)


def test(asked: argparse.Namespace) -> Outcome:
    """Raises `TrimtabError`: `gate-input`, `gate-candidate`, `gate-undecided`."""
    plan = _plan(asked)
    if asked.url:
        counted = asyncio.run(load(asked.url, plan))
    else:
        with started(service_of(asked.command, asked.health)) as url:
            counted = asyncio.run(load(url, plan))
    numbers = measured(counted)
    if asked.output is not None:
        asked.output.write_text(json.dumps(numbers, indent=1) + "\n")
    _see_that_it_can_be_judged(counted, asked)
    findings = tuple(broken(counted, asked.p95, asked.p99, asked.errors))
    latencies = ", ".join(f"{name} {milliseconds(numbers[f'{name}_ms'])}" for name in ("p50", "p95", "p99"))
    about = f"{count(counted.requests, 'request')} at {counted.throughput_per_s:.1f}/s: {latencies}"
    return Outcome(f"{about}, {counted.errors} failed", findings, numbers)


def measured(counted: Counted) -> Mapping[str, Any]:
    """What a step reports of it."""
    late = sorted(counted.late_ms)
    return {
        "schema": SCHEMA,
        "requests": counted.requests,
        "errors": counted.errors,
        **{f"p{share}_ms": round(counted.percentile_ms(share / 100), 3) for share in (50, 95, 99)},
        "throughput_per_s": round(counted.throughput_per_s, 3),
        "sent_late_p99_ms": round(late[math.ceil(0.99 * len(late)) - 1], 3) if late else 0.0,
    }


def broken(counted: Counted, p95_ms: float | None, p99_ms: float | None, errors_pct: float) -> Iterator[Finding]:
    """The thresholds that do not hold."""
    for share, most_ms in ((95, p95_ms), (99, p99_ms)):
        found_ms = counted.percentile_ms(share / 100)
        if most_ms is not None and found_ms > most_ms:
            said = f"p{share} is {milliseconds(found_ms)}, and must be {milliseconds(most_ms)} at most"
            yield Finding(f"p{share}", "error", "", said)
    failed_pct = 100 * counted.errors / counted.requests
    if failed_pct > errors_pct:
        said = f"{failed_pct:.2f} % of the requests failed, and {errors_pct:g} % may; the first: {counted.first_error}"
        yield Finding("errors", "error", "", said)


def _see_that_it_can_be_judged(counted: Counted, asked: argparse.Namespace) -> None:
    """Too few requests prove nothing, and what is not proven has not passed."""
    needed = {
        f"p{share}": _needed(share / 100) for share, most in ((95, asked.p95), (99, asked.p99)) if most is not None
    }
    needed["an error rate"] = math.ceil(100 / asked.errors) if 0 < asked.errors < 100 else 1
    for what, number in needed.items():
        if counted.requests < number:
            message = f"{count(counted.requests, 'request')} are too few to judge {what}: it takes {number}"
            raise failure("gate-undecided", message, "raise `rate` or `duration`, or leave the threshold out")


def _needed(quantile: float) -> int:
    return math.ceil(round(_BEYOND / (1 - quantile), 6))


def _plan(asked: argparse.Namespace) -> Plan:
    if bad := [path for path in asked.paths if not path.startswith("/")]:
        raise failure("gate-input", f"`{bad[0]}` is no path", "write `--paths /`")
    if asked.concurrency < 1:
        raise failure("gate-input", "nobody would ask", "let `--concurrency` be 1 at least")
    return Plan(
        duration_s=asked.duration,
        rate_per_s=asked.rate,
        at_once=asked.concurrency,
        warm_up_s=asked.warm_up,
        timeout_s=asked.timeout,
        paths=tuple(asked.paths) or ("/",),
    )


def _rate(text: str) -> float | None:
    """Nothing at all: none."""
    return None if text == "" else _positive(text)


def _threshold_ms(text: str) -> float | None:
    """``250ms``, ``1.5s``; nothing at all: none."""
    return None if text == "" else _positive(text.removesuffix("ms")) if text.endswith("ms") else 1000 * _seconds(text)


def _seconds(text: str) -> float:
    """``90``, ``30s``, ``2m``, ``250ms``."""
    found = _DURATION.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"`{text}` is no time; write `30s`, `2m` or `250ms`")
    return float(found[1]) * _UNITS_S[found[2] or ""]


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError("it must be more than 0")
    return value


def _share(text: str) -> float:
    value = float(text.rstrip("% "))
    if not 0 <= value <= 100:
        raise argparse.ArgumentTypeError(f"`{text}` is no share: write `1%`")
    return value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
