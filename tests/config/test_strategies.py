"""Strategies, segments, metrics and windows: what a file says, compiled."""

from __future__ import annotations

from datetime import UTC, datetime

from trimtab.config import load
from trimtab.core.model.specification import EnvironmentSpec, FreezeSpec, WindowSpec
from trimtab.core.model.strategy import GateSpec, Match, MirrorSpec, RolloutStep, StrategySpec


def production(settings: str, *, replicas: int = 1) -> EnvironmentSpec:
    file = f"app: shop\nservice: {{command: run, replicas: {replicas}}}\nenvironments: {{production: {{{settings}}}}}\n"
    return load(file).environments[0]


def strategy(text: str, rest: str = "", *, replicas: int = 1) -> StrategySpec:
    return production(f"strategy: {text}{rest}", replicas=replicas).strategy


def test_words() -> None:
    assert strategy("instant") == StrategySpec("instant", ())
    assert strategy("canary") == StrategySpec()
    assert strategy("blue-green") == StrategySpec("blue-green", (RolloutStep(0.0, 0.0, 0, name="preview"),))
    assert strategy("rolling") == StrategySpec("rolling", ())
    shadow = RolloutStep(0.0, 60.0, 100, evidence=True, mirror=MirrorSpec(), name="shadow")
    assert strategy("shadow") == StrategySpec("shadow", (shadow,))


def test_what_a_step_sets_stays_until_it_is_changed() -> None:
    steps = strategy(
        "{canary: {steps: [{weight: 5%, match: {header: X-Beta}, mirror: 20%, scale: 1}, {hold: 10m}, approve,"
        " {gate: python smoke.py}, {weight: 10%, match: everybody, mirror: false}]}}"
    ).steps
    beta, mirror = ((Match("header", "X-Beta"),),), MirrorSpec(20.0)
    first = RolloutStep(5.0, 10.0, 20, segments=beta, mirror=mirror, candidate_replicas=1)
    held = RolloutStep(5.0, 600.0, 0, segments=beta, mirror=mirror, candidate_replicas=1)
    approved = RolloutStep(5.0, 0.0, 0, approve=True, segments=beta, mirror=mirror, candidate_replicas=1)
    gated = RolloutStep(
        5.0, 0.0, 0, gate=GateSpec("gate", "python smoke.py"), segments=beta, mirror=mirror, candidate_replicas=1
    )
    last = RolloutStep(10.0, 10.0, 20, evidence=True, candidate_replicas=1)
    assert steps == (first, held, approved, gated, last)


def test_evidence_is_where_it_is_asked_for_or_else_at_the_end() -> None:
    def evidence(steps: str, rest: str = "") -> list[bool]:
        return [step.evidence for step in strategy(f"{{canary: {{steps: [{steps}]}}}}", rest).steps]

    assert evidence("5%, 25%, {gate: x}") == [False, False, True]
    assert evidence("{weight: 5%, evidence: true}, 25%") == [True, False]
    assert evidence("5%, {weight: 25%, evidence: false}") == [False, False]
    assert evidence("approve, {hold: 1m}") == [False, False]
    assert evidence("5%, 25%", ", analysis: {errors: false, latency: false}") == [False, False]


def test_an_experiment_is_a_step_of_its_own() -> None:
    steps = strategy(
        "{canary: {steps: [5%, {experiment: {weight: 10%, variants: {short: {PROMPT: short}}, replicas: 2}}, 50%]}}"
    ).steps
    assert [step.weight_pct for step in steps] == [5.0, 0.0, 50.0]
    assert steps[1].experiment is not None
    assert (steps[1].experiment.weight_pct, steps[1].experiment.replicas) == (10.0, 2)
    assert steps[1].experiment.variants[0].env == {"PROMPT": "short"}


def test_a_bake_is_a_last_step_with_a_little_left_on_stable() -> None:
    made = strategy("{canary: {steps: [50%], bake: 10m, ramp: 30s}}")
    assert made.steps[-1] == RolloutStep(95.0, 600.0, 0, ramp_s=30.0, name="bake")
    assert (made.steps[0].ramp_s, made.ramp_s) == (30.0, 30.0)
    assert strategy("{blue-green: {bake: {for: 5m, holdback: 1%}}}").steps[-1].weight_pct == 99.0


def test_blue_green_with_a_mirrored_warm_up_and_a_gate() -> None:
    steps = strategy("{blue-green: {warm_up: {mirror: {compare: status}, for: 2m}, gate: 'http://ci/ok'}}").steps
    warm_up = RolloutStep(0.0, 120.0, 20, evidence=True, mirror=MirrorSpec(compare="status"), name="warm-up")
    preview = RolloutStep(0.0, 0.0, 0, gate=GateSpec("gate", url="http://ci/ok"), name="preview")
    assert steps == (warm_up, preview)


