"""Golden pictures: what people see of the scenario. `TRIMTAB_REWRITE_GOLDEN=1` writes them anew; look at the diff."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC
from pathlib import Path

import pytest
from rich.console import Console, RenderableType

from tests.cli.previewed import with_previews
from tests.cli.released import a_diff, a_release
from tests.cli.scenario import APP, SPECIFICATION, Scenario, board, digest, play, status
from tests.core import attested
from trimtab import __version__
from trimtab.app.doctor import backup, controller, disk, gateway, sandbox
from trimtab.cli.pictures.backup import backup_picture
from trimtab.cli.pictures.diff import diff_picture
from trimtab.cli.pictures.doctor import doctor_picture
from trimtab.cli.pictures.draw import lines
from trimtab.cli.pictures.history import history_picture
from trimtab.cli.pictures.keys import keys_table
from trimtab.cli.pictures.metrics import metrics_picture
from trimtab.cli.pictures.overview import overview
from trimtab.cli.pictures.previews import previews_table
from trimtab.cli.pictures.releases import release_picture, releases_table
from trimtab.cli.pictures.rollout import rollout_change, rollout_picture, rollouts_table
from trimtab.cli.pictures.run import run_picture, runs_table
from trimtab.cli.pictures.shipping import shipped_picture
from trimtab.cli.pictures.status import apps_table, status_picture
from trimtab.cli.pictures.verification import verification_picture
from trimtab.core.errors import Problem
from trimtab.core.model import facts as f
from trimtab.core.model.envelope import KnownKey
from trimtab.core.model.identity import EnvironmentId, short
from trimtab.core.model.release import Manifest, Part, digest_of
from trimtab.core.model.specification import RequireSpec
from trimtab.ports.processes import ProcessStatus
from trimtab.views.backups import BackupView
from trimtab.views.findings import Finding
from trimtab.views.history import entry, is_routine
from trimtab.views.model import MetricView, OverviewView, RolloutView, RunView
from trimtab.views.release_diff import FileChange, PartChange, ReleaseDiffView
from trimtab.views.shipping import ShippedView
from trimtab.views.verification import VerificationView, verification

GOLDEN = Path(__file__).parent / "golden"
SCENE = play()
BOARD = board(SCENE.facts)
NOW = SCENE.now + 4.0
PRODUCTION = EnvironmentId(APP, "production")
ENTRIES = tuple(entry(recorded) for recorded in SCENE.facts if not is_routine(recorded.kind, recorded.object))

Draw = Callable[[int], RenderableType]


def with_pull_requests() -> Scenario:
    """The scene with the run of a fork's pull request, and of a branch that was pushed to be tried."""
    scene = play()
    asked = (
        f.PullRequest(7, "main", "https://github.com/org/shop/pull/7", "Answer in verse", from_fork=True),
        f.PullRequest(0, "main", name="shorter"),
    )
    for request in asked:
        scene.runs += 1
        place, change = f"run/{APP}/{scene.runs}", f.Change("7" * 40, request.branch, "mo", "Rhyme", scene.now)
        scene.add(place, f.RunRequested(scene.runs, change, request), f"{request} by mo is at 77777777: Rhyme")
        scene.add(place, f.SpecificationRead(SPECIFICATION))
        scene.step("lint", 0.4)
    passed = f.RunFinished(scene.runs, "passed", None, 2.0)
    scene.add(f"run/{APP}/{scene.runs}", passed, "all steps passed; pr/shorter is deployed once it is merged")
    return scene


ASKED = with_pull_requests()
PREVIEWED = with_previews()


def a_run_of_a_pull_request() -> RunView:
    return board(ASKED.facts).runs(APP)[1]


def a_run(number: int) -> RunView:
    found = BOARD.run(APP, number)
    assert found is not None
    return found


def a_rollout(number: int) -> RolloutView:
    return next(rollout for rollout in BOARD.rollouts(PRODUCTION) if rollout.number == number)


def an_overview() -> OverviewView:
    found = BOARD.overview(APP, 5)
    assert found is not None
    return found


def the_metrics() -> tuple[MetricView, ...]:
    new, old = SCENE.live["staging"] or "", SCENE.live["production"] or ""
    hint = "wrap it in `sum()`"
    problem = Problem(
        "metric-value", "the query gives 3 series, and one is needed", hint, "refusals, bad of the candidate"
    )
    return (
        MetricView("thumbs", "events", "json", new, old, {"bad": 3, "all": 1240}, {"bad": 41, "all": 20_311}, 0.2),
        MetricView("refunds", "rate", "sql", new, old, {"bad": 2}, {"bad": 17}, 42.0),
        MetricView("helpful", "score", "sql", new, old, {"mean": 0.8127, "scores": 118}, {"scores": 0}, 0.0),
        MetricView("tickets", "events", "datadog", new, old, {"bad": 0, "all": 0}, {"bad": 0, "all": 9}, 61.0),
        MetricView("refusals", "events", "prometheus", new, old, problem=problem),
    )


