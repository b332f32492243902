"""The simulator: whole installations on virtual time, whose every mishap comes from a seed.

A run is a pure function of its seed: the same crashes, pauses, partitions, lost instructions, lies and people, in the
same order. Safety is stated in words in `promises`, and looked at after every event. `make sim` runs thousands of
seeds; a seed that breaks a promise is replayed with `make sim SEED=1234`.
"""
