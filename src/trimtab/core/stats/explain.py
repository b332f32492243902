"""Verdicts as sentences: what was compared, how sure it is, and what would have changed it. They are shown unchanged
wherever a decision is shown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

from trimtab.core.model.specification import AnalysisSpec
from trimtab.core.say import count, milliseconds, percent
from trimtab.core.stats.counted import Counted
from trimtab.core.stats.eprocess import Counts, EventShareMixture, log_mean
from trimtab.core.stats.evidence import Evidence
from trimtab.core.stats.rule import ANSWERS, ERRORS, Rule
from trimtab.core.stats.scores import Scored, ScoreTest
from trimtab.core.stats.split import Split

_FAR = 1e6
"""Evidence that needs more than this many times what there is is called out of reach."""


def why_worse(spec: AnalysisSpec, evidence: Evidence, name: str, log_e: float) -> str:
    sure = (
        f"the chance of saying so of a candidate that is no worse is below {percent(spec.false_rollback_pct / 100)}"
        f" (e = {_e_value(log_e)})"
    )
    if name in evidence.scored:
        whole = evidence.scored[name].whole
        candidate, stable = _means(whole)
        return (
            f"the candidate's {name} is lower: {candidate:.3f} over {count(int(whole.all_candidate), 'answer')}"
            f" against {stable:.3f} over {count(int(whole.all_stable), 'stable answer')}; {sure}"
        )
    return f"{_compared(spec, evidence.counted[name], name)}; {sure}"


def _compared(spec: AnalysisSpec, counted: Counted, name: str) -> str:
    whole = counted.whole
    candidate, stable = _rates(whole)
    if name == ANSWERS:
        return f"{percent(candidate)} of {count(int(whole.all_candidate), 'pair')} of mirrored answers differ"
    own = next((metric for metric in spec.metrics if metric.name == name), None)
    if own is not None and own.kind == "rate":
        times = f"{candidate / stable:.1f} times" if stable else "where stable has none"
        return f"the candidate has more {name}: {times} as many for its share of the traffic"
    unit = "user-second" if spec.unit == "user" and own is None else ("exposure" if own is not None else "request")
    compared = (
        f"{percent(candidate)} of {count(int(whole.all_candidate), f'candidate {unit}')}"
        f" against {percent(stable)} of {count(int(whole.all_stable), f'stable {unit}')}"
    )
    if own is not None:
        return f"the candidate has more {name}: {compared}"
    if counted.threshold is None:
        return f"the candidate fails more often: {compared} failed"
    limits = (
        f"{milliseconds(counted.threshold.candidate_ms)} on the candidate,"
        f" {milliseconds(counted.threshold.stable_ms)} on stable"
    )
    return f"the candidate is slower at {name.removeprefix('latency ')}: {compared} took over {limits}"


def why_good(spec: AnalysisSpec, evidence: Evidence) -> str:
    said = []
    for name, counted in evidence.counted.items():
        candidate, stable = _rates(counted.step)
        if name == ANSWERS:
            if evidence.comparing:
                said.append(f"{percent(candidate)} of the mirrored answers differ")
        elif counted.threshold is not None:
            slow, limit = name.removeprefix("latency "), counted.threshold.candidate_ms
            said.append(f"{percent(candidate)} were over the {slow} limit of {milliseconds(limit)}")
        elif name == ERRORS:
            said.append(f"{percent(candidate)} failed (stable {percent(stable)})")
        else:
            said.append(f"{name} {percent(candidate)} (stable {percent(stable)})")
    for name, scored in evidence.scored.items():
        mine, theirs = _means(scored.step)
        said.append(f"{name} {mine:.3f} (stable {theirs:.3f})")
    if not said:
        return "no analysis is configured"
    requests = count(evidence.step_requests, "candidate request")
    sure = f"each within its margin, wrong at most {percent(spec.false_promotion_pct / 100)} of the time"
    return f"of {requests} {', '.join(said)}: {sure}"


def why_invalid(split: Split) -> str:
    every = split.candidate + split.stable
    return (
        f"the split is broken: the candidate got {percent(split.candidate / every)} of {count(every, 'arrival')} and"
        f" should have got {percent(split.expected / every)}, so the arms cannot be compared; look for clients that"
        " choose their arm, requests that never end, or another gateway"
    )


def not_proven(evidence: Evidence, names: Sequence[str], promote: Mapping[str, float], promote_at: float) -> str:
    sureness = ", ".join(f"{name} {percent(max(0.0, promote[name] / promote_at))}" for name in names)
    return (
        f"not proven yet after {count(evidence.step_requests, 'candidate request')}: {sureness} of the evidence needed"
    )


def still_learning(evidence: Evidence, name: str) -> str:
    return f"{name} of the stable release is still being learnt ({count(evidence.learning.total, 'request')})"


def rates(evidence: Evidence) -> dict[str, tuple[float, float]]:
    """By metric: candidate and stable release over the whole rollout."""
    found = {name: _rates(counted.whole) for name, counted in evidence.counted.items() if _seen(counted.whole)}
    return found | {name: _means(scored.whole) for name, scored in evidence.scored.items() if _seen(scored.whole)}


def what_would_have_saved(
    tests: Rule, evidence: Evidence, name: str, worse: Mapping[str, float], rollback_at: float
) -> str:
    """The largest number of bad events with which there would have been no rollback, the newest ones left out first:
    found by counting again without them."""
    counted = evidence.counted.get(name)
    test = tests.counts.get(name)
    if counted is None or test is None or not isinstance(test.worse, EventShareMixture):
        return ""
    had, share = int(counted.whole.bad_candidate), _newest_share(evidence, name)

    def rolled_back(fewer: int) -> bool:
        assert isinstance(test.worse, EventShareMixture)
        without = test.worse.log_e(test.worse.update(counted.worse, Counts(bad_candidate=-fewer), share))
        logs = {**worse, name: without}
        return bool(log_mean(list(logs.values()), [tests.weight(metric) for metric in logs]) >= rollback_at)

    if had == 0 or rolled_back(had):
        return ""
    low, high = 0, had  # rolled back without `low` of them, not without `high`
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if rolled_back(middle) else (low, middle)
    return f"with {had - high:,} instead of {had:,} it would have gone on"


def _newest_share(evidence: Evidence, name: str) -> float:
    """The candidate's part of the exposures by which the newest bad events were counted."""
    if (name == ERRORS or name.startswith("latency p")) and evidence.exposure.share:
        return evidence.exposure.careful_share
    whole = evidence.counted[name].whole
    return whole.all_candidate / max(1.0, whole.all_candidate + whole.all_stable)


