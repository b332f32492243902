"""The rollout: instances up, traffic over step by step, a verdict, and either all of it or none of it."""

from trimtab.core.decide.rollout.machine import TICK_S, decide_rollout
from trimtab.core.decide.rollout.state import Ending, Peer, RolloutReading, RolloutState

__all__ = ["TICK_S", "Ending", "Peer", "RolloutReading", "RolloutState", "decide_rollout"]