def test_rolling_replaces_instance_by_instance() -> None:
    steps = strategy("{rolling: {hold: 1m}}", replicas=3).steps
    moved = [(step.weight_pct, step.candidate_replicas, step.stable_replicas) for step in steps]
    assert moved == [(33.33, 1, 2), (66.67, 2, 1)]
    assert len(strategy("{rolling: {}}", ", replicas: 5").steps) == 4


def test_ab_takes_a_segment() -> None:
    place = production(
        "strategy: {ab: {match: staff, weight: 20%, for: 30m}},"
        " segments: {staff: [{cookie: staff}, {header: X, prefix: a}]}"
    )
    (step,) = place.strategy.steps
    assert step.segments == ((Match("cookie", "staff"),), (Match("header", "X", "prefix", "a"),))
    assert (step.weight_pct, step.hold_s, step.evidence) == (20.0, 1800.0, True)


def test_all_of_several_alternatives_are_multiplied_out() -> None:
    place = production(
        "strategy: {ab: {match: {all: [staff, {query: preview}]}}}, segments: {staff: [{cookie: a}, {cookie: b}]}"
    )
    preview = Match("query", "preview")
    assert place.strategy.steps[0].segments == ((Match("cookie", "a"), preview), (Match("cookie", "b"), preview))


def test_metrics() -> None:
    (events, score, rate) = production(
        "analysis: {metrics: {refusals: {events: {bad: b, all: a}, prometheus: 'http://p', acceptable: 2%},"
        " helpful: {score: s, json: 'http://j', margin: 0.05, headers: {X: '${T}'}}, refunds: {rate: r, sql: 'sqlite:///x'}}}"
    ).analysis.metrics
    assert (events.kind, events.source.kind, events.source.queries) == (
        "events",
        "prometheus",
        {"bad": "b", "all": "a"},
    )
    assert (events.margin_ratio, events.acceptable_pct) == (1.5, 2.0)
    assert (score.kind, score.margin, score.source.queries) == ("score", 0.05, {"scores": "s"})
    assert (rate.kind, rate.source.url, rate.source.queries) == ("rate", "sqlite:///x", {"bad": "r"})


def test_users_are_counted_where_they_stay() -> None:
    assert production("port: 1").analysis.unit == "request"
    assert production("sticky: {cookie: a}").analysis.unit == "user"
    assert production("sticky: {cookie: a}, analysis: {count: requests}").analysis.unit == "request"


def test_windows_in_words_and_as_rules() -> None:
    (window,) = production("windows: {days: mon-fri, hours: 22:00-06:00, zone: Europe/Berlin}").windows
    rule = "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"
    assert window == WindowSpec(rule, "2024-01-01T22:00:00", 8 * 3600.0, "Europe/Berlin")
    (all_day,) = production("windows: [{days: [sat, sun]}]").windows
    assert all_day == WindowSpec("FREQ=WEEKLY;BYDAY=SA,SU", "2024-01-01T00:00:00", 86_400.0)
    (ruled,) = production("windows: {rule: 'RRULE:FREQ=MONTHLY;BYDAY=1TU', start: 2026-01-06T09:00, for: 7h}").windows
    assert ruled == WindowSpec("FREQ=MONTHLY;BYDAY=1TU", "2026-01-06T09:00:00", 7 * 3600.0)


def test_the_last_day_of_a_freeze_belongs_to_it() -> None:
    (freeze,) = production(
        "freezes: [{from: 2026-12-20, to: 2027-01-02, zone: Europe/Berlin, reason: holidays}]"
    ).freezes
    begin = datetime(2026, 12, 19, 23, tzinfo=UTC).timestamp()
    end = datetime(2027, 1, 2, 23, tzinfo=UTC).timestamp()
    assert freeze == FreezeSpec(begin, end, "holidays")


def test_budget_and_group() -> None:
    place = production("budget: {objective: 99.9%}, group: {name: checkout, members: [a/production, b/production]}")
    assert place.budget is not None
    assert place.group is not None
    assert (place.budget.objective_pct, place.budget.days) == (99.9, 28)
    assert place.group.members == ("a/production", "b/production")


def test_evidence_is_waited_for_where_both_releases_have_traffic() -> None:
    assert [step.evidence for step in strategy("{canary: {steps: [50%, 100%]}}").steps] == [True, False]
    assert [step.evidence for step in strategy("{canary: {steps: [100%]}}").steps] == [False]
    assert [step.evidence for step in strategy("{canary: {steps: [{mirror: 20%}, 100%]}}").steps] == [True, False]
