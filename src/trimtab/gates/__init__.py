"""The gates that come with Trimtab: programs that a step of a pipeline runs, or a person by hand.

`python -m trimtab.gates secret-scan --help`. Exit codes: 0 passed, 1 failed, 2 could not be asked (wrong words, a tool
that is missing, nothing to judge), 75 the world is in the way (an address that does not answer): try again later.
"""
