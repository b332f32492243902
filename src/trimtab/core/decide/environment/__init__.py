"""The environment: makes live what Git says should run, and says so in Git when something else has to run."""

from trimtab.core.decide.environment.admission import windows_to_ask
from trimtab.core.decide.environment.deciding import decide_environment
from trimtab.core.decide.environment.state import DesiredReading, EnvironmentReading, EnvironmentState, Offer

__all__ = [
    "DesiredReading",
    "EnvironmentReading",
    "EnvironmentState",
    "Offer",
    "decide_environment",
    "windows_to_ask",
]
