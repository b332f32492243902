"""Logs over HTTP: large ones, endless lines, ones that are rotated meanwhile, and searches that would never end."""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Callable
from itertools import islice
from pathlib import Path

import psutil
import pytest

from tests.client.server import Api, until
from trimtab.api.log_reader import LogReader
from trimtab.client import TrimtabClient
from trimtab.client.transport import LONGEST_LINE_BYTES, lines_of
from trimtab.core.errors import TrimtabError

NAME = "step/shop/3/big/1"


@pytest.fixture
def log(api: Api) -> Path:
    """The empty log of a process that runs."""
    asyncio.run(api.write(NAME, "", end=False))
    path = api.processes.log_path(NAME)
    path.write_bytes(b"")
    return path


def whole(reader: LogReader) -> bytes:
    pieces = b"".join(iter(reader.read, b""))
    reader.close()
    return pieces


@pytest.mark.parametrize(
    ("files", "tail", "expected"),
    [
        ([b"1\n2\n", b"3\n4\n", b"5\n"], 0, b"1\n2\n3\n4\n5\n"),
        ([b"1\n2\n", b"3\n4\n", b"5\n"], 1, b"5\n"),
        ([b"1\n2\n", b"3\n4\n", b"5\n"], 2, b"4\n5\n"),
        ([b"1\n2\n", b"3\n4\n", b"5"], 4, b"2\n3\n4\n5"),
        ([b"1\n2\n", b"3\n4\n", b"5\n"], 9, b"1\n2\n3\n4\n5\n"),
        ([b"1\n2\n", b""], 1, b"2\n"),
        ([b""], 3, b""),
        ([b"x" * 600_000 + b"\n" + b"y\n" * 300_000], 300_001, b"x" * 600_000 + b"\n" + b"y\n" * 300_000),
        ([b"x" * 600_000 + b"\n" + b"y\n" * 300_000], 300_000, b"y\n" * 300_000),
    ],
)
def test_a_log_is_read_from_its_oldest_file_or_its_last_lines(
    tmp_path: Path, files: list[bytes], tail: int, expected: bytes
) -> None:
    for number, content in enumerate(reversed(files)):
        (tmp_path / (f"log.{number}" if number else "log")).write_bytes(content)
    assert whole(LogReader(tmp_path / "log", tail)) == expected
    reader = LogReader(tmp_path / "log", tail)
    first = reader.read(count_lines=True)
    reader.close()
    assert reader.lines_before == (b"".join(files).count(b"\n") - expected.count(b"\n") if first else 0)


def test_a_log_that_is_rotated_while_it_is_read_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"1\n")
    reader = LogReader(path)
    assert reader.read() == b"1\n"
    with path.open("ab") as old:
        path.rename(tmp_path / "log.1")
        old.write(b"2\n")
    (tmp_path / "log.1").rename(tmp_path / "log.2")
    (tmp_path / "log.1").write_bytes(b"3\n")
    path.write_bytes(b"4\n")
    assert whole(reader) == b"2\n3\n4\n"


def test_a_log_that_was_emptied_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"long line\n")
    reader = LogReader(path)
    assert reader.read() == b"long line\n"
    path.write_bytes(b"new\n")
    assert reader.read() == b""
    assert reader.read() == b"new\n"
    reader.close()


def test_a_followed_log_goes_on_across_rotation(api: Api, client: TrimtabClient, log: Path) -> None:
    log.write_text("1\n")
    lines = client.logs(NAME, follow=True)
    assert next(lines) == "1"
    for number in range(2, 6):
        log.rename(log.with_name("log.1"))
        log.write_text(f"{number}\n")
        assert next(lines) == str(number)
    api.processes.finish(NAME, output="the end")
    assert list(lines) == ["the end"]


def test_endless_lines_come_in_pieces() -> None:
    pieces = list(lines_of([b"a\r\nb", b"c\n", b"x" * (LONGEST_LINE_BYTES + 5), b"y\n\xff"]))
    assert pieces == ["a", "bc", "x" * LONGEST_LINE_BYTES, "xxxxxy", "\ufffd"]


