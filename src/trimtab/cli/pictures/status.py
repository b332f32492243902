"""The tree of everything: applications, environments, releases, rollouts, instances, problems."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.text import Text
from rich.tree import Tree

from trimtab.cli.pictures.previews import preview_line
from trimtab.cli.pictures.rollout import rollout_line, rollout_picture
from trimtab.cli.pictures.run import steps_line
from trimtab.cli.pictures.table import table
from trimtab.cli.pictures.words import (
    BAD,
    CARE,
    DIM,
    GAP,
    NAME,
    STRONG,
    ago,
    joined,
    name,
    problem_lines,
    size,
    span,
    status,
    took,
)
from trimtab.cli.plain import clean, instance_name
from trimtab.core.model.facts import Change
from trimtab.core.model.identity import short
from trimtab.core.say import count, duration
from trimtab.views.model import (
    AppView,
    ControllerView,
    EnvironmentView,
    InstanceView,
    RunView,
    ScheduleView,
    StatusView,
)

NO_APP = "no application yet: push to Trimtab's Git remote, or add one with `trimtab apps add NAME`"
SILENT_S = 6.0
"""A controller checks in every two seconds."""
GUIDE_CELLS = 8
"""How far the tree's lines push an environment's details to the right."""


def status_picture(view: StatusView, now: float, width: int) -> RenderableType:
    """All applications, one tree each."""
    problems = [problem_lines(problem) for problem in view.problems]
    if len(view.controllers) > 1:
        problems.append(_controllers(view.controllers, now))
    if not view.apps:
        return Group(*problems, Text(NO_APP, style=DIM))
    return Group(*problems, *(_app_tree(app, view, now, width) for app in view.apps))


def _controllers(controllers: Sequence[ControllerView], now: float) -> Text:
    """``controllers: http://127.0.0.1:7070 leads, http://127.0.0.1:7071, http://127.0.0.1:7072 silent for 12 s``"""
    return Text("controllers: ", style=DIM).append(", ".join(_controller(one, now) for one in controllers))


def _controller(one: ControllerView, now: float) -> str:
    silent_s = now - one.seen_at
    state = f" silent for {duration(silent_s)}" if silent_s > SILENT_S else " leads" if one.leads else ""
    return f"{clean(one.url)}{state}"


def app_head(app: AppView, now: float) -> Text:
    """An application's name and newest change."""
    head = joined(Text(app.name, style=STRONG), change_text(app.head) if app.head else Text("no change yet", style=DIM))
    return head.append(f", {ago(app.head.at, now)}", style=DIM) if app.head else head


def change_text(change: Change) -> Text:
    """``main at 4f2a91c0 by ann: Cache the embeddings``"""
    text = Text(f"{change.branch} at {change.commit[:8]} by {clean(change.actor)}: ", style=DIM)
    return text.append(clean(change.subject), style="not dim")


def live_text(place: EnvironmentView, now: float) -> Text:
    """Which release gets the traffic, and since when."""
    if place.live is None:
        return joined(Text("○ nothing live", style=DIM))
    since = f"for {span(now - place.live_since)}" if place.live_since is not None else ""
    text = joined(status("live"), name(place.live), Text(since, style=DIM))
    if place.desired not in (None, place.live):
        text.append(f"{GAP}Git says {short(place.desired or '')}", style=DIM)
    return text


def apps_table(apps: Sequence[AppView], now: float) -> RenderableType:
    """One line for each application: its newest change and run, and what is live where."""
    if not apps:
        return Text(NO_APP, style=DIM)
    rows = [
        (
            app.name,
            status(app.run.status).append(f" (run {app.run.number})") if app.run else "",
            joined(*(Text(f"{place.name} ").append_text(name(place.live)) for place in app.environments)),
            change_text(app.head) if app.head else "",
            ago(app.head.at, now) if app.head else "",
        )
        for app in apps
    ]
    return table(("APP", "NEWEST RUN", "LIVE", "CHANGE", "ARRIVED"), rows, gives_way="CHANGE")


