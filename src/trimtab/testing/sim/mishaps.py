"""What befalls an installation besides its network: each mishap by the name that a scenario gives it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trimtab.core.model.identity import EnvironmentId
from trimtab.core.model.traffic import Share
from trimtab.testing.sim.changes import BAD_RATE
from trimtab.testing.sim.links import CALM

if TYPE_CHECKING:
    from trimtab.testing.sim.world import World

TURNS_BAD_AFTER_S = 2.0


class Mishaps:
    """Carries them out, and lets them end."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._ends: list[tuple[float, str, object]] = []
        """When which mishap is over."""
        self._first_seen: dict[str, float] = {}

    @property
    def _now(self) -> float:
        return self._world.clock.now()

    # --- machines ---

    def kill(self, machine: int, _: float) -> None:
        self._world.history.fault("kill", self._world.machines[machine].name)
        self._world.machines[machine].kill()

    def pause(self, machine: int, for_s: float) -> None:
        self._world.history.fault("pause", self._world.machines[machine].name, f"for {for_s:g} s")
        self._world.machines[machine].paused_until = self._now + for_s

    def cut(self, machine: int, way: str, for_s: float) -> None:
        there = self._world.machines[machine]
        self._world.history.fault(f"cut off: {way}", there.name, f"for {for_s:g} s")
        there.cut_off.add(way)
        self._ends.append((self._now + for_s, "cut", (machine, way)))

    def clock(self, machine: int, by_s: float) -> None:
        self._world.history.fault("clock jumps", self._world.machines[machine].name, f"by {by_s:g} s")
        self._world.machines[machine].off_s += by_s

    # --- what is measured ---

    def silence(self, _: str, for_s: float) -> None:
        self._world.history.fault("metrics silent", "gateway", f"for {for_s:g} s")
        self._world.gateway.silent = True
        self._ends.append((self._now + for_s, "silence", None))

    def count(self, _: str, __: float) -> None:
        self._world.history.fault("counts begin anew", "gateway")
        self._world.gateway.begin_anew()

    def lie(self, app: str, for_s: float) -> None:
        """Readings say a share that no step asks for."""
        environment = EnvironmentId(app, "production")
        self._world.history.fault("readings lie", "gateway", f"for {for_s:g} s")
        self._world.gateway.share_told[environment] = Share(self._world.rng.choice([0.0, 1.5, 77.0]))
        self._ends.append((self._now + for_s, "lie", environment))

    # --- instances ---

    def instance(self, app: str, for_s: float) -> None:
        there = self._world.runtime.of(EnvironmentId(app, "production"))
        if there:
            victim = self._world.rng.choice(there)
            self._world.history.fault("instance dies", victim.id, f"for {for_s:g} s")
            self._world.runtime.fall(victim, for_s)

    # --- time ---

    def live(self) -> None:
        """Releases behave as is their nature, and mishaps end."""
        for release, nature in self._world.sight.natures.items():
            if nature == "bad":
                self._world.gateway.failing[release] = BAD_RATE
            elif nature == "does not start":
                self._world.runtime.never_ready.add(release)
            elif nature == "hangs":
                self._world.runtime.hanging.add(release)
            elif nature == "bad later" and self._has_traffic(release):
                since = self._first_seen.setdefault(release, self._now)
                if self._now - since > TURNS_BAD_AFTER_S:
                    self._world.gateway.failing[release] = BAD_RATE
        for ending in [ending for ending in self._ends if ending[0] <= self._now]:
            self._ends.remove(ending)
            self._end(ending[1], ending[2])

    def _has_traffic(self, release: str) -> bool:
        gateway = self._world.gateway
        routes = [(place, gateway.route(place)) for place in self._world.environments]
        return any(
            route is not None
            and route.candidate is not None
            and route.candidate.arm == release
            and gateway.share(place).candidate_pct > 0
            for place, route in routes
        )

    def _end(self, what: str, about: object) -> None:
        if what == "cut" and isinstance(about, tuple):
            self._world.machines[about[0]].cut_off.discard(about[1])
        elif what == "silence":
            self._world.gateway.silent = False
        elif what == "lie" and isinstance(about, EnvironmentId):
            self._world.gateway.share_told.pop(about, None)

    def cease(self) -> None:
        """From now on nothing goes wrong any more, and clocks are right."""
        self._world.history.note("everybody", "faults cease")
        for _, what, about in self._ends:
            self._end(what, about)
        self._ends.clear()
        for machine in self._world.machines:
            machine.weather, machine.off_s, machine.paused_until = CALM, 0.0, 0.0
            machine.dozes_before = None
