"""Instances as real processes: what goes wrong with them is seen, said and mended."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests.adapters.processes.bench import PYTHON, ProcessRuntimeBench, RealTime, specification
from trimtab.adapters.processes import record
from trimtab.adapters.processes.free_port import free_port
from trimtab.core.errors import TrimtabError
from trimtab.core.model.identity import release_in, short
from trimtab.core.model.specification import ReleaseSpec, Specification
from trimtab.core.model.traffic import Instance
from trimtab.testing.runtime_contract import FIRST, OTHER_PLACE, PLACE, PROGRAM, SECOND, phases_become


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ProcessRuntimeBench]:
    opened = ProcessRuntimeBench(tmp_path, RealTime())
    yield opened
    await opened.close()


async def start(bench: ProcessRuntimeBench, wanted: Specification | None = None, release: str = FIRST) -> Instance:
    await bench.runtime.ensure(PLACE, release, wanted or bench.specification, bench.root, 1)
    return (await bench.runtime.instances(PLACE, release))[0]


async def ready(bench: ProcessRuntimeBench, wanted: Specification | None = None) -> Instance:
    await bench.answer(PLACE, FIRST, well=True)
    await start(bench, wanted)
    return (await phases_become(bench, "ready"))[0]


async def until(bench: ProcessRuntimeBench, wanted: Callable[[Instance], bool]) -> Instance:
    deadline = time.monotonic() + 20
    while not wanted(instance := (await bench.runtime.instances(PLACE, FIRST))[0]):
        assert time.monotonic() < deadline, instance
        await bench.wait()
    return instance


def problem_of(instance: Instance) -> tuple[str, str]:
    assert instance.problem is not None
    assert instance.problem.where == instance.id
    assert instance.problem.hint
    return instance.problem.code, instance.problem.message


async def test_an_instance_knows_where_it_is_and_nothing_else(
    bench: ProcessRuntimeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "do not tell")
    program = "import json, os, time; print(json.dumps(dict(os.environ)), flush=True); time.sleep(60)"
    wanted = specification(
        f'{PYTHON} -c "{program}"', env={"GREETING": "hello", "PLACE": "anywhere"}, port_env="LISTEN"
    )
    wanted = replace(wanted, release=ReleaseSpec(model={"name": "tiny", "temperature": 0}))
    instance = await start(bench, wanted)
    log = bench.processes.log_path(instance.log)
    await until(bench, lambda _: log.read_text().endswith("\n"))
    env = json.loads(log.read_text())
    state = str(bench.home / "runtime" / "state" / "shop" / "production")
    expected = {
        "GREETING": "hello",
        "PLACE": "production",
        "LISTEN": str(instance.endpoint.port),
        "TRIMTAB_APP": "shop",
        "TRIMTAB_ENVIRONMENT": "production",
        "TRIMTAB_RELEASE": FIRST,
        "TRIMTAB_MODEL": '{"name": "tiny", "temperature": 0}',
        "TRIMTAB_STATE_DIR": state,
        "TMPDIR": f"{state}/tmp",
        "PATH": os.environ["PATH"],
    }
    assert {name: env.get(name) for name in expected} == expected
    assert set(env) - set(expected) <= {"HOME", "LANG", "LC_CTYPE", "PWD"}
    assert Path(env["TMPDIR"]).is_dir()


async def test_an_instance_cannot_change_its_release(bench: ProcessRuntimeBench) -> None:
    status_line = "touch mine; touch $TRIMTAB_STATE_DIR/mine; exec sleep 60"
    instance = await start(bench, specification(status_line, health_path=None))
    status = await bench.processes.status(instance.log)
    assert status is not None
    if not status.confined:
        pytest.skip("this kernel allows no mount namespace here")
    state = bench.home / "runtime" / "state" / "shop" / "production"
    await until(bench, lambda _: (state / "mine").exists())
    assert not (bench.root / "mine").exists()


async def test_a_compound_command_runs_and_ends(bench: ProcessRuntimeBench) -> None:
    (bench.root / "src").mkdir()
    (bench.root / "app.py").rename(bench.root / "src" / "app.py")
    instance = await ready(bench, specification(f"cd src && {PYTHON} app.py; echo ended"))
    await bench.runtime.stop(PLACE, FIRST)
    with pytest.raises(OSError), socket.create_connection((instance.endpoint.host, instance.endpoint.port)):
        pass


async def test_without_a_path_a_connection_is_enough(bench: ProcessRuntimeBench) -> None:
    await start(bench, specification(f"{PYTHON} app.py", health_path=None))
    await phases_become(bench, "ready")


@pytest.mark.parametrize(
    ("program", "got"),
    [
        (
            "print('warming up', flush=True); import time; time.sleep(60)",
            "connection refused; its last line was: warming",
        ),
        ("connection.sendall(b'HTTP/1.1 500 Oh\\r\\n\\r\\n')", "HTTP 500"),
        ("connection.sendall(b'SSH-2.0-server\\r\\n')", "an answer that is not HTTP"),
        ("pass", "a connection that was closed without an answer"),
        ("kept.append(connection)", "no answer within 2 s"),
    ],
)
async def test_an_instance_that_is_never_ready_says_what_its_check_got(
    bench: ProcessRuntimeBench, program: str, got: str
) -> None:
    listen = (
        "import os, socket\nkept = []\nlistener = socket.create_server(('127.0.0.1', int(os.environ['PORT'])))\n"
        f"while True:\n    connection, _ = listener.accept()\n    connection.recv(65536)\n    {program}\n"
        "    connection = None\n"
    )
    (bench.root / "app.py").write_text(program if program.startswith("print") else listen)
    await start(bench, specification(f"{PYTHON} app.py", health_timeout_s=0.5))
    code, message = problem_of(await until(bench, lambda instance: instance.phase == "failed"))
    assert code == "instance-not-ready"
    assert "within 0.5 s" in message
    assert "/health got " in message
    assert got in message


async def test_an_instance_that_keeps_ending_has_failed(bench: ProcessRuntimeBench) -> None:
    await start(bench, specification("echo cannot find the model; exit 3"))
    instance = await until(bench, lambda instance: instance.phase == "failed")
    code, message = problem_of(instance)
    assert code == "instance-failed"
    assert "3 times" in message
    assert "exit code 3" in message
    assert "cannot find the model" in message


async def test_a_command_that_does_not_exist_has_failed(bench: ProcessRuntimeBench) -> None:
    await start(bench, specification("no-such-server --port $PORT"))
    _, message = problem_of(await until(bench, lambda instance: instance.phase == "failed"))
    assert "exit code 127" in message
    assert "no-such-server" in message


async def test_a_port_that_was_taken_is_a_problem(bench: ProcessRuntimeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as stranger:
        port = stranger.getsockname()[1]
        monkeypatch.setattr("trimtab.adapters.processes.runtime.free_port", lambda taken: port)
        await start(bench)
        _, message = problem_of(await until(bench, lambda instance: instance.phase == "failed"))
    assert "Address already in use" in message


async def test_a_missing_root_is_an_error_and_heals(bench: ProcessRuntimeBench) -> None:
    bench.root.rename(bench.home / "elsewhere")
    with pytest.raises(TrimtabError) as raised:
        await start(bench)
    assert raised.value.problem.code == "folder-missing"
    assert str(bench.root) in raised.value.problem.message
    (bench.home / "elsewhere").rename(bench.root)
    await ready(bench)


async def test_a_killed_instance_comes_back_on_its_port(bench: ProcessRuntimeBench) -> None:
    before = await ready(bench)
    assert before.pid is not None
    os.kill(before.pid, signal.SIGKILL)
    after = await until(bench, lambda instance: instance.phase == "ready" and instance.pid not in (before.pid, None))
    assert (after.endpoint, after.restarts) == (before.endpoint, 1)


async def test_an_instance_whose_supervisor_was_killed_comes_back(bench: ProcessRuntimeBench) -> None:
    before = await ready(bench)
    state = record.read_fields(str(bench.processes.log_path(before.log).parent / record.STATE))
    os.kill(int(dict(state or [])["supervisor"]), signal.SIGKILL)
    after = await until(bench, lambda instance: instance.phase == "ready" and instance.pid not in (before.pid, None))
    assert after.endpoint == before.endpoint


async def test_instances_lost_while_nobody_looked_come_back(bench: ProcessRuntimeBench) -> None:
    before = await ready(bench)
    state = record.read_fields(str(bench.processes.log_path(before.log).parent / record.STATE))
    await bench.leave()
    os.kill(int(dict(state or [])["supervisor"]), signal.SIGKILL)
    await bench.reopen()
    # It may be seen as it was for a moment: a process does not end in the moment in which it is killed.
    await until(bench, lambda instance: instance.phase == "ready" and instance.pid not in (before.pid, None))
    [after] = await bench.runtime.instances(PLACE, FIRST)
    assert after.endpoint == before.endpoint


async def shared(bench: ProcessRuntimeBench, *releases: str) -> Instance:
    """An instance that the releases share, each with files of its own; the last came last."""
    wanted = replace(bench.specification, release=ReleaseSpec(hot=("code",)))
    for release in releases:
        root = bench.home / "releases" / release.removeprefix("sha256:")
        if not root.exists():
            shutil.copytree(bench.root, root)
        await bench.answer(PLACE, release, well=True)
        await bench.runtime.ensure(PLACE, release, wanted, root, 1, program=PROGRAM)
        await phases_become(bench, "ready", release)
    return (await bench.runtime.instances(PLACE, releases[0]))[0]


def variables_of(instance: Instance) -> dict[str, str]:
    assert instance.pid is not None
    return psutil.Process(instance.pid).environ()


async def test_what_several_share_is_started_again_as_the_newest_of_them(bench: ProcessRuntimeBench) -> None:
    before = await shared(bench, FIRST, SECOND)
    assert variables_of(before)["TRIMTAB_RELEASE"] == FIRST
    assert variables_of(before)["TRIMTAB_RELEASES"] == str(bench.home / "releases")
    state = record.read_fields(str(bench.processes.log_path(before.log).parent / record.STATE))
    os.kill(int(dict(state or [])["supervisor"]), signal.SIGKILL)
    after = await until(bench, lambda instance: instance.phase == "ready" and instance.pid not in (before.pid, None))
    assert after.endpoint == before.endpoint
    assert variables_of(after)["TRIMTAB_RELEASE"] == SECOND
    [second] = await bench.runtime.instances(PLACE, SECOND)
    assert (second.pid, second.endpoint, second.phase) == (after.pid, after.endpoint, "ready")
    status = await bench.processes.status(after.log)
    assert status is not None
    assert release_in(status.cwd) == SECOND
    await bench.runtime.stop(PLACE, SECOND)
    state = record.read_fields(str(bench.processes.log_path(before.log).parent / record.STATE))
    os.kill(int(dict(state or [])["supervisor"]), signal.SIGKILL)
    last = await until(bench, lambda instance: instance.phase == "ready" and instance.pid not in (after.pid, None))
    assert variables_of(last)["TRIMTAB_RELEASE"] == FIRST, "who has left is not the newest any more"


async def test_an_instance_changes_no_release_that_it_serves(bench: ProcessRuntimeBench) -> None:
    each = "for folder in $TRIMTAB_RELEASES/*; do touch $folder/mine; done"
    status_line = f"{each}; touch $TRIMTAB_STATE_DIR/mine; exec sleep 60"
    wanted = replace(specification(status_line, health_path=None), release=ReleaseSpec(hot=("code",)))
    roots = [bench.home / "releases" / release.removeprefix("sha256:") for release in (FIRST, SECOND)]
    for root in roots:
        shutil.copytree(bench.root, root)
    await bench.runtime.ensure(PLACE, FIRST, wanted, roots[0], 1, program=PROGRAM)
    [instance] = await bench.runtime.instances(PLACE)
    status = await bench.processes.status(instance.log)
    assert status is not None
    if not status.confined:
        pytest.skip("this kernel allows no mount namespace here")
    state = bench.home / "runtime" / "state" / "shop" / "production"
    await until(bench, lambda _: (state / "mine").exists())
    assert not any((root / "mine").exists() for root in roots)


async def test_a_controller_that_died_while_stopping_what_was_shared_ends_it(bench: ProcessRuntimeBench) -> None:
    instance = await shared(bench, FIRST, SECOND)
    await bench.runtime.stop(PLACE, FIRST)
    await bench.leave()
    book = next((bench.home / "runtime" / "instances").rglob("*.json"))
    book.write_text(json.dumps({**json.loads(book.read_text()), "stopped_at": time.time()}))
    await bench.reopen()
    await bench.runtime.stop(PLACE, SECOND)
    status = await bench.processes.status(instance.log)
    assert status is not None
    assert status.phase == "exited", "though it is named after the other"


async def test_what_was_not_ended_the_first_time_is_the_next_time(
    bench: ProcessRuntimeBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else what is wanted later would be looked for where it does not listen."""
    await shared(bench, FIRST, SECOND)
    wanted = replace(bench.specification, release=ReleaseSpec(hot=("code",)))
    root = bench.home / "releases" / FIRST.removeprefix("sha256:")
    await bench.runtime.ensure(PLACE, FIRST, wanted, root, 2, program=PROGRAM)
    _, more = await phases_become(bench, "ready")

    async def fails(_: str) -> None:
        raise OSError(5, "no supervisor answers")

    with monkeypatch.context() as patch:
        patch.setattr(bench.processes, "stop", fails)
        with pytest.raises(OSError, match="no supervisor"):
            await bench.runtime.stop(PLACE, FIRST)
    await bench.reopen()
    assert await bench.processes.status(more.log) is not None
    await bench.runtime.stop(PLACE, FIRST)
    assert await bench.processes.status(more.log) is None
    [left] = await bench.runtime.instances(PLACE)
    assert (left.release, left.phase) == (SECOND, "ready")


