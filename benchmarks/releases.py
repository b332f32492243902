"""What a large file costs in a release: a local model of 2 GB (quick: 256 MB), beside hashing the same file.

How long it takes to store it, to store it when a step has made it (it is in the cache of steps then), to cut another
release with it, to put it into the release's folder, and to verify it when nothing has touched it since; and how many
bytes that takes on the disk. ``sha256`` of the raw file, with its pages in memory, is measured in the same run: the
least that finding a file's digest can take.

``python -m benchmarks.releases [--quick] [--json]``
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import os
import tempfile
import time
from collections.abc import Awaitable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from benchmarks._report import Value, finish
from trimtab.adapters.artifacts import FileArtifacts
from trimtab.adapters.artifacts.step_cache import FileStepCache
from trimtab.core.model.specification import ReleaseSpec, ServiceSpec, Specification

T = TypeVar("T")
MODEL = "model.gguf"
SPECIFICATION = Specification("bench", ServiceSpec("serve"), (), release=ReleaseSpec({"model": (MODEL,)}))
_MIB = 1024 * 1024


async def measure(folder: Path, size_bytes: int) -> dict[str, Value]:
    workspace, store = folder / "workspace", FileArtifacts(folder / "store")
    empty = folder / "empty"
    empty.mkdir()
    workspace.mkdir()
    write_model(workspace / MODEL, size_bytes)
    hash_raw(workspace / MODEL)  # from here on its pages are in memory
    raw_s = hash_raw(workspace / MODEL)
    cache = FileStepCache(folder / "cache", os.defpath)
    made = await cache.made(await cache.put(workspace))
    _, made_s = await timed(FileArtifacts(folder / "other").cut(empty, [], SPECIFICATION, made))
    first, first_s = await timed(store.cut(workspace, [], SPECIFICATION))
    other = replace(SPECIFICATION, service=ServiceSpec("serve faster"))
    second, again_s = await timed(store.cut(workspace, [], other))
    _, placed_s = await timed(store.materialise(first.digest))
    await store.materialise(second.digest)
    _, untouched_s = await timed(store.materialise(first.digest))
    problems, verified_s = await timed(store.examine(first.digest))
    assert not problems, problems
    return {
        "file_mb": size_bytes / 1e6,
        "raw_sha256_s": raw_s,
        "first_cut_s": first_s,
        "first_cut_speed_over_sha256": raw_s / first_s,
        "cut_of_what_a_step_made_s": made_s,
        "cut_of_what_a_step_made_speed_over_sha256": raw_s / made_s,
        "cut_of_a_known_file_s": again_s,
        "cut_of_a_known_file_speed_over_sha256": raw_s / again_s,
        "into_the_folder_ms": placed_s * 1000,
        "untouched_ms": untouched_s * 1000,
        "verify_untouched_ms": verified_s * 1000,
        "bytes_on_disk_over_file": on_disk(folder / "store") / size_bytes,
    }


def write_model(path: Path, size_bytes: int) -> None:
    block = os.urandom(_MIB - 8)
    with path.open("wb") as file:
        for number in range(size_bytes // _MIB):
            file.write(number.to_bytes(8, "big") + block)


def hash_raw(path: Path) -> float:
    began_s = time.perf_counter()
    with path.open("rb") as file:
        hashlib.file_digest(file, "sha256")
    return time.perf_counter() - began_s


async def timed(work: Awaitable[T]) -> tuple[T, float]:
    began_s = time.perf_counter()
    return await work, time.perf_counter() - began_s


def on_disk(folder: Path) -> int:
    """Two releases have the file; what is one file under several names counts once."""
    files = {(status.st_dev, status.st_ino): status.st_blocks * 512 for status in _statuses(folder)}
    return sum(files.values())


def _statuses(folder: Path) -> list[os.stat_result]:
    return [path.lstat() for path in folder.rglob("*") if path.is_file()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="256 MB instead of 2 GB")
    parser.add_argument("--json", action="store_true", help="the figures as JSON on the last line")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        results = asyncio.run(measure(Path(folder), (256 if arguments.quick else 2000) * 1_000_000))
    finish(results, arguments.json)


if __name__ == "__main__":
    main()
