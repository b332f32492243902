"""What people do: each deed by the name that a scenario gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trimtab.core.model import facts as f
from trimtab.core.model.desired import desired_path, render_desired
from trimtab.core.model.identity import EnvironmentId
from trimtab.testing.sim.promises import desired

if TYPE_CHECKING:
    from trimtab.testing.sim.world import World

APPROVES_AFTER_S = 2.0


class People:
    """`which` (0 to 1) chooses among releases."""

    DEEDS = (
        "abort", "promote", "hold", "resume", "roll_back", "pin", "unpin", "freeze", "thaw", "edit", "scrawl",
    )  # fmt: skip

    def __init__(self, world: World) -> None:
        self._world = world
        self._approved: set[tuple[str, int]] = set()

    # --- rollouts ---

    def abort(self, app: str, _: float) -> None:
        self._tell_rollouts(app, f.AbortRequested("Ada"), "Ada aborts")

    def promote(self, app: str, _: float) -> None:
        self._tell_rollouts(app, f.PromoteRequested("Ada"), "Ada promotes")

    def hold(self, app: str, _: float) -> None:
        self._tell_rollouts(app, f.PauseRequested("Ada"), "Ada pauses")

    def resume(self, app: str, _: float) -> None:
        self._tell_rollouts(app, f.ResumeRequested("Ada"), "Ada resumes")

    def _tell_rollouts(self, app: str, fact: f.Fact, reason: str) -> None:
        for state in self._world.sight.under_way(_production(app)):
            self._did(reason)
            self._world.append(state.id, fact, reason)

    # --- environments ---

    def roll_back(self, app: str, which: float) -> None:
        release = self._some_release(app, which) if which < 0.3 else None
        self._tell(app, f.RollbackRequested(release, "Ada"), "Ada rolls back")

    def pin(self, app: str, which: float) -> None:
        self._tell(app, f.PinRequested(self._some_release(app, which) if which < 0.3 else None, "Ada"), "Ada pins")

    def unpin(self, app: str, _: float) -> None:
        self._tell(app, f.UnpinRequested("Ada"), "Ada unpins")

    def freeze(self, app: str, _: float) -> None:
        self._tell(app, f.FreezeRequested(None, "Ada"), "Ada freezes")

    def thaw(self, app: str, _: float) -> None:
        self._tell(app, f.ThawRequested("Ada"), "Ada thaws")

    def _tell(self, app: str, fact: f.Fact, reason: str) -> None:
        self._did(reason)
        self._world.append(_production(app).object_id, fact, reason)

    # --- Git ---

    def edit(self, app: str, which: float) -> None:
        """A release that was cut is written to Git by hand."""
        release = self._some_release(app, which)
        if release is not None:
            self._did("Ada edits Git")
            environment = _production(app)
            self._world.state_repository.push({desired_path(environment): render_desired(environment, release)})

    def scrawl(self, app: str, _: float) -> None:
        self._did("Ada writes nonsense to Git")
        self._world.state_repository.push({desired_path(_production(app)): b"release: the good one\n"})

    # --- time ---

    def live(self) -> None:
        """Somebody approves what waits for approval, a while later."""
        now = self._world.clock.now()
        for state in list(self._world.sight.rollouts.values()):
            waits = state.approval_asked and not state.approved and state.phase == "observing"
            if waits and now - state.verified_at > APPROVES_AFTER_S and (state.id, state.step) not in self._approved:
                self._approved.add((state.id, state.step))
                self._world.append(state.id, f.ApproveRequested("Ada"), "Ada approves")

    def tidy_up(self) -> None:
        """Nobody holds anything up any more, and Git is legible."""
        self._approved.clear()
        for app in self._world.plan.apps:
            environment = _production(app)
            self.unpin(app, 0.0)
            self.thaw(app, 0.0)
            self.resume(app, 0.0)
            state = self._world.sight.environments.get(environment)
            if state is not None and state.live is not None and desired(self._world.sight, environment) is None:
                content = render_desired(environment, state.live)
                self._world.state_repository.push({desired_path(environment): content})

    def _some_release(self, app: str, which: float) -> str | None:
        known = [d for d in self._world.sight.natures if self._world.artifacts.specification_of(d).app == app]
        return known[int(which * len(known)) % len(known)] if known else None

    def _did(self, what: str) -> None:
        self._world.history.coverage[f"people: {what}"] += 1
        self._world.history.note("Ada", what)


def _production(app: str) -> EnvironmentId:
    return EnvironmentId(app, "production")