async def test_records_are_those_that_older_versions_write_and_read(bench: ProcessRuntimeBench) -> None:
    before = await ready(bench)
    book = next((bench.home / "runtime" / "instances").rglob("*.json"))
    assert {"program", "uses", "name"}.isdisjoint(json.loads(book.read_text()))
    await bench.reopen()
    [after] = await bench.runtime.instances(PLACE)
    assert (after.id, after.pid) == (before.id, before.pid)


async def test_who_comes_to_what_is_just_ending_gets_another(bench: ProcessRuntimeBench) -> None:
    before = await shared(bench, FIRST)
    ends = asyncio.create_task(bench.runtime.stop(PLACE, FIRST))
    await asyncio.sleep(0)  # it begins
    wanted = replace(bench.specification, release=ReleaseSpec(hot=("code",)))
    root = bench.home / "releases" / FIRST.removeprefix("sha256:")
    await bench.runtime.ensure(PLACE, FIRST, wanted, root, 1, program=PROGRAM)
    [begun] = await bench.runtime.instances(PLACE)
    assert begun.pid not in (before.pid, None)
    await ends
    [after] = await bench.runtime.instances(PLACE)
    assert after.pid == begun.pid
    assert (await shared(bench, SECOND)).pid == begun.pid


async def test_a_home_that_was_deleted_is_made_again(bench: ProcessRuntimeBench) -> None:
    before = await ready(bench)
    shutil.rmtree(bench.home / "processes")
    shutil.rmtree(bench.home / "runtime")
    await bench.answer(PLACE, FIRST, well=True)
    await until(bench, lambda instance: instance.phase == "ready" and instance.pid not in (before.pid, None))


