"""What files of a release must be: prompts that can be rendered, configuration and flags that can be read."""

from trimtab.parts.apart import LIMITS, Limits, check

__all__ = ["LIMITS", "Limits", "check"]