def test_hits_have_their_numbers(client: TrimtabClient, log: Path) -> None:
    log.with_name("log.1").write_text("".join(f"older {n}\n" for n in range(1, 101)))
    log.write_text("".join(f"newer {n} café\n" for n in range(101, 201)) + "the last")

    def found(pattern: str, **options: bool | int) -> list[tuple[int, str]]:
        return [(hit.line, hit.text) for hit in client.log_hits(NAME, pattern, **options)]  # type: ignore[arg-type]

    assert found("er 1[05]0\\b") == [(100, "older 100"), (150, "newer 150 café")]
    assert found("CAFÉ", ignore_case=True)[0] == (101, "newer 101 café")
    assert found("last") == [(201, "the last")]
    assert found("^n", tail=3) == [(199, "newer 199 café"), (200, "newer 200 café")]
    assert found("older 7") == [(7, "older 7"), *((n, f"older {n}") for n in range(70, 80))]


def test_a_gigantic_line_is_searched_and_shown_in_part(client: TrimtabClient, log: Path) -> None:
    log.write_text("first\n" + "x" * 3_000_000 + "needle" + "y" * 1_000_000 + "needle\nneedle too\n")
    first, second = client.log_hits(NAME, "needle")
    assert (first.line, second.line, second.text) == (2, 3, "needle too")
    assert "xneedley" in first.text
    assert len(first.text) < 5000


@pytest.mark.parametrize(
    ("pattern", "code"),
    [("(a+)+$", "log-pattern-costly"), ("(", "log-pattern"), ("((a{1,9999}){1,9999}){1,9999}x", "log-pattern-costly")],
)
def test_a_search_that_would_never_end_is_ended(client: TrimtabClient, log: Path, pattern: str, code: str) -> None:
    log.write_text("a" * 20_000 + "!\n")
    with pytest.raises(TrimtabError) as refused:
        list(client.log_hits(NAME, pattern))
    assert refused.value.problem.code == code


def test_hits_of_a_followed_log_come_at_once(api: Api, client: TrimtabClient, log: Path) -> None:
    hits = client.log_hits(NAME, "warn", follow=True)
    log.write_text("a warning\n")
    assert next(hits).line == 1
    with log.open("a") as file:
        file.write("nothing\nwarn\n")
    assert next(hits).line == 3
    api.processes.finish(NAME)
    assert list(hits) == []


def test_whoever_leaves_takes_the_search_along(client: TrimtabClient, log: Path) -> None:
    def searches() -> list[psutil.Process]:
        return [each for each in psutil.Process().children() if is_search(each)]

    def is_search(process: psutil.Process) -> bool:
        try:
            return any("log_search" in word for word in process.cmdline())
        except psutil.ZombieProcess:  # another test's, that nobody has waited for yet
            return False

    log.write_text("warn\n")
    hits = client.log_hits(NAME, "warn", follow=True)
    next(hits)
    assert len(searches()) == 1
    hits.close()  # type: ignore[attr-defined]
    until(lambda: not searches())


def fill(path: Path, megabytes: int) -> int:
    """So many megabytes of numbered lines; how many lines."""
    lines_each = 10_000
    line = "2026-01-01T00:00:00 INFO a line of a log like any other, its number is %012d\n"
    count = megabytes * 1_000_000 // len(line % 0)
    with path.open("w") as file:
        for begin in range(0, count, lines_each):
            file.write("".join(line % number for number in range(begin, min(begin + lines_each, count))))
    return count


def grown_bytes(work: Callable[[], object]) -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    work()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024


@pytest.mark.parametrize("megabytes", [64, pytest.param(1000, marks=[pytest.mark.slow, pytest.mark.timeout(600)])])
def test_a_large_log_is_streamed_and_searched_in_little_memory(
    client: TrimtabClient, log: Path, megabytes: int
) -> None:
    """Server and client are in this process: what it grows by is what both of them hold."""
    count = fill(log, megabytes)
    counted = 0

    def read() -> None:
        nonlocal counted
        counted = sum(1 for _ in client.logs(NAME))

    assert grown_bytes(read) < 24_000_000
    assert counted == count
    assert [hit.line for hit in islice(client.log_hits(NAME, f"number is 0*{count - 3}$"), 2)] == [count - 2]
    assert len(list(client.logs(NAME, tail=1000))) == 1000
