"""What holds a limit: groups of the kernel, real and imitated, and watching without any."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from trimtab.adapters.processes import cgroup
from trimtab.adapters.processes.cgroup import Group, homes
from trimtab.adapters.processes.limits import Guard

MIB = 1024 * 1024
ALL = ("memory", "processes", "cpus")


@contextmanager
def running(script: str) -> Iterator[subprocess.Popen[str]]:
    """A Python script below a shell, once it has begun."""
    command = [sys.executable, "-I", "-c", f"{script}\nprint('ready', flush=True); time.sleep(60)"]
    shell = ["/bin/sh", "-c", '"$@" & wait', "sh"]
    with subprocess.Popen([*shell, *command], stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def guard(shell: subprocess.Popen[str], **limits: int) -> Guard:
    """Of all that runs below the shell."""
    made = Guard({f"limit_{name}": str(value) for name, value in limits.items()}, shell.pid)
    made.begin()
    return made


def imitation(folder: Path, monkeypatch: pytest.MonkeyPatch, own: str, enabled: dict[str, str]) -> None:
    """A hierarchy of version 2 in which this process is in `own`. `enabled`: the controllers of some folders."""
    for inner in (Path(own), *Path(own).parents):
        place = folder / str(inner).lstrip("/")
        place.mkdir(parents=True, exist_ok=True)
        (place / "cgroup.procs").write_text("")
        (place / "cgroup.controllers").write_text("cpu memory pids")
        (place / "cgroup.subtree_control").write_text(enabled.get(str(inner), ""))
    monkeypatch.setattr(cgroup, "_mounts", lambda: iter([(str(folder), "/", set())]))
    monkeypatch.setattr(cgroup, "_paths", lambda: {"": own})


def test_version_2_takes_the_nearest_folder_that_is_enabled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    everything = "cpu memory pids"
    imitation(tmp_path, monkeypatch, "/user/session", {"/user": everything, "/": everything})
    assert homes(ALL) == dict.fromkeys(ALL, (2, f"{tmp_path}/user"))
    assert (tmp_path / "user" / "session" / "cgroup.subtree_control").read_text() == ""


def test_version_2_enables_controllers_only_where_none_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    imitation(tmp_path, monkeypatch, "/service/main", {})

    def refuse(path: str, value: str) -> None:
        if path.endswith("main/cgroup.subtree_control"):
            raise OSError("there are processes in it")
        Path(path).write_text(value)

    monkeypatch.setattr(cgroup, "_write", refuse)
    assert homes(ALL) == dict.fromkeys(ALL, (2, f"{tmp_path}/service"))


def test_a_group_of_version_2(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    imitation(tmp_path, monkeypatch, "/a/b", {"/a": "cpu memory pids"})
    group = Group({"memory": 100 * MIB, "processes": 50, "cpus": 0.5})
    assert group.holds == set(ALL)
    folder = tmp_path / "a" / f"trimtab-{os.getpid()}"
    settings = {path.name: path.read_text() for path in folder.iterdir()}
    assert settings == {"memory.max": str(100 * MIB), "pids.max": "50", "cpu.max": "50000 100000"}
    (folder / "memory.events.local").write_text("low 0\nhigh 0\nmax 3\noom 1\noom_kill 1\n")
    (folder / "pids.events").write_text("max 0\n")
    assert group.exceeded() == "memory"
    group.begin()
    assert group.exceeded() == ""
    (folder / "pids.events").write_text("max 1\n")
    assert group.exceeded() == "processes"


def test_a_real_group_holds_what_it_says() -> None:
    group = Group({"memory": 100 * MIB, "processes": 50, "cpus": 0.5})
    try:
        for limit, folder in group._folders.items():
            assert os.path.isdir(folder), limit
        files = {name: Path(folder, name) for folder in group._folders.values() for name in os.listdir(folder)}
        wanted = {"cpu.cfs_quota_us": "50000", "pids.max": "50", "memory.limit_in_bytes": str(100 * MIB)}
        assert {name: files[name].read_text().strip() for name in wanted if name in files}.items() <= wanted.items()
    finally:
        group.remove()
    assert not any(os.path.exists(folder) for folder in group._folders.values())


def test_a_group_that_its_maker_is_in_holds_it_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    imitation(tmp_path, monkeypatch, "/user", {"/": "cpu memory pids"})
    settled = cgroup.settle()
    mine = f"{tmp_path}/trimtab-{os.getpid()}"
    assert settled == {"memory": (2, mine), "processes": (2, mine)}
    assert (Path(mine) / "cgroup.procs").read_text() == str(os.getpid())
    for name in ("memory.max", "pids.max"):
        (Path(mine) / name).write_text("max")
    group = Group({"memory": 100.0, "processes": 7.0}, settled)
    assert group.holds == {"memory", "processes"}
    assert (Path(mine) / "memory.max").read_text() == "100"
    assert (Path(mine) / "pids.max").read_text() == "8", "who looks after the seven counts, too"
    group._settled.clear()  # what is removed by rmdir on the real one has files here
    (Path(mine) / "cgroup.procs").write_text("")
    group = Group({"memory": 100.0}, {"memory": (2, mine)})
    cgroup._leave(mine)
    assert (tmp_path / "cgroup.procs").read_text() == str(os.getpid())


def test_memory_that_is_shared_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trimtab.adapters.processes.limits.Group", lambda *_: Group({}))
    script = """
import os, time
taken = b"x" * (60 << 20)
for _ in range(4):
    if os.fork() == 0:
        time.sleep(60)
"""
    with running(script) as shell:
        assert not guard(shell, memory=200 * MIB).exceeded()
        assert guard(shell, memory=60 * MIB).exceeded()


def test_threads_count_as_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trimtab.adapters.processes.limits.Group", lambda *_: Group({}))
    script = """
import threading, time
for _ in range(20):
    threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
"""
    with running(script) as shell:
        few, many = guard(shell, processes=10), guard(shell, processes=40)
        assert few.exceeded()
        assert few.over == "processes"
        assert not many.exceeded()
        assert few.environment == {"TRIMTAB_PROCESSES": "42"}
