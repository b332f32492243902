"""What keeps an environment from deploying by itself, folded from its facts."""

from __future__ import annotations

from dataclasses import replace

from trimtab.core.model import facts as f
from trimtab.views.model import EnvironmentView


def hold(view: EnvironmentView, recorded: f.Recorded) -> EnvironmentView:
    """The view after one more fact."""
    match recorded.fact:
        case f.PinRequested(release=release):
            return replace(view, pinned=release or view.live)
        case f.UnpinRequested():
            return replace(view, pinned=None)
        case f.FreezeRequested(until=until):
            return replace(view, frozen=True, frozen_until=until)
        case f.ThawRequested():
            return replace(view, frozen=False, frozen_until=None)
        case f.DeliveryHeld(until=until):
            return replace(view, held=recorded.reason, held_until=until)
        case f.DeliveryResumed():
            return replace(view, held="", held_until=None)
        case f.ReleaseQuarantined(release=release):
            return replace(view, quarantined=(release, *view.quarantined))
        case f.QuarantineLifted(release=release):
            return replace(view, quarantined=tuple(known for known in view.quarantined if known != release))
        case _:
            return view
