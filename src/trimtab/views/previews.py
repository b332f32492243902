"""Previews of pull requests, folded from the facts of their environments."""

from __future__ import annotations

from dataclasses import replace

from trimtab.core.model import facts as f
from trimtab.views.model import EnvironmentView, PreviewView


def preview(view: EnvironmentView, recorded: f.Recorded) -> EnvironmentView:
    """The view after one more fact."""
    match recorded.fact:
        case f.PreviewOpened() as opened:
            since = view.preview.since if view.preview is not None else recorded.at
            about = PreviewView(opened.pull_request, opened.run, opened.url, "starting", since, opened.until)
            place = opened.specification.environments[0]
            return replace(view, address=f"{place.host}:{place.port}", desired=opened.release, preview=about)
        case f.PreviewStarted(passed=passed) if view.preview is not None:
            status = "serving" if passed else "failed"
            return replace(view, preview=replace(view.preview, status=status, reason=recorded.reason))
        case f.PreviewClosed() if view.preview is not None:
            return replace(view, preview=replace(view.preview, status="closing", reason=recorded.reason))
        case _:
            return view
