"""What breaks, and what everybody sees of it: real processes are killed, real files damaged, real ports taken."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.e2e.world import LONG_CANARY, World, end, users, wait_for

LEASE_AND_A_BIT_S = 5.0


def first_release(world: World, **settings: str) -> str | None:
    world.plant(**settings)
    world.up()
    rollout = world.ended(world.push(version=1))
    assert rollout.status == "promoted"
    return rollout.release


def test_a_killed_controller_costs_the_canary_its_share_and_nothing_else(world: World) -> None:
    marks = world.folder / "marks"
    first_release(world, pipeline=f"pipeline: {{once: {{run: 'date >> {marks}', sandbox: none}}}}")
    world.configure(strategy=LONG_CANARY, pipeline=f"pipeline: {{once: {{run: 'date >> {marks}', sandbox: none}}}}")
    with users(world.url) as answers:
        second = world.push(version=2)
        world.observing(second)
        wait_for(lambda: answers.versions["version 2"] > 0, why="the canary gets traffic")
        world.kill_controller()
        killed_s = time.monotonic()
        wait_for(
            lambda: time.monotonic() - answers.last_s["version 2"] > 2.0, why="the canary gets no traffic any more"
        )
        assert answers.last_s["version 2"] - killed_s < LEASE_AND_A_BIT_S
        served = answers.versions["version 1"]
        wait_for(lambda: answers.versions["version 1"] > served + 50, why="stable goes on serving")
        world.up()
        wait_for(lambda: answers.last_s["version 2"] > killed_s + LEASE_AND_A_BIT_S, why="the canary goes on")
        world.client.steer("shop", "production", "promote")
        assert world.ended(second).status == "promoted"
    assert not answers.bad
    assert len(marks.read_text().splitlines()) == 2
    assert [line.split()[0] for line in world.desired_log()] == ["Promote", "Promote"]


def test_a_controller_killed_again_and_again_loses_no_run_and_doubles_no_commit(world: World) -> None:
    marks = world.folder / "marks"
    pipeline = f"pipeline: {{once: {{run: 'echo $TRIMTAB_RUN >> {marks}; sleep 0.3', sandbox: none}}}}"
    first_release(world, strategy="instant", pipeline=pipeline)
    for version, pause_s in enumerate((0.02, 0.15, 0.3, 0.5, 0.7, 0.9), start=2):
        commit = world.push(version=version)
        killing = threading.Timer(pause_s, world.kill_controller)
        killing.start()
        killing.join()
        world.up()
        assert world.ended(commit).status == "promoted"
    assert marks.read_text().split() == [str(number) for number in range(1, 8)]
    assert len(world.desired_log()) == 7


def test_a_killed_instance_is_back_at_once(world: World) -> None:
    first_release(world)
    victim = next(process for process in world.processes("app.py") if not process.children())
    end(victim)
    with users(world.url) as answers:
        wait_for(lambda: answers.versions["version 1"] > 100, why="it serves again")
    wait_for(lambda: world.client.status().instances["shop/production"][0].restarts == 1, why="status counts it")


def test_a_killed_gateway_is_back_at_once(world: World) -> None:
    first_release(world)
    envoy = next(process for process in world.processes() if process.name() == "envoy")
    end(envoy)
    with users(world.url) as answers:
        wait_for(lambda: answers.versions["version 1"] > 100, why="it serves again")


def test_gateway_and_controller_killed_together(world: World) -> None:
    """Envoy comes back alone, from its files: all of it to the stable release."""
    first_release(world)
    world.configure(strategy=LONG_CANARY)
    with users(world.url):
        world.observing(world.push(version=2))
        world.kill_controller()
        end(next(process for process in world.processes() if process.name() == "envoy"))
    with users(world.url) as answers:
        wait_for(lambda: answers.versions["version 1"] > 100, why="it serves again")
    assert answers.versions["version 2"] == 0


def test_a_paused_controller_loses_the_canary_share_and_picks_it_up_again(world: World) -> None:
    first_release(world)
    world.configure(strategy=LONG_CANARY)
    assert world.controller is not None
    with users(world.url) as answers:
        second = world.push(version=2)
        world.observing(second)
        wait_for(lambda: answers.versions["version 2"] > 0)
        world.controller.send_signal(signal.SIGSTOP)
        wait_for(
            lambda: time.monotonic() - answers.last_s["version 2"] > 2.0, why="the canary gets no traffic any more"
        )
        world.controller.send_signal(signal.SIGCONT)
        seen = answers.versions["version 2"]
        wait_for(lambda: answers.versions["version 2"] > seen, why="the canary goes on")


def test_a_damaged_artifact_is_refused_with_the_reason(world: World) -> None:
    first = first_release(world, strategy="instant")
    second = world.ended(world.push(version=2)).release
    world.live(second)
    assert first is not None
    wait_for(lambda: len(world.processes("app.py")) <= 2, why="the first release is retired")
    for path in _files_of(world.home / "artifacts", b'{"version": 1}'):
        os.chmod(path, 0o600)
        path.write_text('{"version": 6}')
    world.client.rollback("shop", "production", first)

    def refused() -> str | None:
        rollouts = world.client.rollouts("shop", "production")
        return rollouts[0].reason if rollouts[0].release == first and rollouts[0].status == "failed" else None

    assert "damaged" in wait_for(refused, why="the rollout is refused")
    world.live(second)
    with users(world.url) as answers:
        wait_for(lambda: answers.versions["version 2"] > 20)


def _files_of(folder: Path, content: bytes) -> list[Path]:
    found = [path for path in folder.rglob("*") if path.is_file() and path.read_bytes() == content]
    assert found
    return found


def test_a_remote_that_hangs_is_said_in_status(world: World) -> None:
    first_release(world, strategy="instant")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/shop.git"
        world.client.register("shop", poll_url=url)
        problem = wait_for(
            lambda: next(iter(world.client.app("shop").problems), None), within_s=60.0, why="status names it"
        )
    assert "127.0.0.1" in str(problem)
    assert world.production.live is not None


def test_a_port_that_is_taken_is_said_and_nothing_moves(world: World) -> None:
    with socket.create_server(("127.0.0.1", world.port)):
        world.plant()
        world.up()
        rollout = world.ended(world.push(version=1))
    assert rollout.status == "failed"
    assert str(world.port) in rollout.reason
    assert world.production.live is None
    assert world.ended(world.push(version=2)).status == "promoted"


def test_a_health_check_that_never_answers_moves_no_traffic(world: World) -> None:
    first = first_release(world)
    world.configure(health_timeout="2s")
    with users(world.url) as answers:
        rollout = world.ended(world.push(version=2, health=503))
    assert rollout.status == "failed"
    assert "503" in rollout.reason
    assert answers.versions["version 2"] == 0
    world.live(first)
    assert world.desired_log()[-1].startswith("Give up on")


def test_a_command_that_does_not_exist_is_named(world: World) -> None:
    first = first_release(world)
    world.configure(command="no-such-program --serve")
    rollout = world.ended(world.push(version=2))
    assert rollout.status == "failed"
    assert "no-such-program" in rollout.reason
    world.live(first)


def test_an_invalid_configuration_stops_its_run_with_every_problem(world: World) -> None:
    first_release(world)
    text = (world.repository / "trimtab.yaml").read_text()
    (world.repository / "trimtab.yaml").write_text(text.replace("command:", "comand:") + "colour: blue\n")
    run = world.finished(world.push(version=2))
    assert run.status == "invalid"
    assert "comand" in run.reason
    assert "colour" in run.reason


def test_a_second_controller_on_the_same_folder_is_refused(world: World) -> None:
    world.plant()
    world.up()
    words = [sys.executable, "-m", "trimtab.cli.main", "up", "--home", str(world.home), "--port", "0"]
    second = subprocess.run(words, capture_output=True, text=True, cwd=world.repository)
    assert second.returncode == 1
    assert "Trimtab runs already" in second.stderr
    assert "Traceback" not in second.stderr
    assert json.loads((world.home / "api.json").read_text())["url"].endswith(str(world.api_port))
