"""Every question and command of the API as a method that returns the view the server shows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Literal, Self
from urllib.parse import quote

from trimtab.client.events import decode_events
from trimtab.client.transport import NOT_RUNNING, Params, Transport, decoder
from trimtab.core.errors import Problem, TrimtabError
from trimtab.views.model import (
    Accepted,
    AppView,
    EnvironmentView,
    HistoryEntry,
    MetricView,
    OverviewView,
    ReleaseView,
    RolloutView,
    RunView,
    SecretView,
    StatusView,
    WebhookView,
)
from trimtab.views.release_diff import ReleaseDetailView, ReleaseDiffView
from trimtab.views.verification import VerificationView

API = "/api/v1"
EVENT_SILENCE_S = 45.0
"""The server says something at least every 15 s; a stream that is silent for this long is dead."""
RECONNECT_EVERY_S = 0.5

RolloutCommand = Literal["pause", "resume", "abort", "promote", "approve"]


@dataclass(frozen=True, slots=True)
class LogHit:
    """A line of a log that matched: its number, from 1. `problem`: why there will be no more."""

    line: int = 0
    text: str = ""
    problem: Problem | None = None


class TrimtabClient:
    """A Trimtab server at `url`. `actor` is who the audit log says gave the commands. Raises `TrimtabError`.

    Use it as a context manager, or `close()` it.
    """

    def __init__(
        self,
        url: str,
        token: str,
        actor: str = "",
        *,
        reconnect_within_s: float = 30.0,
        sleep: Callable[[float], None] = time.sleep,
        waiting: Callable[[], None] | None = None,
    ) -> None:
        """`waiting` is called, from another thread, when an answer takes longer than three seconds."""
        self._transport = Transport(url, token, actor, waiting)
        self._reconnect_within_s, self._sleep = reconnect_within_s, sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._transport.close()

    @property
    def url(self) -> str:
        return self._transport.url

    # --- reading ---

    def status(self) -> StatusView:
        """Everything: applications, environments, rollouts, instances, problems."""
        return self._transport.get(StatusView, _path("status"))

    def app(self, app: str) -> AppView:
        return self._transport.get(AppView, _path("apps", app))

    def overview(self, app: str, limit: int = 5) -> OverviewView:
        """The application with its newest `limit` runs, and as many rollouts of each environment."""
        return self._transport.get(OverviewView, _path("apps", app, "overview"), limit=limit)

    def runs(self, app: str, limit: int = 20) -> tuple[RunView, ...]:
        """Newest first."""
        return self._transport.get(tuple[RunView, ...], _path("apps", app, "runs"), limit=limit)

    def run(self, app: str, number: int) -> RunView:
        return self._transport.get(RunView, _path("apps", app, "runs", number))

    def releases(self, app: str, limit: int = 20) -> tuple[ReleaseView, ...]:
        """Newest first."""
        return self._transport.get(tuple[ReleaseView, ...], _path("apps", app, "releases"), limit=limit)

    def release(self, app: str, release: str) -> ReleaseDetailView:
        """One release (a digest or its beginning) with all that it is made of."""
        return self._transport.get(ReleaseDetailView, _path("apps", app, "releases", release))

    def diff(self, app: str, release: str, base: str | None = None, *, full: bool = False) -> ReleaseDiffView:
        """What the release changes against `base` (None: what is live in the last environment). `full`: with the texts
        of all files."""
        path = _path("apps", app, "releases", release, "diff", base or "live")
        return self._transport.get(ReleaseDiffView, path, full=full)

    def verification(self, app: str, release: str) -> VerificationView:
        """A release (its digest, or how that begins), verified to the last byte."""
        return self._transport.get(VerificationView, _path("apps", app, "releases", release, "verification"))

    def environment(self, app: str, environment: str) -> EnvironmentView:
        return self._transport.get(EnvironmentView, _path("apps", app, "environments", environment))

    def previews(self, app: str = "") -> tuple[EnvironmentView, ...]:
        """Those of one application, or of all."""
        return self._transport.get(tuple[EnvironmentView, ...], _path("previews"), app=app)

    def rollouts(self, app: str, environment: str, limit: int = 20) -> tuple[RolloutView, ...]:
        """Newest first."""
        path = _path("apps", app, "environments", environment, "rollouts")
        return self._transport.get(tuple[RolloutView, ...], path, limit=limit)

    def metrics(self, app: str, environment: str, release: str | None = None) -> tuple[MetricView, ...]:
        """The metrics of `release` (a digest or its beginning; None: the newest), each read once, now."""
        path = _path("apps", app, "environments", environment, "metrics")
        return self._transport.get(tuple[MetricView, ...], path, **({"release": release} if release else {}))

    def instance_logs(self, app: str, environment: str) -> tuple[str, ...]:
        """The names of the logs of an environment's instances, stopped ones too, newest first."""
        return self._transport.get(tuple[str, ...], _path("apps", app, "environments", environment, "logs"))

    def history(
        self, app: str = "", *, after: int = 0, limit: int = 50, routine: bool = False
    ) -> tuple[HistoryEntry, ...]:
        """Oldest first: the newest `limit` entries, or the first ones `after` a number. `routine`: with those that say
        how, not what."""
        path = _path("history")
        return self._transport.get(tuple[HistoryEntry, ...], path, app=app, after=after, limit=limit, routine=routine)

    # --- steering ---

    def register(
        self,
        app: str,
        *,
        branch: str = "main",
        poll_url: str | None = None,
        forge: Mapping[str, str | None] | None = None,
    ) -> AppView:
        """Deploy `branch` of a repository that Trimtab keeps, or of the one at `poll_url`, which is polled. `forge`:
        `kind`, `repository` and, if it is not the usual one, `api_url` of a repository at a forge."""
        asked = {"name": app, "branch": branch, "poll_url": poll_url, "forge": forge}
        return self._transport.post(AppView, _path("apps"), asked)

    def keep_forge_secrets(self, app: str, token: str | None = None) -> WebhookView:
        """Keep the token that the forge gave (None: as it was), and make the webhook's secret if there is none."""
        return self._transport.post(WebhookView, _path("apps", app, "forge"), {"token": token})

    def cancel(self, app: str, number: int) -> Accepted:
        """Stop a run that is under way."""
        return self._transport.post(Accepted, _path("apps", app, "runs", number, "cancel"))

    def secrets(self, app: str) -> tuple[SecretView, ...]:
        """The secrets that steps can have from Trimtab itself, without their values."""
        return self._transport.get(tuple[SecretView, ...], _path("apps", app, "secrets"))

    def set_secret(self, app: str, name: str, value: str) -> Accepted:
        return self._transport.put(Accepted, _path("apps", app, "secrets", name), {"value": value})

    def remove_secret(self, app: str, name: str) -> Accepted:
        return self._transport.delete(Accepted, _path("apps", app, "secrets", name))

    def rerun(
        self, app: str, number: int, *, steps: Sequence[str] = (), everything: bool = False, deploy: bool = False
    ) -> Accepted:
        """Run a finished run's change once more: `steps` and what needs them, or everything, or what did not pass."""
        wanted = {"steps": list(steps), "all": everything, "deploy": deploy}
        return self._transport.post(Accepted, _path("apps", app, "runs", number, "rerun"), wanted)

    def close_preview(self, app: str, name: str) -> Accepted:
        """Remove the preview of a pull request."""
        return self._transport.post(Accepted, _path("apps", app, "previews", name, "close"))

    def steer(self, app: str, environment: str, command: RolloutCommand) -> Accepted:
        """Steer the rollout that is under way."""
        return self._transport.post(Accepted, _path("apps", app, "environments", environment, "rollout", command))

    def rollback(self, app: str, environment: str, release: str | None = None) -> Accepted:
        """Return to `release` (a digest or its beginning; None: the one before the live one)."""
        path = _path("apps", app, "environments", environment, "rollback")
        return self._transport.post(Accepted, path, {"release": release})

    def pin(self, app: str, environment: str, release: str | None = None) -> Accepted:
        """Stay on `release` (a digest or its beginning; None: the live one)."""
        return self._transport.post(
            Accepted, _path("apps", app, "environments", environment, "pin"), {"release": release}
        )

    def unpin(self, app: str, environment: str) -> Accepted:
        """Let newer releases in again."""
        return self._transport.post(Accepted, _path("apps", app, "environments", environment, "unpin"))

    def freeze(self, app: str, environment: str, until: float | None = None) -> Accepted:
        """Let no rollout begin by itself until then (seconds since the epoch; None: until it is thawed)."""
        return self._transport.post(
            Accepted, _path("apps", app, "environments", environment, "freeze"), {"until": until}
        )

    def thaw(self, app: str, environment: str) -> Accepted:
        """End a freeze that was made by hand."""
        return self._transport.post(Accepted, _path("apps", app, "environments", environment, "thaw"))

    def lift_quarantine(self, app: str, environment: str, release: str) -> Accepted:
        """Trust a release again that was proven worse."""
        path = _path("apps", app, "environments", environment, "quarantine", "lift")
        return self._transport.post(Accepted, path, {"release": release})

    # --- streams ---

    def position(self) -> int:
        """The number of the last fact: `events(after=...)` with it misses nothing that happens from now on."""
        newest = self.history(limit=1, routine=True)
        return newest[-1].seq if newest else 0

    def events(self, after: int | None = None) -> Iterator[HistoryEntry]:
        """Every fact after a number (None: from now on) as it is recorded, without an end.

        A lost connection is made again and goes on after the last fact; raises when that fails for
        `reconnect_within_s`. The first connection has to succeed at once.
        """
        last = self.position() if after is None else after
        lost_s: float | None = None
        while True:
            try:
                for entry in self._events_once(last):
                    last, lost_s = entry.seq, 0.0
                    yield entry
                lost_s = lost_s or 0.0  # the server ended the stream: it is being stopped or restarted
            except TrimtabError as error:
                passing = error.problem.code in (NOT_RUNNING, "connection-lost", "timeout")
                if lost_s is None or lost_s >= self._reconnect_within_s or not passing:
                    raise
            self._sleep(RECONNECT_EVERY_S)
            lost_s += RECONNECT_EVERY_S

    def _events_once(self, after: int) -> Iterator[HistoryEntry]:
        with self._transport.stream(_path("events"), silence_s=EVENT_SILENCE_S, params={"after": after}) as lines:
            yield from decode_events(lines)

    def logs(self, process: str, *, follow: bool = False, tail: int = 0) -> Iterator[str]:
        """The lines of a step's or an instance's output. `tail`: only the last so many (0: all); `follow`: and what
        comes, until the process ends."""
        params = {"follow": follow, "tail": tail}
        silence_s = None if follow else EVENT_SILENCE_S
        with self._transport.stream(_path("logs", *process.split("/")), silence_s=silence_s, params=params) as lines:
            yield from lines

    def log_hits(
        self, process: str, pattern: str, *, ignore_case: bool = False, follow: bool = False, tail: int = 0
    ) -> Iterator[LogHit]:
        """The lines of a log that match a regular expression, found by the server. Raises `TrimtabError`, also in the
        middle, for a pattern that takes too long. `follow`, `tail`: as in `logs`."""
        params: Params = {"pattern": pattern, "ignore_case": ignore_case, "follow": follow, "tail": tail}
        place = _path("log-hits", *process.split("/"))
        # Nothing comes for as long as nothing matches.
        with self._transport.stream(place, silence_s=None, params=params) as lines:
            for line in lines:
                hit = decoder(LogHit).validate_json(line)
                if hit.problem is not None:
                    raise TrimtabError(hit.problem)
                yield hit


def _path(*parts: str | int) -> str:
    return "/".join([API, *(quote(str(part), safe="") for part in parts)])
