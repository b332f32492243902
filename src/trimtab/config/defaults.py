"""The specification's own defaults, so that a setting that is left out means the same everywhere."""

from __future__ import annotations

from trimtab.core.model.pipeline import ForEachSpec, ServiceBesideSpec, StepSpec
from trimtab.core.model.specification import (
    AnalysisSpec,
    BudgetSpec,
    EnvironmentSpec,
    ErrorsSpec,
    GroupSpec,
    LatencySpec,
    MetricSpec,
    PreviewsSpec,
    ReleaseSpec,
    RequireSpec,
    ScheduleSpec,
    ServiceSpec,
    SourceSpec,
)
from trimtab.core.model.strategy import GateSpec, MirrorSpec, RolloutStep, StrategySpec

STEP = StepSpec(name="", run="")
STEP_SERVICE = ServiceBesideSpec("", "")
STEP_FOR_EACH = ForEachSpec(())
SERVICE = ServiceSpec(command="")
RELEASE = ReleaseSpec()
STRATEGY_STEP = RolloutStep()
CANARY = StrategySpec()
GATE = GateSpec("gate")
MIRROR = MirrorSpec()
BAKE_HOLDBACK_PCT = 5.0
ERRORS = ErrorsSpec()
LATENCY = LatencySpec()
ANALYSIS = AnalysisSpec()
SOURCE = SourceSpec("prometheus", "")
METRIC = MetricSpec("", "events", SOURCE)
BUDGET = BudgetSpec(99.9)
GROUP = GroupSpec("", ())
SCHEDULE = ScheduleSpec("")
PREVIEWS = PreviewsSpec()
REQUIRE = RequireSpec()
ENVIRONMENT_NAME = "production"
ENVIRONMENT = EnvironmentSpec(name=ENVIRONMENT_NAME, port=8080)