async def test_stop_lets_an_instance_finish(bench: ProcessRuntimeBench) -> None:
    (bench.root / "app.py").write_text(
        "import os, signal, time\n"
        "def finish(*_):\n    time.sleep(0.2); print('finished', flush=True); os._exit(0)\n"
        "signal.signal(signal.SIGTERM, finish)\nprint('up', flush=True)\nwhile True: time.sleep(60)\n"
    )
    instance = await start(bench)
    log = bench.processes.log_path(instance.log)
    await until(bench, lambda _: log.read_text() == "up\n")
    await bench.runtime.stop(PLACE, FIRST)
    assert log.read_text() == "up\nfinished\n", "the log of a stopped release is kept"


async def test_the_logs_of_the_last_three_stopped_releases_are_kept(bench: ProcessRuntimeBench) -> None:
    releases = [f"sha256:{digit * 64}" for digit in "34567"]
    for number, release in enumerate(releases):
        await start(bench, release=release)
        await bench.runtime.stop(PLACE, release)
        if number == 1:
            await bench.reopen()
    kept = {status.name.split("/")[3] for status in await bench.processes.list("instance/")}
    assert kept == {short(release) for release in releases[2:]}
    assert len(list((bench.home / "runtime" / "instances").rglob("*.json"))) == 3


