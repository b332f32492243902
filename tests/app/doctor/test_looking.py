"""What the checks see in a folder to which something was done. No process of Trimtab runs here."""

from __future__ import annotations

import fcntl
import hashlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app.homes import PRODUCTION, Home, furnished
from tests.cli.scenario import APP
from trimtab.adapters.clock import SystemClock
from trimtab.app.doctor import examination as module
from trimtab.app.doctor import examine
from trimtab.app.doctor.place import Place
from trimtab.app.troubles import troubles
from trimtab.core.errors import Problem
from trimtab.core.model import facts as f
from trimtab.procfs import is_paused
from trimtab.views.findings import CHECKS, Finding

LISTENERS = '{{"version_info": "1", "resources": [{{"name": "shop.production", "address": {{"socket_address": \
{{"address": "127.0.0.1", "port_value": {port}}}}}}}]}}'


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = furnished(tmp_path / "home")
    made.store.append([f.Recorded(PRODUCTION.object_id, f.LiveChanged(made.release, None), at=1.0)], 1.0)
    yield made
    made.store.close()


@pytest.fixture
def running(home: Home) -> Iterator[Home]:
    """As if a controller held the folder: this very process, which answers nothing."""
    lock = os.open(home.folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    yield home
    os.close(lock)


def found(home: Home, check: str) -> list[Finding]:
    """What is not well."""
    return [each for each in examine(home.folder, [check]) if each.severity != "ok"]


def error(home: Home, check: str) -> Finding:
    [finding] = [each for each in found(home, check) if each.severity == "error"]
    return finding


def test_every_check_says_something_of_a_folder_that_is_well(home: Home) -> None:
    findings = examine(home.folder)
    assert {each.check for each in findings} == set(CHECKS) == set(module.LOOK)
    assert [(each.check, each.what) for each in findings if each.severity == "warning"] == []
    # It says that an instance runs, and none does.
    assert [(each.check, each.severity) for each in findings if each.severity == "error"] == [("instances", "error")]


def test_nothing_is_changed(home: Home) -> None:
    def everything() -> dict[str, object]:
        return {
            str(path): (path.lstat().st_mtime_ns, path.is_file() and hashlib.sha256(path.read_bytes()).digest())
            for path in home.folder.rglob("*")
            if not path.name.endswith("-shm")  # shared memory: in it is who reads
        }

    for close in (False, True):
        if close:
            home.store.close()  # no log beside the database any more
        before = everything()
        examine(home.folder)
        assert everything() == before


def test_an_empty_folder(tmp_path: Path) -> None:
    findings = examine(tmp_path)
    assert {each.check for each in findings} == set(CHECKS)
    assert not [each for each in findings if "could not be made" in each.what]


def test_a_folder_that_is_not_for_us(home: Home) -> None:
    def refused(_: Place) -> list[Finding]:
        raise PermissionError(13, "Permission denied", "/x/lock")

    [said] = examine(home.folder, ["disk"], {"disk": refused})
    assert "/x/lock is not for this user" in said.what


def test_a_check_that_breaks_or_hangs_is_a_finding(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE_S", 0.2)
    leave = threading.Event()

    def hangs(_: Place) -> list[Finding]:
        leave.wait(10)
        return []

    def breaks(_: Place) -> list[Finding]:
        raise RuntimeError("oh")

    began = time.monotonic()
    said = examine(home.folder, ["disk", "clock"], {"disk": hangs, "clock": breaks})
    leave.set()
    assert time.monotonic() - began < 5
    assert [(each.check, each.severity) for each in said] == [("disk", "warning"), ("clock", "warning")]
    assert "not finished" in said[0].what
    assert "RuntimeError: oh" in said[1].what


def test_a_damaged_database(home: Home) -> None:
    home.store.close()
    path = home.folder / "trimtab.db"
    content = bytearray(path.read_bytes())
    content[4096 * 3 : 4096 * 12] = b"\xff" * 4096 * 9
    path.write_bytes(content)
    said = error(home, "database")
    assert "damaged" in said.what
    assert {each.severity for each in found(home, "engine")} <= {"note"}, "each fault is said once"
    path.write_bytes(b"hello")
    assert "damaged or not a store" in error(home, "database").what
    path.unlink()
    assert "no database" in error(home, "database").what


def test_a_database_of_another_version(home: Home) -> None:
    other = sqlite3.connect(home.folder / "trimtab.db")
    other.execute("INSERT INTO schema_version (version) VALUES (99)")
    other.commit()
    other.close()
    assert "schema 99" in error(home, "database").what


def test_a_locked_database(home: Home) -> None:
    other = sqlite3.connect(home.folder / "trimtab.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    assert "locked" in error(home, "database").what
    other.close()


def test_a_clock_that_was_set_back(home: Home) -> None:
    later = time.time() + 7200
    home.store.append([f.Recorded("app/shop", f.AppRegistered(), at=later)], later)
    home.store.claim("app/shop", "controller", later, 6.0)
    said = [each.what for each in found(home, "clock")]
    assert [word in what for word, what in zip(("set back", "lease"), said, strict=True)] == [True, True]


def test_decisions_that_wait_although_a_controller_runs(running: Home) -> None:
    assert "should have been decided long ago" in error(running, "engine").what


def test_a_disk_that_is_full(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.statvfs(home.folder)
    full = os.statvfs_result((*real[:3], 0, 0, *real[5:]))
    monkeypatch.setattr(os, "statvfs", lambda _: full)
    assert "is full" in error(home, "disk").what


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a file system of its own")
def test_a_small_disk_that_is_really_full(tmp_path: Path) -> None:
    """In a mount namespace of its own: nobody else sees the file system, and it goes with the process."""
    code = (
        "import sys, os\nfrom pathlib import Path\nfrom trimtab.app.doctor import examine\n"
        "home = Path(sys.argv[1]) / 'home'\nhome.mkdir()\n"
        "(home / 'filler').write_bytes(b'x' * 900_000)\n"
        "print([each.what for each in examine(home, ['disk', 'clock']) if each.is_wrong])\n"
    )
    inside = f'mount -t tmpfs -o size=1m none {tmp_path} && exec {sys.executable} -c "$CODE" {tmp_path}'
    words = ["unshare", "--mount", "--propagation", "private", "sh", "-c", inside]
    done = subprocess.run(words, capture_output=True, text=True, env={**os.environ, "CODE": code}, timeout=30)
    if done.returncode and "Operation not permitted" in done.stderr:
        pytest.skip("no mount namespaces here")
    assert "The disk is full" in done.stdout, done.stderr


def test_a_token_that_others_can_read(home: Home) -> None:
    home.folder.chmod(0o755)
    (home.folder / "token").chmod(0o644)
    assert "token" in error(home, "files").what


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file to somebody else")
def test_files_of_somebody_else(home: Home) -> None:
    os.chown(home.folder / "git" / "state.git" / "config", 4711, 4711)
    assert "git/state.git/config to user 4711" in error(home, "files").what


def test_a_damaged_artifact(home: Home) -> None:
    for blob in (home.folder / "artifacts" / "blobs").glob("??/*"):
        if blob.read_bytes() == b"print('hello')\n":
            blob.chmod(0o600)
            blob.write_text("print('heLLo')\n")
    said = error(home, "artifacts")
    assert "shop/production, live" in said.what
    assert "`serve.py`" in said.what


def test_a_lost_supervisor(home: Home) -> None:
    from trimtab.adapters.processes.instance_set import InstanceBook

    [book] = InstanceBook(home.folder / "instances" / "instances").read()
    record = home.process(book.process_name(1), phase="running", supervisor="1", pid="1", started_at="5", restarts="0")
    before = (record / "state").read_bytes()
    assert "supervisor was killed" in error(home, "instances").what
    assert (record / "state").read_bytes() == before, "who notes it is the controller"
    home.process("gateway", phase="running", supervisor="1", pid="1", started_at="5", restarts="0")
    assert "supervisor was killed" in error(home, "gateway").what


def test_a_port_that_another_program_has(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        (home.folder / "gateway" / "xds").mkdir(parents=True)
        (home.folder / "gateway" / "xds" / "lds.json").write_text(LISTENERS.format(port=port))
        said = error(home, "ports")
        assert "The port of shop/production is taken by " in said.what
        assert f"(process {os.getpid()})" in said.what
        (home.folder / "gateway" / "xds" / "lds.json").unlink()
        home.answering(f"http://127.0.0.1:{port}", 1)
        assert "`trimtab up` will be refused" in error(home, "ports").what


def test_a_controller_that_was_killed(home: Home) -> None:
    home.answering("http://127.0.0.1:1", 1)
    assert "was killed" in error(home, "controller").what


def test_a_controller_that_does_not_answer(running: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    from trimtab.app.doctor import controller

    monkeypatch.setattr(controller, "ANSWER_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        running.answering(f"http://127.0.0.1:{silent.getsockname()[1]}", os.getpid())
        assert "does not answer" in error(running, "controller").what
    assert "nobody listens" in error(running, "controller").what


def test_controllers_that_joined(running: Home) -> None:
    """This process holds the folder; another one has joined it."""
    code = "import sys\nfrom pathlib import Path\nfrom trimtab.app.folder import alongside\n"
    code += "with alongside(Path(sys.argv[1])): print('in', flush=True); sys.stdin.read()"
    words = [sys.executable, "-c", code, str(running.folder)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdin is not None
        other.stdout.readline()
        assert Place(running.folder, 0.0).controllers == (os.getpid(), other.pid)
        other.send_signal(signal.SIGSTOP)
        while not is_paused(other.pid):
            time.sleep(0.01)
        said = error(running, "controller")
        other.send_signal(signal.SIGCONT)
        other.stdin.close()
    assert f"process {other.pid}) is paused" in said.what
    assert "takes over" in said.why


def test_git(running: Home) -> None:
    git = running.folder / "git"
    (git / "hook-endpoint").write_text("http://127.0.0.1:1\nt\n")
    running.answering("http://127.0.0.1:2", 1)
    (git / f"{APP}.git" / "hooks" / "post-receive").chmod(0o644)
    (git / "state.git" / "hooks" / "pre-receive").unlink()
    lock = git / f"{APP}.git" / "refs" / "heads" / "main.lock"
    lock.touch()
    os.utime(lock, (1, 1))
    for thing in (git / "state.git" / "objects").glob("??/*"):
        thing.chmod(0o600)
        thing.write_bytes(b"rubbish")
    said = "\n".join(each.what for each in found(running, "git") if each.severity == "error")
    for words in (
        "listens at http://127.0.0.1:2",
        "cannot be executed",
        "has no pre-receive",
        "main.lock",
        "is damaged",
    ):
        assert words in said


def test_a_remote_that_hangs(home: Home) -> None:
    problem = Problem(
        "git-remote-timeout", "http://127.0.0.1:9/shop.git gave no answer for 30 s", "see whether it is up"
    )
    home.store.append([f.Recorded(f"app/{APP}", f.ProblemFound(problem), at=2.0)], 2.0)
    assert "gave no answer for 30 s" in error(home, "environments").what


def test_what_status_says_of_the_installation(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SystemClock()
    assert troubles(home.folder, home.store, clock, "") == ()
    later = time.time() + 7200
    home.store.append([f.Recorded("app/shop", f.AppRegistered(), at=later)], later)
    real = os.statvfs(home.folder)
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result((*real[:3], 0, 0, *real[5:])))
    said = troubles(home.folder, home.store, clock, "the store is full")
    assert [problem.code for problem in said] == ["nothing-decided", "disk", "clock"]


def test_a_configuration_that_cannot_be_deployed(home: Home) -> None:
    work = home.folder.parent / "home-work"
    (work / "trimtab.yaml").write_text("app: shop\nservice: {comand: x}\n")
    git = ("git", "-C", str(work), "-c", "user.name=T", "-c", "user.email=t@localhost")
    for words in (("commit", "-qam", "Worse"), ("push", "-q", str(home.folder / "git" / f"{APP}.git"), "main")):
        subprocess.run([*git, *words], check=True, capture_output=True)
    commit = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    change = f.Change(commit, "main", "bob", "Worse", 2.0)
    home.store.append([f.Recorded(f"app/{APP}", f.ChangeArrived(change, "push"), at=2.0)], 2.0)
    said = error(home, "environments")
    assert "cannot be used" in said.what
    assert "The change by bob is not deployed" in said.why