def the_findings() -> tuple[Finding, ...]:
    """One of each severity: what the checks make of made-up sights."""
    paused = ProcessStatus("gateway", "running", pid=4243, started_at=NOW)
    well = controller.Controller(True, 4242, url="http://127.0.0.1:7070", answer="ok", version=__version__)
    return (
        *gateway.judge(gateway.Gateway(True, paused, is_paused=True, log="/srv/trimtab/processes/gateway/log")),
        *disk.judge(disk.Disk(400_000_000, 50_000_000_000, 900_000, 12_000_000, 4_000_000, where="/srv/trimtab")),
        backup.judge(NOW, NOW - 9 * 86400, "/backup/trimtab.tar.gz", True),
        controller.judge(well),
    )


def a_machine_without_sandbox() -> tuple[Finding, ...]:
    """Neither namespaces nor control groups."""
    why = "user namespaces are turned off (bwrap: No permissions to create new namespace)"
    problem = Problem("sandbox-unavailable", f"steps cannot be isolated here: {why}", "`sysctl -w ...`")
    return tuple(sandbox.judge(sandbox.Seen(problem, {"memory": "watch", "processes": "watch", "cpus": ""})))


def a_verified_release(*, damaged: bool = False) -> VerificationView:
    build = attested.build()
    specification = replace(
        SPECIFICATION,
        environments=(
            SPECIFICATION.environments[0],
            replace(SPECIFICATION.environments[1], require=RequireSpec(gates=("test",), max_age_s=3600.0 * 24)),
        ),
    )
    manifest = Manifest(APP, {"code": Part(digest_of(b"a tree"), 41, 3_100_000)}, specification)
    found, wrong = list(attested.attested(build)), []
    if damaged:
        found[1] = replace(found[1], standings=("bad",))
        found.append(attested.attested(attested.build(9), "unknown")[0])
        hint = "start the run of its commit again: it stores the files anew; or deploy another release"
        where = "/srv/trimtab/artifacts/blobs/ab/cd12"
        said = f"`app.py` of release {short(attested.RELEASE)} is damaged or gone in the artifact store"
        wrong.append(Problem("artifact-corrupt", said, hint, where))
    return verification(APP, attested.RELEASE, manifest, wrong, found, attested.CUT_AT + 7200)


def a_backup() -> BackupView:
    file, wrong = "/backup/trimtab.tar.gz", "artifacts/blobs/ab/cd was damaged before it was copied"
    return BackupView(file, "/srv/trimtab", NOW, "0.1.0", 1, 48_000_000, 812, ("state", "shop"), 20, (wrong,))


def a_shipped_release(place: str) -> ShippedView:
    return ShippedView("sha256:" + "3f" * 32, APP, place, "sha256:" + "a7" * 32, 98_400_000, ("code", "model"), 4)


