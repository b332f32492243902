"""Mirrored requests: both answers are matched and compared."""

from __future__ import annotations

import base64
import binascii
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from trimtab.adapters.envoy import access_log
from trimtab.adapters.envoy.compare import Answer, compare
from trimtab.adapters.envoy.log_file import LogFile
from trimtab.core.model.identity import ArmId, EnvironmentId
from trimtab.core.model.strategy import MirrorSpec
from trimtab.core.model.traffic import PairCounts

_MOST_WAITING_BYTES = 64 * 1024 * 1024
_OVERHEAD_BYTES = 200
_EXAMPLES = 5
_MOST_AT_ONCE = 200
"""So many pairs are compared each time somebody asks; of more than that the rest is left out, whatever it says."""


@dataclass(slots=True)
class _Mirrored:
    """One environment that compares answers."""

    candidate: ArmId
    spec: MirrorSpec
    compared: int = 0
    different: int = 0
    alike: dict[int, int] = field(default_factory=dict)
    examples: list[str] = field(default_factory=list)


class Answers:
    """Follows the log of answers. `epoch` names the counts since it began."""

    def __init__(self, log: Path, epoch: str, reopen: Callable[[], Awaitable[None]]) -> None:
        self._epoch = epoch
        self._environments: dict[bytes, EnvironmentId] = {}
        self._mirrored: dict[EnvironmentId, _Mirrored] = {}
        self._waiting: OrderedDict[bytes, tuple[bool, Answer]] = OrderedDict()
        self._waiting_bytes = 0
        self._budget = _MOST_AT_ONCE
        self._log = LogFile(log, self._see, reopen)

    def watch(self, cluster: str, environment: EnvironmentId) -> None:
        self._environments[cluster.encode()] = environment

    def compare(self, environment: EnvironmentId, candidate: ArmId | None, spec: MirrorSpec | None) -> None:
        """Compare the environment's answers like this from now on; with each candidate the counts begin anew."""
        if candidate is None:
            self._mirrored.pop(environment, None)
        elif spec is not None:
            before = self._mirrored.get(environment)
            if before is None or before.candidate != candidate:
                self._mirrored[environment] = _Mirrored(candidate, spec)
            else:
                before.spec = spec

    def forget(self, cluster: str) -> None:
        self._environments.pop(cluster.encode(), None)

    def pairs(self, environment: EnvironmentId) -> PairCounts:
        """What was compared up to the last `catch_up`."""
        found = self._mirrored.get(environment)
        if found is None:
            return PairCounts(self._epoch)
        return PairCounts(
            f"{self._epoch} {found.candidate}",
            found.compared,
            found.different,
            dict(sorted(found.alike.items())),
            tuple(found.examples),
        )

    async def catch_up(self) -> None:
        self._budget = _MOST_AT_ONCE
        await self._log.catch_up()

    def close(self) -> None:
        self._log.close()

    def _see(self, lines: list[bytes]) -> None:
        last = access_log.ANSWER_COLUMNS - 1
        for line in lines:
            columns = line.split(b"\t", last)
            if len(columns) <= last:
                continue
            pair, route, cluster, code, size, body, method, encoding, path = columns
            environment = self._environments.get(cluster)
            mirrored = self._mirrored.get(environment) if environment is not None else None
            if mirrored is None or pair == b"-":
                continue
            try:
                kept = base64.b64decode(body.strip(b'"')) if body != b"-" else b""
                packed = "" if encoding == b"-" else encoding.decode()
                answer = Answer(int(code), int(size.strip(b'"')), kept, packed)
            except (ValueError, binascii.Error):
                continue
            asked = f"{method.decode(errors='replace')} {path.decode(errors='replace').partition('?')[0]}"
            self._match(mirrored, pair, route == access_log.MIRROR.encode(), answer, asked)

    def _match(self, mirrored: _Mirrored, pair: bytes, is_copy: bool, answer: Answer, asked: str) -> None:
        other = self._waiting.pop(pair, None)
        if other is None or other[0] == is_copy:
            self._wait(pair, is_copy, answer)
            return
        self._waiting_bytes -= len(other[1].body) + _OVERHEAD_BYTES
        if self._budget <= 0:
            return
        self._budget -= 1
        stable, candidate = (other[1], answer) if is_copy else (answer, other[1])
        found = compare(mirrored.spec, stable, candidate)
        mirrored.compared += 1
        if found.alike_pct is not None:
            mirrored.alike[found.alike_pct] = mirrored.alike.get(found.alike_pct, 0) + 1
        if found.difference:
            mirrored.different += 1
            mirrored.examples = [*mirrored.examples, f"{asked}: {found.difference}"][-_EXAMPLES:]

    def _wait(self, pair: bytes, is_copy: bool, answer: Answer) -> None:
        self._waiting[pair] = (is_copy, answer)
        self._waiting_bytes += len(answer.body) + _OVERHEAD_BYTES
        while self._waiting_bytes > _MOST_WAITING_BYTES:
            _, (_, dropped) = self._waiting.popitem(last=False)
            self._waiting_bytes -= len(dropped.body) + _OVERHEAD_BYTES