def _app_tree(app: AppView, view: StatusView, now: float, width: int) -> Tree:
    tree = Tree(app_head(app, now), guide_style=DIM)
    for problem in app.problems:
        tree.add(problem_lines(problem))
    if app.run is not None:
        tree.add(_run_branch(app.run, now))
    for run in app.pull_requests:
        tree.add(_run_branch(run, now))
    for schedule in app.schedules:
        tree.add(_schedule_line(schedule, now))
    for place in app.environments:
        _add_environment(tree, place, view.instances.get(f"{app.name}/{place.name}", ()), now, width)
    for place in app.previews:
        _add_preview(tree, place, view.instances.get(f"{app.name}/{place.name}", ()), now)
    return tree


def _schedule_line(schedule: ScheduleView, now: float) -> RenderableType:
    """``schedule nightly  next in 7 h  last ✔ passed (run 12), 17 h ago``"""
    following = Text(f"next in {span(schedule.next_at - now)}", style=DIM)
    line = joined(Text("schedule ").append(schedule.name, style=STRONG), following)
    if schedule.run is not None:
        run = schedule.run
        about = f" (run {run.number}), {ago(run.started_at, now)}"
        line.append(f"{GAP}last ", style=DIM).append_text(status(run.status)).append(about, style=DIM)
    return Group(line, Text(clean(f"skipped: {schedule.skipped}"))) if schedule.skipped else line


def _add_preview(tree: Tree, place: EnvironmentView, instances: Sequence[InstanceView], now: float) -> None:
    preview = place.preview
    if preview is None:
        return
    branch = tree.add(preview_line(place, preview, now))
    if preview.status == "failed":
        branch.add(Text(clean(preview.reason)))
    for problem in place.problems:
        branch.add(problem_lines(problem))
    for instance in instances:
        branch.add(_instance_line(instance, f"{place.app}/{place.name}", now))


def _run_branch(run: RunView, now: float) -> RenderableType:
    request = run.pull_request
    head = joined(
        status(run.status),
        Text(f"run {run.number}", style=STRONG).append(f" of {clean(str(request))}" if request else "", "not bold"),
        Text(took(run.started_at, run.duration_s, now), DIM),
    )
    if run.steps:
        head.append("  ").append_text(steps_line(run, now))
    wants_reason = run.status not in ("passed", "running") and run.reason
    return Group(head, Text(clean(run.reason))) if wants_reason else head


def _add_environment(
    tree: Tree, place: EnvironmentView, instances: Sequence[InstanceView], now: float, width: int
) -> None:
    branch = tree.add(joined(Text(place.name, style=STRONG), Text(place.address, style=DIM), live_text(place, now)))
    for problem in place.problems:
        branch.add(problem_lines(problem))
    for line in _holds(place, now):
        branch.add(line)
    if place.rollout is not None:
        settled = place.rollout.ended and place.rollout.status == "promoted"
        picture = rollout_line if settled else None
        branch.add(picture(place.rollout, now) if picture else rollout_picture(place.rollout, now, width - GUIDE_CELLS))
    for instance in instances:
        branch.add(_instance_line(instance, f"{place.app}/{place.name}", now))


def _holds(place: EnvironmentView, now: float) -> Iterator[Text]:
    """Why nothing, or not everything, is deployed here by itself."""
    if place.pinned is not None:
        yield joined(Text("⚲ pinned to", style=CARE), name(place.pinned), Text("trimtab unpin", DIM))
    if place.frozen:
        until = f"for another {span(place.frozen_until - now)}" if place.frozen_until else "until `trimtab thaw`"
        yield joined(Text("❄ frozen", style=CARE), Text(until, style=DIM))
    if place.held:
        yield joined(Text("‖ waiting", style=CARE), clean(place.held))
    if place.quarantined:
        newest = (name(release) for release in place.quarantined[:5])
        yield joined(Text("⊘ quarantine", style=BAD), *newest, Text("trimtab quarantine lift", DIM))


def _instance_line(instance: InstanceView, environment: str, now: float) -> RenderableType:
    line = joined(
        status(instance.phase),
        Text(instance_name(instance.id, environment), style=NAME),
        Text(instance.address, style=DIM),
        f"cpu {instance.cpu_s:.1f} s",
        size(instance.rss_bytes),
        Text(f"up {span(now - instance.started_at)}", style=DIM),
        count(instance.restarts, "restart") if instance.restarts else "",
    )
    return Group(line, Text(clean(instance.problem))) if instance.problem else line
