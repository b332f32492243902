"""What is wrong with an installation, and what to do: `trimtab doctor`.

Each check is a function that looks at one part of a `Place` and returns findings. Where looking takes a machine, the
judgement is a function of its own over what was seen. Nothing here changes anything, and nothing waits for long.
"""

from trimtab.app.doctor.examination import examine

__all__ = ["examine"]
