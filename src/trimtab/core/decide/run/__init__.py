"""The run: the pipeline's steps in the order of their needs, then the release."""

from trimtab.core.decide.run.machine import decide_run
from trimtab.core.decide.run.state import RunState, StepReading, StepState

__all__ = ["RunState", "StepReading", "StepState", "decide_run"]
