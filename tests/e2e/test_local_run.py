"""`trimtab run`: the pipeline of a working tree without a server, by the real program."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tests.e2e.laptop import RUN, Laptop, tidied
from tests.e2e.world import World, wait_for

PIPELINE = """
  build: {run: "mkdir -p dist && cp src/a dist/ && echo built", inputs: [src/], outputs: [dist/]}
  test: {run: "cat dist/a && ls && test ! -e broken", needs: [build]}
  lint: {run: "echo linting", inputs: [src/]}
"""
# Runs until it is stopped, wherever that comes from.
LASTING = '  wait: {run: "echo begun; sleep 1000", sandbox: {network: true}}'


@pytest.fixture
def laptop() -> Iterator[Laptop]:
    with tidied(Laptop(Path(mkdtemp(prefix="trimtab-laptop-")))) as laptop:
        yield laptop


def test_what_passed_is_not_run_again_and_what_changed_is(laptop: Laptop) -> None:
    laptop.plant(PIPELINE, src__a="one\n")
    assert laptop.steps() == {"build": "passed", "test": "passed", "lint": "passed"}
    assert laptop.steps() == {"build": "cached", "test": "cached", "lint": "cached"}
    laptop.write(new="not committed\n")
    assert laptop.steps() == {"build": "cached", "test": "passed", "lint": "cached"}
    laptop.write(src__a="two\n")
    said = laptop.fine()
    assert "two" in said
    assert "new" in said
    assert laptop.steps("--fresh") == {"build": "passed", "test": "passed", "lint": "passed"}
    assert laptop.git("status", "--porcelain").split() == ["M", "src/a", "??", "new"]


def test_a_failure_is_shown_again_at_the_end_with_where_its_log_is(laptop: Laptop) -> None:
    lines = "for i in $(seq 30); do echo line $i; done; false"
    laptop.plant(f'  test: {{run: "{lines}"}}\n  after: {{run: "true", needs: [test]}}')
    done = laptop.run()
    assert done.returncode == 1
    first, _, last = done.stdout.rpartition("✘ test  failed")
    assert "line 1\n" in first
    repeated = re.findall(r"^  line (\d+)$", last, re.MULTILINE)
    assert repeated == [str(number) for number in range(11, 31)]
    log = re.search(r"all of it:\s+(\S+)", last)
    assert log is not None
    assert Path(log[1]).read_text().splitlines() == [f"line {number}" for number in range(1, 31)]
    assert "– after  skipped" in done.stdout


def test_only_some_steps_and_going_on_after_a_failure(laptop: Laptop) -> None:
    laptop.plant(
        """
  a: "false"
  b: {run: "true", needs: [a]}
  c: {run: "true", matrix: {N: ["1", "2"]}}
  d: {run: "true", needs: [c]}
