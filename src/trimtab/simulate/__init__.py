"""Rollouts simulated in thousands, decided by the rule that decides real ones."""