def what_would_prove(tests: Rule, evidence: Evidence, names: Sequence[str], promote_at: float) -> str:
    """How many more candidate requests prove the last metric if everything goes on as in this step."""
    silent = [name for name in names if not _seen(_step(evidence, name))]
    if silent:
        return f"{silent[0]} has no numbers in this step yet"
    times = [_times_to_prove(tests, evidence, name, promote_at) for name in names]
    if any(needed is None for needed in times):
        unlikely = next(name for name, needed in zip(names, times, strict=True) if needed is None)
        return f"at these rates no number of requests proves {unlikely}"
    more = math.ceil(evidence.step_requests * (max(needed for needed in times if needed is not None) - 1.0))
    return f"at these rates about {count(max(1, more), 'more candidate request')} prove it"


def _times_to_prove(tests: Rule, evidence: Evidence, name: str, promote_at: float) -> float | None:
    """How many times the step's evidence is needed; wealth grows in proportion to what is counted."""

    def log_e(times: float) -> float:
        if name in evidence.scored:
            return _stretched_score(tests.scores[name], evidence.scored[name], times)
        counted, test = evidence.counted[name], tests.counts[name]
        stretched = replace(
            counted,
            within=tuple(times * log for log in counted.within),
            below=tuple(times * log for log in counted.below),
        )
        found: float = test.promote_log_e(stretched)
        return found

    if log_e(_FAR) < promote_at:
        return None
    low, high = 1.0, _FAR
    while high / low > 1.001:
        middle = math.sqrt(low * high)
        low, high = (middle, high) if log_e(middle) < promote_at else (low, middle)
    return high


def _stretched_score(test: ScoreTest, scored: Scored, times: float) -> float:
    wealth = replace(scored.good_enough, logs=tuple(times * log for log in scored.good_enough.logs))
    return test.promote_log_e(replace(scored, good_enough=wealth))


def _step(evidence: Evidence, name: str) -> Counts:
    return evidence.scored[name].step if name in evidence.scored else evidence.counted[name].step


def _seen(counts: Counts) -> bool:
    return bool(counts.all_candidate or counts.all_stable)


def _rates(counts: Counts) -> tuple[float, float]:
    return (
        counts.bad_candidate / counts.all_candidate if counts.all_candidate else 0.0,
        counts.bad_stable / counts.all_stable if counts.all_stable else 0.0,
    )


def _means(counts: Counts) -> tuple[float, float]:
    candidate, stable = _rates(counts)
    return 1.0 - candidate, 1.0 - stable


def _e_value(log_e: float) -> str:
    return f"{math.exp(log_e):.0f}" if log_e < 14 else f"10^{log_e / math.log(10):.0f}"
