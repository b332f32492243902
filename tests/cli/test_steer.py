"""Commands that steer, and the one that watches."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import struct
import subprocess
import sys
import termios
import threading

import pytest

from tests.cli.scenario import GOOD, WORSE, digest
from tests.cli.terminal import Terminal
from tests.client.server import Api, until, when_followed
from trimtab.core.model import facts as f
from trimtab.core.model.identity import short

PLACE = "rollout/shop/production/4"
PROGRAM = (sys.executable, "-m", "trimtab.cli.main")


@pytest.mark.parametrize(
    ("word", "fact"),
    [
        ("promote", f.PromoteRequested("ann")),
        ("pause", f.PauseRequested("ann")),
        ("resume", f.ResumeRequested("ann")),
        ("abort", f.AbortRequested("ann")),
    ],
)
def test_the_rollout_under_way_is_steered(api: Api, run: Terminal, word: str, fact: f.Fact) -> None:
    said = run(word)
    assert (said.code, said.out) == (0, "")
    assert PLACE in said.err
    assert (api.last().object, api.last().fact) == (PLACE, fact)
    assert run.json(word, "--env", "production")["object"] == PLACE


def test_what_the_server_refuses_ends_with_1(api: Api, run: Terminal) -> None:
    said = run("pause", "--env", "staging")
    assert (said.code, said.out) == (1, "")
    assert said.err.splitlines() == [
        "error: no rollout is under way in shop/staging",
        "  hint: `trimtab rollback` returns to an earlier release; a push starts a new rollout",
    ]
    assert run("rollback", "zzzz").code == 1
    assert run("cancel", "3").code == 1


def test_a_run_is_cancelled(api: Api, run: Terminal) -> None:
    api.scene.change("A new change")
    api.tell()
    assert run("cancel", "6").code == 0
    assert (api.last().object, api.last().fact) == ("run/shop/6", f.RunCancelRequested("ann"))


def promoted(api: Api) -> None:
    release = api.scene.live["staging"] or ""
    api.scene.add(PLACE, f.ResumeRequested("ann"), "ann asked for it")
    api.scene.weight(PLACE, 2, 50.0, "34 candidate requests in 15 s at 25 % gave no alarm")
    api.scene.add(PLACE, f.VerdictReached("PASS", ""), GOOD)
    api.scene.end(PLACE, release, "promoted", GOOD, 44.0)
    api.tell()


def rolled_back(api: Api) -> None:
    release = api.scene.live["staging"] or ""
    api.scene.add(PLACE, f.VerdictReached("FAIL", "errors"), WORSE)
    api.scene.end(PLACE, release, "rolled_back", WORSE, 9.0)
    api.tell()


def test_watching_a_rollout_that_is_promoted(api: Api, run: Terminal) -> None:
    when_followed(api, promoted)
    said = run("rollout", "watch")
    assert said.code == 0
    lines = said.out.splitlines()
    assert "‖ paused" in lines[0]
    assert "✔ promoted     rollout 4" in said.out
    assert GOOD.split(":")[0] in said.out
    assert "\x1b" not in said.out
    assert "Ctrl-C stops watching" in said.err


def test_watching_a_rollout_that_is_not_promoted_ends_with_1(api: Api, run: Terminal) -> None:
    when_followed(api, rolled_back)
    said = run("rollout", "watch", "--json")
    assert said.code == 1
    seen = [json.loads(line) for line in said.out.splitlines()]
    assert seen[0]["status"] == "paused"
    assert (seen[-1]["status"], seen[-1]["reason"]) == ("rolled_back", WORSE)
    assert all(view["number"] == 4 for view in seen)


def test_watching_when_nothing_is_under_way_shows_how_the_last_one_ended(api: Api, run: Terminal) -> None:
    rolled_back(api)
    said = run("rollout", "watch")
    assert said.code == 1
    assert "↩ rolled back  rollout 4" in said.out


def paused(api: Api) -> None:
    api.scene.add(PLACE, f.PauseRequested("ben"), "ben asked for it")
    api.tell()


def test_history_is_followed_until_interrupted(api: Api) -> None:
    words = [*PROGRAM, "history", "--follow", "--limit", "2", "--json", "--app", "shop"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        past = [json.loads(process.stdout.readline()) for _ in range(2)]
        when_followed(api, paused)
        new = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        rest, complaints = process.communicate(timeout=20)
    finally:
        process.kill()
        process.wait()
    assert past[0]["seq"] < past[1]["seq"] < new["seq"]
    assert (new["kind"], new["reason"]) == ("PauseRequested", "ben asked for it")
    assert (process.returncode, rest, complaints.strip()) == (130, "", "")


def test_a_terminal_is_drawn_in_place(api: Api) -> None:
    """On a real (pseudo) terminal: the picture is redrawn over itself, and stays there at the end."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 110, 0, 0))
    words = [*PROGRAM, "rollout", "watch"]
    environment = {**os.environ, "TERM": "xterm-256color"}
    process = subprocess.Popen(words, stdout=theirs, stderr=subprocess.PIPE, env=environment)
    os.close(theirs)
    drawn = bytearray()
    reader = threading.Thread(target=_read_all, args=(ours, drawn), daemon=True)
    reader.start()
    try:
        until(lambda: b"paused" in drawn)
        promoted(api)
        _, complaints = process.communicate(timeout=20)
        reader.join(timeout=10)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    text = drawn.decode()
    assert process.returncode == 0, complaints
    assert "\x1b[1A" in text, "the cursor goes up to draw over the last frame"
    assert "promoted" in text.rpartition("\x1b[1A")[2]


def _read_all(descriptor: int, into: bytearray) -> None:
    try:
        while chunk := os.read(descriptor, 65536):
            into += chunk
    except OSError:  # a pseudo terminal's way to say that the other side is closed
        pass


