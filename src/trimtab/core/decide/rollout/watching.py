"""Watching the arms: readings in, evidence and a judgement out.

Harm is counted whenever the candidate has traffic, under the share that was in force; the proof that it is good enough
only while the step's own share is held, and only once slow failures can have been seen, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

from trimtab.core.decide.rollout import counting, moves
from trimtab.core.decide.rollout.counting import Cursor, Parts
from trimtab.core.decide.rollout.state import RolloutReading, RolloutState
from trimtab.core.model.facts import EvidenceCounted, ExperimentJudged, Fact, VerdictName
from trimtab.core.model.identity import BASELINE, ArmId, arm
from trimtab.core.model.specification import AnalysisSpec
from trimtab.core.model.traffic import ArmCounts
from trimtab.core.stats import evidence as ev
from trimtab.core.stats.verdict import Judgement, e_bh, judge

TICK_S = 0.5
"""Evidence is taken at most this often."""
LONGEST_SETTLING_S = 300.0


class Watching:
    """One look at the arms. `count` returns the new state; nothing is changed in place but the view of it."""

    def __init__(self, state: RolloutState, reading: RolloutReading, now: float) -> None:
        self.state, self.reading, self.now = state, reading, now
        self.judgement: Judgement | None = None

    # --- whom it compares ---

    @property
    def analysis(self) -> AnalysisSpec:
        return self.state.place.analysis

    @property
    def candidate(self) -> ArmId:
        return self.state.release

    @property
    def control(self) -> ArmId:
        """What the candidate is compared with: in an experiment the baseline, which is as young as it is. Until the
        gateway knows the experiment's arms it is the stable release."""
        step = self.state.current
        stable = self.state.stable or ""
        in_experiment = step is not None and step.experiment is not None
        has_begun = self.state.phase in ("shifting", "observing")
        return arm(stable, BASELINE) if in_experiment and has_begun else stable

    @property
    def arms(self) -> tuple[ArmId, ...]:
        others = moves.others(self.state, self.state.current)
        return tuple(dict.fromkeys((self.candidate, self.state.stable or "", *others)))

    @cached_property
    def part_pct(self) -> float:
        """The candidate's part of the requests that are compared, as the data plane holds it now."""
        return self.parts.share_pct if self.control == self.state.stable else 50.0

    @cached_property
    def parts(self) -> Parts:
        """The candidate's part of its own requests and the stable release's."""
        share = self.reading.traffic.share
        return Parts(counting.part_of_requests_pct(share), counting.part_of_releases_pct(share, self.candidate))

    @property
    def can_see(self) -> bool:
        """Whether the data plane was read, and the candidate has traffic or had some at the last tick."""
        traffic = self.reading.traffic
        ours = traffic.problem is None and traffic.candidate == self.state.release
        return ours and max(self.part_pct, self.state.cursor.share_pct) > 0

    # --- the life of a step ---

    def enter_step(self) -> RolloutState:
        """No step passes on evidence from another step."""
        step = self.state.current
        comparing = step is not None and step.mirror is not None and step.mirror.compare != "none"
        state = self.state if self.state.evidence.begun else self._begin()
        fresh = ev.enter_step(self.analysis, state.evidence, comparing=comparing)
        return replace(state, evidence=fresh, trials={}, cursor=replace(state.cursor, slot=0))

    def begin_again(self) -> RolloutState:
        """The share was lost: what was proven is not any more, what speaks against the candidate stays."""
        state = self.state
        trials = {name: ev.begin_again(self.analysis, trial) for name, trial in state.trials.items()}
        evidence = ev.begin_again(self.analysis, state.evidence)
        return replace(state, evidence=evidence, trials=trials, cursor=replace(state.cursor, slot=0))

    def _begin(self) -> RolloutState:
        """Before the first step: what the stable release did lately is what slow means."""
        stable = self.reading.counts.get(self.state.stable or "", ArmCounts())
        settle_ms = stable.recent.quantile_ms(0.99) or 0.0
        limits = [s.mirror.acceptable_pct for s in self.state.steps if s.mirror and s.mirror.compare != "none"]
        begun = ev.begin(self.analysis, stable.recent, min(limits) if limits else None)
        return replace(self.state, evidence=begun, settle_s=min(LONGEST_SETTLING_S, settle_ms / 1000.0))

    def begin_step(self) -> RolloutState:
        """The share is in force: from here on evidence counts for the step."""
        return replace(self.state, cursor=self._cursor(slot=counting.first_whole_slot(self.now)))

    def step_ends(self) -> list[tuple[Fact, str]]:
        """What an experiment has shown."""
        if not self.state.trials:
            return []
        verdicts: dict[str, VerdictName] = {}
        wealth: dict[str, float] = {}
        for name, trial in self.state.trials.items():
            judged = judge(self.analysis, trial)
            verdicts[name], wealth[name] = judged.verdict, judged.rollback_log_e
        worse = e_bh(wealth, self.analysis.false_rollback_pct / 100.0)
        said = ", ".join(f"{name} {verdict}" for name, verdict in verdicts.items())
        return [(ExperimentJudged(self.state.step, verdicts, worse), f"against the baseline: {said}")]

    # --- counting ---

    def count(self) -> tuple[RolloutState, list[tuple[Fact, str]]]:
        """Take what came since the cursor into the evidence; nothing while it is too little or too soon."""
        counts, cursor = self.reading.counts, self.state.cursor
        if not cursor.at or counting.began_anew(self._kept(counts), cursor):
            slot = counting.first_whole_slot(self.now) if self.state.phase == "observing" else 0
            self.state = replace(self.state, cursor=self._cursor(slot=slot))
            return self.state, []
        tick, slot = self._tick()
        requests = tick.candidate.requests + tick.stable.requests
        numbers = counting.has_numbers(self.analysis.metrics, tick.metrics)
        if 0 <= self.now - cursor.at < 0.9 * TICK_S or (requests < ev.STRATUM_REQUESTS and not numbers):
            return self.state, []
        seen = ev.observe(self.analysis, self.state.evidence, tick)
        trials = self._trials(tick)
        self.state = replace(self.state, evidence=seen, trials=trials, cursor=self._cursor(slot=slot))
        self.judgement = self.judge()
        return self.state, [(self._counted(tick, self.judgement), self.why)]

    def _tick(self) -> tuple[ev.Tick, int]:
        """What the candidate and its control did since the last tick."""
        counts, cursor, state = self.reading.counts, self.state.cursor, self.state
        part_pct = max(self.part_pct, cursor.assumed(self.parts, cursor.at).share_pct)
        in_step = state.phase == "observing"
        splits: tuple[ev.SplitTick, ...] = ()
        slot = cursor.slot
        if in_step and self.analysis.split_check and self.control == state.stable:
            share = moves.share_of(state, state.current)
            splits, slot = counting.splits(self.candidate, self.control, counts, cursor, share, self.now)
        tick = ev.Tick(
            candidate=counting.arm_tick(self.candidate, counts, cursor),
            stable=counting.arm_tick(self.control, counts, cursor),
            metrics=counting.metric_ticks(
                self.analysis.metrics,
                self.reading.measurements,
                cursor,
                (self.candidate, self.state.stable or ""),
                self.parts,
                state.verified_at,
            ),
            splits=splits,
            pairs=counting.pair_tick(self.reading.pairs, cursor),
            share=part_pct / 100.0,
            in_step=in_step,
            settled=in_step and cursor.at - state.verified_at >= state.settle_s,
        )
        return tick, slot

    def _trials(self, ours: ev.Tick) -> Mapping[str, ev.Evidence]:
        """The evidence on each variant of an experiment, after what came together with our tick."""
        step, counts = self.state.current, self.reading.counts
        if step is None or step.experiment is None or self.control == self.state.stable:
            return {}
        trials: dict[str, ev.Evidence] = {}
        for variant in step.experiment.variants:
            before = self.state.trials.get(variant.name) or ev.begin(
                self.analysis, self.reading.counts.get(self.state.stable or "", ArmCounts()).recent
            )
            tick = ev.Tick(
                candidate=counting.arm_tick(arm(self.state.release, variant.name), counts, self.state.cursor),
                stable=counting.arm_tick(self.control, counts, self.state.cursor),
                share=0.5,
                in_step=ours.in_step,
                settled=ours.settled,
            )
            trials[variant.name] = ev.observe(self.analysis, before, tick)
        return trials

    def _cursor(self, slot: int) -> Cursor:
        before, fell_at = self.state.cursor.fall(self.parts, self.now)
        return Cursor(
            at=self.now,
            share_pct=self.parts.share_pct,
            of_stable_pct=self.parts.of_stable_pct,
            before=before,
            fell_at=fell_at,
            counts=self._kept(self.reading.counts),
            pairs=replace(self.reading.pairs, alike={}, examples=()),
            measures=counting.measures(self.reading.measurements, self.state.cursor),
            measured_at=counting.measured_at(self.reading.measurements, self.state.cursor),
            slot=slot,
        )

    def _kept(self, counts: Mapping[ArmId, ArmCounts]) -> Mapping[ArmId, ArmCounts]:
        return counting.kept(counts, self.arms)

    # --- judging ---

    @cached_property
    def held(self) -> Mapping[str, str]:
        """Metrics of one's own whose numbers are no evidence now, with the reason."""
        return counting.too_old(self.analysis.metrics, self.reading.measurements, self.now)

    def judge(self) -> Judgement:
        return judge(self.analysis, self.state.evidence, self.held)

    @property
    def why(self) -> str:
        """The judgement's reason, with the newest difference of mirrored answers and what would have changed it."""
        if self.judgement is None:
            return ""
        example = self.reading.pairs.examples[-1] if self.reading.pairs.examples else ""
        different = f"; for example {example}" if self.judgement.offender == "answers" and example else ""
        what_if = f"; {self.judgement.what_if}" if self.judgement.what_if else ""
        return f"{self.judgement.reason}{different}{what_if}"

    def not_to_trust(self, judgement: Judgement) -> str:
        """Why nothing may move on now, good or bad as it looks; empty when the evidence can be trusted."""
        if judgement.verdict == "INVALID":
            return judgement.reason
        return next((f"{name}: {why}" for name, why in self.held.items()), "")

    def _counted(self, tick: ev.Tick, judgement: Judgement) -> EvidenceCounted:
        step = self.state.current
        return EvidenceCounted(
            index=self.state.step,
            candidate_requests=tick.candidate.requests,
            candidate_errors=tick.candidate.errors,
            stable_requests=tick.stable.requests,
            stable_errors=tick.stable.errors,
            candidate_p95_ms=tick.candidate.latency.quantile_ms(0.95),
            stable_p95_ms=tick.stable.latency.quantile_ms(0.95),
            rollback_log_e=judgement.rollback_log_e,
            promote_log_e=judgement.promote_log_e,
            rollback_at=judgement.rollback_at,
            promote_at=judgement.promote_at,
            mirrored=step is not None and step.mirror is not None and step.weight_pct == 0,
            users=tick.candidate.users.exposed,
            own={
                spec.name: judgement.rates[spec.name] for spec in self.analysis.metrics if spec.name in judgement.rates
            },
        )