parallel: 1
"""
    )
    assert laptop.steps("c") == {"a": "left_out", "b": "left_out", "c@1": "passed", "c@2": "passed", "d": "left_out"}
    assert laptop.steps(code=1)["d"] == "skipped"
    after = {"a": "failed", "b": "skipped", "c@1": "cached", "c@2": "cached", "d": "passed"}
    assert laptop.steps("--keep-going", code=1) == after
    assert "not asked for" not in laptop.fine("d")


def test_a_list_says_what_would_run_and_which_input_changed(laptop: Laptop) -> None:
    laptop.plant(
        PIPELINE + "  net: {run: curl, sandbox: {network: true}}\n  main: {run: a, if: {branch: main}}", src__a="1"
    )

    def listed(*words: str) -> dict[str, tuple[str, str]]:
        return {row["step"]: (row["status"], row["why"]) for row in json.loads(laptop.fine("--list", "--json", *words))}

    assert listed()["build"] == ("waiting", "it has not passed here yet")
    laptop.steps("build", "lint", "test")
    assert listed()["test"] == ("cached", "as in run 1")
    assert listed()["net"] == ("waiting", "never cached: it uses the network")
    assert listed("--branch", "feature")["main"] == ("left_out", "not on feature, only on main")
    assert listed("lint")["build"] == ("left_out", "not asked for")
    laptop.write(src__a="2", src__b="new")
    found = listed()
    assert found["build"] == ("waiting", "since run 1: src/a, src/b changed")
    assert found["test"] == ("waiting", "needs build, which runs first")
    laptop.configure(PIPELINE.replace("echo linting", "echo more"))
    laptop.git("checkout", "--", "src/a")
    (laptop.top / "src" / "b").unlink()
    assert listed()["lint"] == ("waiting", "since run 1: its command changed")
    assert "STEP" in laptop.fine("--list")


def test_a_step_from_a_template_runs_and_is_listed_as_it_is(laptop: Laptop) -> None:
    template = 'parameters: {word: {default: hello}}\nstep: {run: "echo ${{ word }}"}\n'
    laptop.plant("  say: {uses: steps/say.yaml, with: {word: there}}", steps__say_dot_yaml=template)
    assert "there" in laptop.fine()
    listed = json.loads(laptop.fine("--list", "--json"))
    assert [(row["step"], row["status"], row["why"]) for row in listed] == [("say", "cached", "as in run 1")]
    laptop.configure("  say: {uses: steps/say.yaml, with: {word: here}}")
    assert json.loads(laptop.fine("--list", "--json"))[0]["why"].startswith("since run 1: its command changed")


def test_wrong_questions_and_configurations_are_code_2(laptop: Laptop) -> None:
    laptop.plant(PIPELINE, src__a="1")
    assert laptop.run("12").returncode == 2
    assert "`trimtab runs 12` shows run 12" in laptop.run("12").stderr
    assert laptop.run("--release", "test").returncode == 2
    assert laptop.run("--release", "--no-sandbox").returncode == 2
    assert laptop.run("--follow").returncode == 2
    laptop.configure("  test: {rum: pytest}")
    done = laptop.run()
    assert done.returncode == 2
    assert "trimtab.yaml:3" in done.stderr
    (laptop.top / "trimtab.yaml").unlink()
    assert "trimtab init" in laptop.run().stderr


def test_what_is_not_the_pipelines_fault_is_code_75(laptop: Laptop) -> None:
    laptop.plant(PIPELINE, src__a="1")
    (laptop.folder / "cache").write_text("no folder\n")
    assert laptop.run().returncode == 75


def test_without_a_sandbox_it_sees_everything_and_keeps_nothing(laptop: Laptop) -> None:
    secret = laptop.folder / "of-mine"
    secret.write_text("seen\n")
    laptop.plant(f'  look: "cat {secret}"')
    assert laptop.steps(code=1) == {"look": "failed"}
    assert "seen" in laptop.fine("--no-sandbox")
    assert laptop.steps("--no-sandbox") == {"look": "passed"}
    assert laptop.steps(code=1) == {"look": "failed"}


def test_lines_of_json_as_it_happens(laptop: Laptop) -> None:
    laptop.plant(PIPELINE, src__a="1")
    said = [json.loads(line) for line in laptop.fine("--json", "--follow").splitlines()]
    assert {"from": "build", "line": "built"} in said
    statuses = [entry["step"]["status"] for entry in said if entry.get("step", {}).get("name") == "build"]
    assert statuses[-1] == "passed"
    assert said[-1]["run"]["status"] == "passed"
    assert said.index({"from": "build", "line": "built"}) < len(said) - 1


def test_a_folder_that_is_no_repository(laptop: Laptop) -> None:
    laptop.plant(PIPELINE, src__a="1")
    shutil.rmtree(laptop.top / ".git")
    done = laptop.run()
    assert done.returncode == 0
    assert "is no Git repository" in done.stderr
    assert "git init" in done.stderr


def test_a_run_that_was_killed_leaves_nothing_to_the_next_one(laptop: Laptop) -> None:
    laptop.plant(LASTING)
    begun = laptop.begin()
    assert begun.stdout is not None
    wait_for(lambda: "begun" in begun.stdout.readline(), why="the step has begun")  # type: ignore[union-attr]
    begun.kill()
    begun.communicate()
    assert laptop.processes(), "its step goes on for now"
    laptop.configure('  quick: "echo quick"')
    done = laptop.run()
    assert done.returncode == 0
    assert "stopping 1 step that run 1 left when it was killed" in done.stderr
    assert laptop.processes() == []
    assert not list(laptop.kept.glob("workspaces/open/*"))
    assert "stopping" not in laptop.run().stderr


def test_an_interruption_stops_what_runs(laptop: Laptop) -> None:
    laptop.plant(LASTING + "\n  after: {run: 'true', needs: [wait]}")
    begun = laptop.begin()
    assert begun.stdout is not None
    wait_for(lambda: "begun" in begun.stdout.readline(), why="the step has begun")  # type: ignore[union-attr]
    begun.send_signal(signal.SIGINT)
    said, talk = begun.communicate(timeout=60)
    assert begun.returncode == 130
    assert "■ cancelled" in said
    assert "once more stops it at once" in talk
    assert laptop.processes() == []


def test_a_second_interruption_stops_it_at_once(laptop: Laptop) -> None:
    laptop.plant("  wait: {run: \"trap '' TERM; echo begun; while true; do sleep 1; done\", sandbox: none}")
    begun = laptop.begin()
    assert begun.stdout is not None
    assert begun.stderr is not None
    wait_for(lambda: "begun" in begun.stdout.readline(), why="the step has begun")  # type: ignore[union-attr]
    begun.send_signal(signal.SIGINT)
    wait_for(lambda: "stopping" in begun.stderr.readline(), why="it heard that")  # type: ignore[union-attr]
    begun.send_signal(signal.SIGINT)
    begun.communicate(timeout=60)
    assert begun.returncode == 130
    wait_for(lambda: not laptop.processes(), why="nothing is left")
    state = next(laptop.kept.glob("processes/step+*/state")).read_bytes()
    assert b"phase=lost" in state, "it was not waited for until it would be killed anyway"


def test_two_at_a_time_take_turns(laptop: Laptop) -> None:
    laptop.plant('  first: {run: "echo begun; while ! test -e go; do sleep 0.05; done", sandbox: none}')
    begun = laptop.begin()
    assert begun.stdout is not None
    wait_for(lambda: "begun" in begun.stdout.readline(), why="the step has begun")  # type: ignore[union-attr]
    laptop.configure('  second: "true"')
    other = laptop.begin("--json")
    assert other.stderr is not None
    waiting = other.stderr.readline()
    assert f"waiting for another `trimtab run` of this folder (process {begun.pid})" in waiting
    next(laptop.kept.glob("workspaces/open/*/files")).joinpath("go").touch()
    assert begun.wait(60) == 0
    begun.communicate()
    said, _ = other.communicate(timeout=60)
    assert json.loads(said)["run"]["number"] == 2


def test_on_a_terminal_what_runs_is_drawn_and_lines_stay_above(laptop: Laptop) -> None:
    laptop.plant('  one: "echo hello; sleep 1"\n  two: "echo there"')
    ours, theirs = pty.openpty()
    env = {**laptop.env, "TERM": "xterm-256color", "COLUMNS": "100"}
    begun = subprocess.Popen(RUN, cwd=laptop.top, env=env, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    seen = b""
    while chunk := _read(ours):
        seen += chunk
    os.close(ours)
    assert begun.wait(60) == 0
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen.decode())
    assert "◐ running" in text
    assert "one | hello" in text
    assert "✔ two" in text
    assert "✔ passed  run 1: 2 passed" in text


def test_the_release_is_the_one_that_the_server_makes(laptop: Laptop, world: World) -> None:
    pipeline = 'pipeline: {build: {run: "date -u +%Y > built", outputs: [built]}}'
    world.plant(pipeline=pipeline)
    world.up()
    commit = world.push(version="one")
    there = world.finished(commit)
    assert there.status == "passed"
    here = subprocess.run(
        [*RUN, "--release", "--json"], cwd=world.repository, env=laptop.env, capture_output=True, text=True
    )
    assert here.returncode == 0, here.stderr
    assert json.loads(here.stdout)["run"]["release"] == there.release
    (world.repository / "new").write_text("not committed\n")
    other = subprocess.run([*RUN, "--release"], cwd=world.repository, env=laptop.env, capture_output=True, text=True)
    assert f"release {there.release}" not in other.stdout
    assert "release sha256:" in other.stdout


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # nobody holds the other end any more
        return b""