# --- holding ---------------------------------------------------------------------------------------------------------

PRODUCTION = "env/shop/production"
RANKED = digest("Rank answers with the new model")


def test_an_environment_is_pinned_and_unpinned(api: Api, run: Terminal) -> None:
    assert run("unpin").code == 1
    assert run("pin").code == 0
    live = api.scene.live["production"]
    assert (api.last().object, api.last().fact) == (PRODUCTION, f.PinRequested(live, "ann"))
    assert f"pinned to  {short(live or '')}" in run("status").out
    assert run("unpin").code == 0
    assert api.last().fact == f.UnpinRequested("ann")
    assert "pinned" not in run("status").out


def test_a_freeze_lasts_until_its_time_or_until_it_is_thawed(api: Api, run: Terminal) -> None:
    assert run("thaw").code == 1
    assert run("freeze", "--for", "2d").code == 0
    frozen = api.last().fact
    assert isinstance(frozen, f.FreezeRequested)
    assert frozen.until is not None
    assert "frozen  for another 47 h" in run("status").out
    assert run("thaw").code == 0
    assert api.last().fact == f.ThawRequested("ann")
    assert run("freeze").code == 0
    assert api.last().fact == f.FreezeRequested(None, "ann")


@pytest.mark.parametrize(
    "options",
    [("--for", "soon"), ("--until", "soon"), ("--for", "1h", "--until", "2999-01-01"), ("--until", "2001-01-01")],
)
def test_a_freeze_that_makes_no_sense_is_refused(api: Api, run: Terminal, options: tuple[str, ...]) -> None:
    said = run("freeze", *options)
    assert said.code in (1, 2)
    assert "Traceback" not in said.err


def test_a_release_in_quarantine_is_shown_and_trusted_again(api: Api, run: Terminal) -> None:
    assert "no release is in quarantine" in run("quarantine").out
    api.scene.add(PRODUCTION, f.ReleaseQuarantined(RANKED), "it fails more often")
    api.tell()
    assert run.json("quarantine", "list") == [RANKED]
    assert f"quarantine  {short(RANKED)}" in run("status").out
    assert run("quarantine", "lift", short(digest("Answer questions about orders"))).code == 1
    assert run("quarantine", "lift", short(RANKED)[:6]).code == 0
    assert api.last().fact == f.QuarantineLifted(RANKED, "ann")
    assert run("quarantine").out.startswith("no release")


def test_what_waits_says_why(api: Api, run: Terminal) -> None:
    api.scene.add(PRODUCTION, f.DeliveryHeld("window", 1e10), "no deployment window is open; the next one opens in 1 h")
    api.tell()
    assert "no deployment window is open" in run("status").out
    api.scene.add(PRODUCTION, f.DeliveryResumed(), "what waits may go on")
    api.tell()
    assert "no deployment window is open" not in run("status").out


def test_a_step_that_waits_for_a_person_is_approved(api: Api, run: Terminal) -> None:
    refused = run("approve")
    assert (refused.code, refused.err.splitlines()[0]) == (1, "error: no step waits for approval")
    api.scene.add(PLACE, f.ApprovalAwaited(1), "step 2 waits for a person")
    api.tell()
    assert "waits for a person" in run("status").out
    assert run("approve").code == 0
    assert (api.last().object, api.last().fact) == (PLACE, f.ApproveRequested("ann"))


def test_gates_holds_and_experiments_are_shown(api: Api, run: Terminal) -> None:
    api.scene.add(PLACE, f.GateStarted("smoke", "gate/shop/production/4/1"), "")
    api.scene.add(PLACE, f.RolloutHeld(), "refusals: its newest number is 61 s old, the limit is 60 s")
    api.scene.add(PLACE, f.ExperimentJudged(1, {"short": "FAIL", "long": "PASS"}, ("short",)), "")
    api.tell()
    shown = run("status").out
    assert "held  refusals: its newest number is 61 s old" in shown
    assert "gate  smoke  trimtab logs gate/shop/production/4/1" in shown
    assert "short FAIL (worse)  long PASS" in shown


def test_a_run_is_wanted_once_more(api: Api, run: Terminal) -> None:
    newest = max(api.services().board().runs("shop"), key=lambda view: view.number)
    said = run("rerun", str(newest.number), "--all")
    assert said.code == 0, said.err
    assert f"run {newest.number} runs once more: lint, test, evals afresh" in said.err
    fact = api.last().fact
    assert isinstance(fact, f.RerunRequested)
    assert (fact.run, fact.by, fact.fresh, fact.change) == (
        newest.number,
        "ann",
        ("lint", "test", "evals"),
        newest.change,
    )
    assert api.last().object == "app/shop"
    assert run.json("rerun", "--step", "test")["object"] == "app/shop"


def test_what_cannot_run_once_more(api: Api, run: Terminal) -> None:
    assert "there is no run 99" in run("rerun", "99").err
    passed = next(view for view in api.services().board().runs("shop") if view.status == "passed")
    assert "`--step NAME` runs one afresh" in run("rerun", str(passed.number)).err
    assert "its steps: lint, test" in run("rerun", str(passed.number), "--step", "tset").err
    assert run("rerun", "--all", "--failed").code == 2
    api.scene.change("A new change")
    api.tell()
    assert "is still running" in run("rerun").err


def test_one_whose_branch_has_moved_on_says_what_it_does_not_do(api: Api, run: Terminal) -> None:
    oldest = min(api.services().board().runs("shop"), key=lambda view: view.number)
    assert "so nothing is released (`--deploy` does)" in run("rerun", str(oldest.number), "--all").err
    assert "nothing is released" not in run("rerun", str(oldest.number), "--all", "--deploy").err
