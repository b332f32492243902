"""What test runners, linters and scanners write, as numbers and names.

The files come from whoever may push: their size, depth and number are bounded, and nothing in them is looked up
elsewhere.
"""

from trimtab.reports.reading import read

__all__ = ["read"]