async def test_a_controller_that_died_while_stopping_does_not_start_again(bench: ProcessRuntimeBench) -> None:
    instance = await ready(bench)
    await bench.leave()
    book = next((bench.home / "runtime" / "instances").rglob("*.json"))
    book.write_text(json.dumps({**json.loads(book.read_text()), "stopped_at": time.time()}))
    await bench.reopen()
    assert await bench.runtime.instances(PLACE) == ()
    await bench.runtime.stop(PLACE, FIRST)
    status = await bench.processes.status(instance.log)
    assert status is not None
    assert status.phase == "exited"


async def test_a_corrupt_record_is_named(bench: ProcessRuntimeBench) -> None:
    await start(bench)
    await bench.leave()
    book = next((bench.home / "runtime" / "instances").rglob("*.json"))
    book.write_text("{")
    await bench.reopen()
    with pytest.raises(TrimtabError) as raised:
        await bench.runtime.instances(PLACE)
    assert raised.value.problem.where == str(book)


async def test_no_two_instances_get_the_same_port(bench: ProcessRuntimeBench, monkeypatch: pytest.MonkeyPatch) -> None:
    offered: list[set[int]] = []

    def remember(taken: set[int]) -> int:
        offered.append(set(taken))
        return free_port(taken)

    monkeypatch.setattr("trimtab.adapters.processes.runtime.free_port", remember)
    asleep = specification("exec sleep 60")
    attempts: list[Awaitable[None]] = [
        bench.runtime.ensure(place, release, asleep, bench.root, 2)
        for place in (PLACE, OTHER_PLACE)
        for release in (FIRST, SECOND)
    ]
    await asyncio.gather(*attempts)
    await bench.reopen()
    await bench.runtime.ensure(PLACE, FIRST, asleep, bench.root, 3)
    found = [*await bench.runtime.instances(PLACE), *await bench.runtime.instances(OTHER_PLACE)]
    assert len({instance.endpoint.port for instance in found}) == len(found) == 9
    assert len(offered[-1]) == 8, "the ports of adopted instances are taken, even while nothing listens there"


async def test_nothing_is_kept_of_an_environment_that_was_removed(bench: ProcessRuntimeBench) -> None:
    await ready(bench)
    log = bench.processes.log_path((await bench.runtime.instances(PLACE))[0].id)
    state = next(path for path in bench.home.rglob("state/shop/production"))
    (state / "cache.db").touch()
    await bench.runtime.stop(PLACE, FIRST)
    assert log.exists()
    await bench.runtime.remove(PLACE)
    assert not log.exists()
    assert not state.exists()
