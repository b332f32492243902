"""What a forge is told of a run, and in which order."""

from __future__ import annotations

import pytest

from trimtab.core.model import facts as f
from trimtab.core.model.actions import ReportRun
from trimtab.core.model.forge import ForgeSpec
from trimtab.core.model.report import FailedTest, StepReport, TestsReport
from trimtab.core.model.specification import EnvironmentSpec, ServiceSpec, Specification, StepSpec
from trimtab.engine.loop import Order
from trimtab.engine.reporting import Reporting, commit_status
from trimtab.ports.forge import LONGEST_DESCRIPTION, OpenPull
from trimtab.testing.clock import ManualClock
from trimtab.testing.memory_forges import MemoryForges, MemoryForgeSecrets
from trimtab.testing.memory_store import MemoryStore
from trimtab.views.comment import comment
from trimtab.views.model import RunView, StepView

FORGE = ForgeSpec("github", "org/shop", "memory:")
REQUEST = f.PullRequest(7, "main")
PRODUCTION = EnvironmentSpec("production", 8080)
SPECIFICATION = Specification("shop", ServiceSpec("serve"), (PRODUCTION,), (StepSpec("test", "pytest"),))


def change(letter: str) -> f.Change:
    return f.Change(letter * 40, "pull/7", "mo", "Answer in verse", 1.0)


def run(status: str, *steps: str, reason: str = "because") -> RunView:
    views = tuple(StepView(f"step-{number}", step, duration_s=1.5) for number, step in enumerate(steps))
    return RunView("shop", 12, change("a"), status, reason, 1.0, 2.0, steps=views, pull_request=REQUEST)


@pytest.mark.parametrize(
    ("seen", "state"),
    [
        (run("running"), "pending"),
        (run("passed", "passed"), "success"),
        (run("failed", "passed", "failed"), "failure"),
        (run("failed", "timed_out", "skipped"), "failure"),
        (run("lost", "passed", "lost"), "error"),
        (run("failed", "failed", "lost"), "failure"),
        (run("invalid"), "failure"),
        (run("superseded", "cancelled"), "cancelled"),
        (run("cancelled"), "cancelled"),
        (run("of_a_newer_version"), "error"),
    ],
)
def test_each_end_of_a_run_has_its_state(seen: RunView, state: str) -> None:
    assert commit_status(seen, "https://x").state == state


def test_a_description_is_one_line_that_forges_take() -> None:
    said = commit_status(run("failed", reason="first\nsecond " + "x" * 500), "https://x").description
    assert said.startswith("run 12: first second xxx")
    assert len(said) == LONGEST_DESCRIPTION
    assert said.endswith("…")


def test_others_words_stay_words_in_a_comment() -> None:
    evil = "`@everyone` | <img src=x>\n\n# Title\n| a | b |"
    steps = (StepView("test", "failed", detail=evil, duration_s=1.0), StepView("late", "waiting"))
    seen = RunView("shop", 12, change("a"), "failed", evil, 1.0, 2.0, steps=steps)
    lines = comment(seen, "https://x/12").splitlines()
    assert lines[0] == "✘ **Trimtab: [run 12](https://x/12) failed** at aaaaaaaa, after 2.0 s"
    quoted = "`'@everyone' ¦ <img src=x> # Title ¦ a ¦ b ¦`"
    assert lines[2] == quoted
    assert lines[-2] == f"| test | ✘ failed | 1.0 s | {quoted} |"
    assert lines[-1] == "| late | ○ waiting |  |  |"
    assert len(comment(run("failed", reason="x" * 100_000), "https://x")) < 2_000


def test_a_comment_names_the_tests_that_fail() -> None:
    failing = (FailedTest("test_cart[`empty`]", "assert 1 == 2"),)
    report = StepReport(tests=TestsReport(412, 1, 0, 3.0, failing))
    steps = (
        StepView("lint", "cached"),
        StepView("test", "failed", detail="exit code 1", duration_s=1.0, report=report),
    )
    seen = RunView("shop", 12, change("a"), "failed", "test failed", 1.0, 2.0, steps=steps)
    said = comment(seen, "https://x/12")
    assert "| lint | ✔ cached |" in said
    assert "| test | ✘ failed | 1.0 s | `exit code 1` `413 tests, 1 failed` |" in said
    assert "- test: `test_cart['empty']: assert 1 == 2`" in said


class Desk:
    """A store with runs, and a forge that is told of them."""

    def __init__(self) -> None:
        self.store, self.secrets = MemoryStore(), MemoryForgeSecrets()
        self.forges = MemoryForges(ManualClock())
        self.forges.pulls[7] = OpenPull(REQUEST, "")
        self.secrets.keep_token("shop", "the-token")
        self.reporting = Reporting(self.store, self.forges, self.secrets, "https://x")

    def asked(self, number: int, letter: str, request: f.PullRequest | None = REQUEST) -> None:
        place = f"run/shop/{number}"
        asked = f.RunRequested(number, change(letter), request)
        self.store.append([f.Recorded(place, asked), f.Recorded(place, f.SpecificationRead(SPECIFICATION))], 1.0)

    def ended(self, number: int, outcome: f.RunOutcome) -> None:
        self.store.append([f.Recorded(f"run/shop/{number}", f.RunFinished(number, outcome, None, 1.0), "so")], 2.0)

    async def report(self, number: int) -> None:
        order = Order(ReportRun("shop", number, FORGE), "app/shop", f"report:{number}:ended", 1)
        assert isinstance(await self.reporting.report_run(order), f.ActionDone)


async def test_the_comment_is_of_the_newest_run_of_its_pull_request() -> None:
    """The older run's report may come last: that run has to be stopped first."""
    desk = Desk()
    desk.asked(1, "a")
    desk.asked(2, "b")
    desk.asked(3, "c", f.PullRequest(8, "main"))
    await desk.report(2)
    desk.ended(1, "superseded")
    await desk.report(1)
    assert [(said.commit[0], said.state) for said in desk.forges.statuses] == [("b", "pending"), ("a", "cancelled")]
    assert "[run 2]" in desk.forges.comments[7]["shop"]


async def test_a_report_says_what_is_true_when_it_is_made() -> None:
    desk = Desk()
    desk.asked(1, "a", None)
    desk.ended(1, "passed")
    await desk.report(1)
    assert [said.state for said in desk.forges.statuses] == ["success"]
    assert desk.forges.comments == {}


async def test_what_cannot_be_told_is_left_out() -> None:
    desk = Desk()
    desk.asked(1, "a", f.PullRequest(0, "main", name="verse"))
    await desk.report(1)
    assert desk.forges.comments == {}  # no forge knows of it
    await desk.report(99)
    desk.secrets.tokens.clear()
    await desk.report(1)
    assert len(desk.forges.statuses) == 1
