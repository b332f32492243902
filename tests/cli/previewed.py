"""What the log of facts has when pull requests have previews: one serves, one failed, one is closing, one waits."""

from __future__ import annotations

from tests.cli.scenario import APP, SPECIFICATION, Scenario, digest, play
from trimtab.core.decide.previews import specification_of
from trimtab.core.errors import Problem
from trimtab.core.model import facts as f
from trimtab.core.model.identity import EnvironmentId, short
from trimtab.core.model.specification import PreviewsSpec

SERVING, FAILED, CLOSING = (EnvironmentId(APP, f"preview-{name}") for name in ("7", "shorter", "8"))
URL = "http://127.0.0.1:9007"


def with_previews() -> Scenario:
    """The story, and four pull requests."""
    scene = play()
    seven, eight = f.PullRequest(7, "main"), f.PullRequest(8, "main")
    opened(scene, SERVING, seven, 6, 9007)
    started(scene, SERVING, 6, passed=True, why=f"{short(digest('run 6'))} serves")
    opened(scene, FAILED, f.PullRequest(0, "main", name="shorter"), 7, 9000)
    started(scene, FAILED, 7, passed=False, why="instance 1 did not become ready: exit code 1: no such model")
    opened(scene, CLOSING, eight, 8, 9008)
    scene.add(CLOSING.object_id, f.PreviewClosed(CLOSING.name), "pull request 8 is not open any more")
    ran(scene, f.PullRequest(9, "main"), 9)
    message = "no port of 9000-9019 is free for a preview: taken by preview-7, preview-shorter, preview-8"
    refused = f.PreviewRefused(Problem("preview-ports", message, "it gets the first that is"))
    scene.add(f"run/{APP}/9", refused, message)
    return scene


def ran(scene: Scenario, request: f.PullRequest, run: int) -> None:
    """A run of the pull request that passed."""
    change = f.Change(digest(f"run {run}")[7:47], request.branch, "ben", "Answer in fewer words", scene.now)
    place, release = f"run/{APP}/{run}", digest(f"run {run}")
    scene.add(place, f.RunRequested(run, change, request, preview=True), "it has a new head")
    scene.add(place, f.ReleaseCut(release, run, change.commit, {}, change.subject, for_preview=True), wait_s=4.0)
    said = f"release {short(release)} (code) was cut from {change.commit[:8]} for a preview;"
    scene.add(place, f.RunFinished(run, "passed", release, 4.0), f"{said} {request} is deployed once it is merged")


def opened(scene: Scenario, place: EnvironmentId, request: f.PullRequest, run: int, port: int) -> None:
    ran(scene, request, run)
    specification = specification_of(SPECIFICATION, PreviewsSpec(), place.name, port)
    url, until = f"http://127.0.0.1:{port}", scene.now + 48 * 3600.0
    fact = f.PreviewOpened(request, run, digest(f"run {run}"), specification, url, until)
    scene.add(place.object_id, fact, f"run {run} of {request} passed")


def started(scene: Scenario, place: EnvironmentId, run: int, *, passed: bool, why: str) -> None:
    fact = f.PreviewStarted(place.name, run, digest(f"run {run}"), passed)
    scene.add(place.object_id, fact, why, wait_s=1.0)
