"""The specification's own defaults, so that a setting that is left out means the same everywhere."""

from __future__ import annotations

from trimtab.core.model.specification import (
    AnalysisSpec,
    CanaryStep,
    EnvironmentSpec,
    ErrorsSpec,
    LatencySpec,
    ReleaseSpec,
    ServiceSpec,
    StepSpec,
    StrategySpec,
)

STEP = StepSpec(name="", run="")
SERVICE = ServiceSpec(command="")
RELEASE = ReleaseSpec()
CANARY_STEP = CanaryStep(weight_pct=0.0)
CANARY = StrategySpec()
ERRORS = ErrorsSpec()
LATENCY = LatencySpec()
ANALYSIS = AnalysisSpec()
ENVIRONMENT_NAME = "production"
ENVIRONMENT = EnvironmentSpec(name=ENVIRONMENT_NAME, port=8080)
