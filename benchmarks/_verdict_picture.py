"""Three panels: false rollbacks, speed of detection, and severity."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

from benchmarks._verdict_runs import wald_bound_requests
from benchmarks._verdict_tables import OURS, WATCHED, Cells
from benchmarks._verdict_worlds import NULLS, PLAIN, SEVERITY, SPLITS, WORSE
from benchmarks.rivals.settings import RIVALS

COLOURS = {OURS: "#0b7a3b", "Argo Rollouts": "#ef6c00", "Flagger": "#1565c0", "Kayenta": "#c62828", "PipeCD": "#6a1b9a"}
STYLES = ("-", "--", ":")
LEAST_PCT = 0.05
TOO_OFTEN_PCT = 5.0
"""Rules that are wrong about more healthy releases than this are drawn faintly where it is about speed."""


def draw(cells: Cells, file: Path) -> None:
    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    plt.rcParams["svg.hashsalt"] = "trimtab"  # the same numbers give the same file
    figure, panels = plt.subplots(1, 3, figsize=(16, 6.2))
    _false_rollbacks(cells, panels[0])
    _speed(cells, panels[1])
    _severity(cells, panels[2])
    handles, labels = panels[2].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncol=3, frameon=False, fontsize=9)
    figure.tight_layout(rect=(0, 0.16, 1, 1))
    figure.savefig(file, metadata={"Date": None} if file.suffix == ".svg" else None)
    plt.close(figure)


def _looks() -> list[tuple[str, dict[str, Any]]]:
    """Each rule with its colour (by system) and line (by setting)."""
    seen: dict[str, int] = {}
    found: list[tuple[str, dict[str, Any]]] = []
    for rule in RIVALS:
        system = rule.name.partition(",")[0]
        style = STYLES[seen.get(system, 0)]
        seen[system] = seen.get(system, 0) + 1
        found.append((rule.name, {"color": COLOURS[system], "linestyle": style, "linewidth": 1.4, "marker": "."}))
    return [*found, (OURS, {"color": COLOURS[OURS], "linestyle": "-", "linewidth": 3.0, "marker": "o"})]


def _false_rollbacks(cells: Cells, panel: Any) -> None:
    looks = _looks()
    for index, (name, look) in enumerate(looks):
        # One above the other, so that those with the same value are all seen.
        places = [place + 0.7 * (index / (len(looks) - 1) - 0.5) for place in range(len(NULLS))]
        values = [max(LEAST_PCT, cells[name, world.name].rolled_back_pct) for world in NULLS]
        filled = "none" if look["linestyle"] != "-" else look["color"]
        size = 8 if name == OURS else 5
        panel.plot(values, places, "o", color=look["color"], markerfacecolor=filled, markersize=size)
    for edge in range(1, len(NULLS)):
        panel.axhline(edge - 0.5, color="#eeeeee", linewidth=1)
    panel.axvline(1.0, color="#888888", linewidth=1)
    panel.set(
        xscale="log",
        xlim=(0.04, 130),
        title="Healthy releases rolled back",
        xlabel="% of rollouts (0.05: or less); hollow: other settings",
    )
    panel.set_yticks(list(range(len(NULLS))), [world.name for world in NULLS])
    panel.invert_yaxis()


def _speed(cells: Cells, panel: Any) -> None:
    worlds = [world for world in WORSE if world.share == SPLITS[WATCHED]]
    ratios = [world.ratio for world in worlds]
    for name, look in _looks():
        caught = [cells[name, world.name] for world in worlds]
        minutes = [cell.mean_minutes if cell.rolled_back_pct >= 50 else float("nan") for cell in caught]
        healthy = next(world for world in PLAIN if world.share == SPLITS[WATCHED])
        hasty = cells[name, healthy.name].rolled_back_pct > TOO_OFTEN_PCT
        panel.plot(ratios, minutes, alpha=0.3 if hasty else 1.0, **look)
    least = [wald_bound_requests(world) / (world.rate * world.share * 60.0) for world in worlds]
    panel.plot(ratios, least, color="#000000", linewidth=1, linestyle=(0, (1, 1)))
    panel.annotate("least possible", (ratios[2], least[2]), (2.2, 0.28), fontsize=9)
    panel.set(xscale="log", yscale="log", title=f"Minutes until a worse release is caught ({WATCHED})")
    panel.set(xlabel="times as many errors as stable (where most are caught)", ylabel="minutes, mean")
    panel.set_xticks(ratios, [f"{ratio:g}x" for ratio in ratios])
    panel.minorticks_off()


def _severity(cells: Cells, panel: Any) -> None:
    for name, look in _looks():
        panel.plot(
            [world.ratio for world in SEVERITY],
            [cells[name, world.name].rolled_back_pct for world in SEVERITY],
            label=name,
            **look,
        )
    panel.set(title="Caught within an hour, 20 candidate requests/min", xlabel="candidate's errors, % (stable: 1 %)")
    panel.set(ylabel="% of rollouts", xscale="log")
    ticks = [world.ratio for world in SEVERITY]
    panel.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    panel.minorticks_off()
