"""A preview: an environment that is there for as long as its pull request is.

Git says what runs in environments that last. A preview is none of them: what should run is the newest head that
passed, and the application says which that is (`core.decide.previews`). Nobody writes to the state repository for it,
nothing is offered onwards, and pins, freezes and rollbacks are not for it. When it is closed, instances, route and port
go first, then the application hears of it.
"""

from __future__ import annotations

from dataclasses import replace

from trimtab.core.decide.environment.machine import Work
from trimtab.core.decide.environment.state import EnvironmentState, Offer, PreviewState
from trimtab.core.model.actions import RemoveEnvironment
from trimtab.core.model.decision import Todo
from trimtab.core.model.facts import (
    ActionDone,
    ActionFailed,
    PreviewClosed,
    PreviewGone,
    PreviewOpened,
    PreviewStarted,
    Recorded,
    ReleaseRetired,
    RolloutEnded,
)
from trimtab.core.model.identity import app_object, short

AFTERMATH_S = 60.0
"""How long a preview that is gone is looked at as often as others: an action of its last rollout may come late."""
LOOK_S = 600.0
"""How often it is looked at after that."""


class PreviewWork(Work):
    """One decision of a preview in the making."""

    @property
    def preview(self) -> PreviewState | None:
        """None: it is not there."""
        preview = self.state.preview
        return preview if preview is not None and preview.gone_at is None else None

    @property
    def idle(self) -> bool:
        return super().idle and not (self.preview is not None and self.preview.closing)

    @property
    def look_at(self) -> float:
        gone_at = self.state.preview.gone_at if self.state.preview is not None else 0.0
        is_past = gone_at is not None and not 0 <= self.now - gone_at < AFTERMATH_S
        return self.now + LOOK_S if is_past and self.idle else super().look_at

    # --- facts ---

    def see(self, recorded: Recorded) -> None:
        match recorded.fact:
            case PreviewOpened() as opened:
                self.opened(opened)
            case PreviewClosed():
                self.closed(recorded.reason)
            case RolloutEnded() as ended if ended.number == self.state.rollout:
                if ended.outcome != "promoted" and self.preview is not None:
                    self.state = replace(self.state, preview=replace(self.preview, failure=recorded.reason))
                super().see(recorded)
            case ReleaseRetired() | ActionDone() | ActionFailed():
                super().see(recorded)
            case _:
                pass

    def opened(self, opened: PreviewOpened) -> None:
        before = self.state.desired
        if before is not None and before.release != opened.release:
            self.abort_rollout(f"{short(opened.release)} is newer")
        offer = Offer(opened.release, opened.specification, opened.run, opened.commit, opened.subject)
        # A preview has no commits of the state repository; the run stands for one.
        self.state = replace(
            self.state, desired=offer, desired_commit=f"run {opened.run}", preview=PreviewState(opened.run)
        )

    def closed(self, reason: str) -> None:
        if self.preview is not None:
            self.state = replace(self.state, preview=replace(self.preview, closing=True))
            self.abort_rollout(reason)

    # --- what environments that last do with Git ---

    def write_again(self) -> None:
        """Nothing is written."""

    def compare_with_git(self) -> None:
        """Git says nothing of it."""

    def commit(self, offer: Offer, subject: str, why: str, *, rollout: int | None = None, actor: str = "") -> None:
        """What could not be started stays away, and what was there before stays, until there is a newer head."""

    def offer_onwards(self, offer: Offer, reason: str) -> None:
        """It is promoted nowhere."""

    # --- moving ---

    def why_wanted(self, wanted: Offer) -> str:
        return f"run {wanted.run} passed, and nothing newer has"

    def start_what_is_due(self) -> None:
        if self.busy:
            return
        if self.preview is None or self.preview.closing:
            self.remove()
        else:
            super().start_what_is_due()
            self.tell(self.preview)

    def tell(self, preview: PreviewState) -> None:
        """Say once what came of the newest head."""
        wanted = self.state.desired
        if wanted is None or preview.told or self.busy:
            return
        serves = self.state.live == wanted.release
        if not serves and self.state.failed != self.state.desired_commit:
            return
        self.state = replace(self.state, preview=replace(preview, told=True))
        started = PreviewStarted(self.id.name, preview.run, wanted.release, serves)
        why = f"{short(wanted.release)} serves" if serves else preview.failure
        self.say(started, why)
        self.say(started, why, to=app_object(self.id.app))

    def remove(self) -> None:
        """Until nothing is left, whatever fails on the way."""
        if self.state.repairing:
            return
        traffic, preview = self.reading.traffic, self.preview
        not_known = preview is not None and traffic.problem is not None
        if self.reading.instances or traffic.stable is not None or not_known:
            key = self.key("remove")
            self.state = replace(self.state, repairing=key, retiring=(), retirements={})
            self.todo.append(Todo(key, RemoveEnvironment(self.id.app, self.id.name)))
        elif preview is not None:
            gone = PreviewGone(self.id.name, preview.run)
            self.say(gone, "its instances are stopped, its port is free")
            self.say(gone, to=app_object(self.id.app))
            # Nothing else is remembered than numbers: what comes next here has keys of its own.
            self.state = EnvironmentState(
                self.id,
                next_rollout=self.state.next_rollout,
                keys=self.state.keys,
                preview=replace(preview, gone_at=self.now),
            )

    # --- repairing ---

    def repair(self) -> None:
        if self.preview is not None and not self.preview.closing:
            super().repair()

    def note_problems(self) -> None:
        if self.preview is not None:
            super().note_problems()
