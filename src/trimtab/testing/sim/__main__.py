"""`make sim`: run many seeds, or one again with everything that happened in it."""

from __future__ import annotations

import argparse
import sys

from trimtab.testing.sim.many import Tally, explain, run_many, table
from trimtab.testing.sim.world import simulate

SHOWN = 3
"""So many failing seeds are told in full."""


def main() -> int:
    arguments = _arguments()
    if arguments.seed is not None:
        return _one(arguments.seed, trace=arguments.trace)
    tally = run_many(arguments.begin, arguments.seeds, processes=arguments.processes, progress=_progress)
    sys.stderr.write("\n" if sys.stderr.isatty() else "")
    print(table(tally))
    for outcome in tally.failed[:SHOWN]:
        print(f"\n{explain(outcome)}")
    if tally.failed:
        print(f"\n{len(tally.failed)} failed: {' '.join(str(outcome.seed) for outcome in tally.failed[:50])}")
    return 1 if tally.failed else 0


def _one(seed: int, *, trace: bool) -> int:
    outcome = simulate(seed)
    if outcome.broken:
        print(explain(outcome, None if trace else 20))
        return 1
    if trace:
        print("\n".join(outcome.lines))
    print(f"seed {seed} keeps every promise ({outcome.simulated_s:.0f} simulated seconds, {outcome.digest[:12]})")
    return 0


def _progress(tally: Tally) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{tally.seeds:,} seeds, {tally.seeds_per_s:.1f}/s, {len(tally.failed)} failed ")
        sys.stderr.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make sim", description=__doc__)
    parser.add_argument("--seed", type=int, help="only this one (make sim SEED=1234)")
    parser.add_argument("--trace", action="store_true", help="print everything that happened in it")
    parser.add_argument("--seeds", type=int, default=1000, help="how many (make sim SEEDS=10000)")
    parser.add_argument("--from", dest="begin", type=int, default=0, help="the first one (make sim FROM=0)")
    parser.add_argument("--processes", type=int, help="on how many processes; all cores by default")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
