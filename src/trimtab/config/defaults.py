"""The specification's own defaults, so that a setting that is left out means the same everywhere."""

from __future__ import annotations

from trimtab.core.model.specification import (
    AnalysisSpec,
    EnvironmentSpec,
    ErrorsSpec,
    LatencySpec,
    ReleaseSpec,
    ServiceSpec,
    StepSpec,
)
from trimtab.core.model.strategy import RolloutStep, StrategySpec

STEP = StepSpec(name="", run="")
SERVICE = ServiceSpec(command="")
RELEASE = ReleaseSpec()
CANARY_STEP = RolloutStep(weight_pct=0.0)
CANARY = StrategySpec()
ERRORS = ErrorsSpec()
LATENCY = LatencySpec()
ANALYSIS = AnalysisSpec()
ENVIRONMENT_NAME = "production"
ENVIRONMENT = EnvironmentSpec(name=ENVIRONMENT_NAME, port=8080)