PICTURES: dict[str, Draw] = {
    "verify": lambda _: verification_picture(a_verified_release(), attested.CUT_AT + 7200),
    "verify-damaged": lambda _: verification_picture(a_verified_release(damaged=True), attested.CUT_AT + 7200),
    "keys": lambda _: keys_table(
        [KnownKey(attested.KEY, "signs"), KnownKey("4f" * 32, "trusted"), KnownKey("ab" * 32, "revoked")]
    ),
    "doctor": lambda _: doctor_picture(the_findings()),
    "doctor-well": lambda _: doctor_picture(the_findings()[-1:]),
    "doctor-sandbox": lambda _: doctor_picture(a_machine_without_sandbox()),
    "backup": lambda _: backup_picture(a_backup(), "written"),
    "restore": lambda _: backup_picture(a_backup(), "restored"),
    "export": lambda _: shipped_picture(a_shipped_release("release.tar"), "written"),
    "push": lambda _: shipped_picture(a_shipped_release("ghcr.io/acme/assistant:latest"), "pushed"),
    "apps": lambda _: apps_table(BOARD.apps(), NOW),
    "status": lambda width: status_picture(status(SCENE), NOW, width),
    "runs": lambda _: runs_table(BOARD.runs(APP), NOW),
    "run-passed": lambda _: run_picture(a_run(5), NOW),
    "run-failed": lambda _: run_picture(a_run(3), NOW),
    "pull-request": lambda _: run_picture(a_run_of_a_pull_request(), NOW),
    "pull-request-runs": lambda _: runs_table(board(ASKED.facts).runs(APP), NOW),
    "pull-request-status": lambda width: status_picture(status(ASKED), NOW, width),
    "previews": lambda _: previews_table(board(PREVIEWED.facts).apps()[0].previews, PREVIEWED.now + 60),
    "previews-status": lambda width: status_picture(status(PREVIEWED), PREVIEWED.now + 60, width),
    "releases": lambda _: releases_table(BOARD.releases(APP), NOW),
    "metrics": lambda _: metrics_picture(the_metrics()),
    "release": lambda _: release_picture(a_release(), NOW),
    "diff": lambda width: diff_picture(a_diff(), width),
    "diff-plain": lambda width: diff_picture(a_diff(), width, beside=False),
    "diff-nothing": lambda width: diff_picture(ReleaseDiffView(APP, digest("new"), digest("old")), width),
    "rollouts": lambda _: rollouts_table(BOARD.rollouts(PRODUCTION), NOW),
    "rollout-first": lambda width: rollout_picture(a_rollout(1), NOW, width),
    "rollout-promoted": lambda width: rollout_picture(a_rollout(2), NOW, width),
    "rollout-rolled-back": lambda width: rollout_picture(a_rollout(3), NOW, width),
    "rollout-paused": lambda width: rollout_picture(a_rollout(4), NOW, width),
    "rollout-change": lambda _: rollout_change(a_rollout(4), NOW, UTC),
    "history": lambda _: history_picture(ENTRIES, NOW, why=False, zone=UTC),
    "history-why": lambda _: history_picture(ENTRIES[-16:], NOW, why=True, zone=UTC),
    "overview": lambda width: overview(an_overview(), width, NOW),
}
CASES = [(name, 110) for name in PICTURES] + [
    (name, 72) for name in ("status", "overview", "rollout-paused", "runs", "doctor", "diff")
]
CASES += [("diff", 140), ("diff-plain", 140)]


@pytest.mark.parametrize(("name", "width"), CASES)
def test_picture(name: str, width: int) -> None:
    drawn = lines(PICTURES[name](width), width)
    path = GOLDEN / f"{name}-{width}.txt"
    if os.environ.get("TRIMTAB_REWRITE_GOLDEN"):
        path.write_text("\n".join(drawn) + "\n")
    assert drawn == path.read_text().splitlines()


def test_many_files_are_counted() -> None:
    files = tuple(FileChange(f"build/{number}.js", "added") for number in range(1000))
    found = replace(a_diff(), parts=(PartChange("web", files),))
    shown = lines(diff_picture(found, 110), 110)
    assert "and 800 more files: `--json` has them all" in shown
    assert len(shown) < 300


def test_every_golden_file_is_of_a_picture() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == {f"{name}-{width}" for name, width in CASES}


@pytest.mark.parametrize("width", [40, 72, 110, 200])
@pytest.mark.parametrize("name", PICTURES)
def test_no_picture_is_wider_than_it_may_be(name: str, width: int) -> None:
    assert max(len(line) for line in lines(PICTURES[name](width), width)) <= width


def test_colour_changes_no_word() -> None:
    """With all escape codes taken out, the coloured picture is the plain one."""
    for name, draw in PICTURES.items():
        file = io.StringIO()
        Console(file=file, width=110, force_terminal=True, color_system="truecolor", highlight=False).print(draw(110))
        plain = Console(file=io.StringIO(), width=110)
        assert "\x1b[" in file.getvalue() or name == "rollout-change"
        with plain.capture() as drawn:
            plain.print(draw(110))
        assert lines(draw(110), 110) == [line.rstrip() for line in drawn.get().splitlines()]


def test_the_overview_gives_up_the_past_where_there_is_no_room() -> None:
    tall = lines(overview(an_overview(), 110, NOW), 110)
    low = lines(overview(an_overview(), 110, NOW, height=len(tall) - 4), 110)
    assert len(low) <= len(tall) - 4
    under_way = "paused       rollout 4"
    assert any(under_way in line for line in low)
    assert any(under_way in line for line in lines(overview(an_overview(), 110, NOW, height=1), 110))


def test_text_from_outside_cannot_steer_the_terminal() -> None:
    scene = play()
    scene.change("Nice \x1b[2J\x1b]0;title\x07 change\r\nreally\x9b31m", actor="mallory\x1b[31m")
    made = board(scene.facts)
    shown = "\n".join(lines(runs_table(made.runs(APP), scene.now), 150))
    assert "\x1b" not in shown
    assert "\x9b" not in shown
    assert "Nice  change really" in shown


def test_a_status_that_is_not_known_is_shown_by_its_word() -> None:
    shown = lines(run_picture(replace(a_run(5), status="from_the_future"), NOW), 80)
    assert "• from the future" in shown[0]
